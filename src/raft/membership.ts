/**
 * The configuration in use, and those in the log that are still to take effect. A configuration is used from the moment
 * its entry is applied; what is only in the log may yet be cut, and then leaves no trace.
 */
import { invariant } from "./invariant.ts";
import type { Configuration } from "./types.ts";

export class Membership {
  #current: Configuration;
  /** In the log and not applied, ascending. */
  #pending: { readonly index: number; readonly configuration: Configuration }[] = [];
  /** Entries up to here were not seen by this object: any of them may hold a configuration. */
  #unseenTo: number;

  constructor(current: Configuration, unseenTo: number) {
    this.#current = current;
    this.#unseenTo = unseenTo;
  }

  get current(): Configuration {
    return this.#current;
  }

  /** An entry with a configuration was added to the log. */
  appended(index: number, configuration: Configuration): void {
    this.#pending.push({ index, configuration });
  }

  truncateFrom(index: number): void {
    while (this.#pending.length > 0 && this.#pending.at(-1)!.index >= index) this.#pending.pop();
    this.#unseenTo = Math.min(this.#unseenTo, index - 1);
  }

  /** Entries up to `index` are applied. `given`: the last configuration among them, as whoever applied them saw it. */
  appliedTo(index: number, given: Configuration | undefined): boolean {
    let next = given;
    while (this.#pending.length > 0 && this.#pending[0]!.index <= index) next = this.#pending.shift()!.configuration;
    if (next === undefined) return false;
    this.#current = next;
    return true;
  }

  /** The log up to `index` was replaced by a snapshot. */
  restore(index: number, configuration: Configuration): void {
    this.#pending = [];
    this.#unseenTo = index;
    this.#current = configuration;
  }

  /**
   * Whether a configuration may be committed and not yet in use here. Whoever campaigned with the older one could find
   * a majority that shares no voter with one of the newer (etcd refuses the same: raft.go, `hup`).
   */
  isBehind(applied: number, commit: number): boolean {
    invariant(applied <= commit, `applied ${applied} is past commit ${commit}`);
    const pending = this.#pending[0];
    return applied < Math.min(commit, this.#unseenTo) || (pending !== undefined && pending.index <= commit);
  }
}
