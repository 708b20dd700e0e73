/** The metadata shard's state machine: commands in, one state on every node. */
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { StateMachine } from "../host/state-machine.ts";
import type { CommandResult } from "./command-result.ts";
import { applyCommand, decodeCommand } from "./commands.ts";
import { MetadataState } from "./state.ts";

export class MetadataMachine implements StateMachine {
  readonly state = new MetadataState();
  readonly #onApplied: () => void;
  leadsTerm = 0;

  /** `onApplied` is called after every change, when the state is whole. */
  constructor(onApplied: () => void) {
    this.#onApplied = onApplied;
  }

  apply(entry: Entry): CommandResult | undefined {
    if (entry.kind !== EntryKind.command) return undefined;
    const result = applyCommand(this.state, decodeCommand(entry));
    this.state.revision = entry.index;
    this.#onApplied();
    return result;
  }

  capture(): Uint8Array {
    return this.state.encode();
  }

  restore(state: Uint8Array): void {
    this.state.load(state);
    this.#onApplied();
  }

  onLeading(term: number): void {
    this.leadsTerm = term;
  }

  onFollowing(): void {
    this.leadsTerm = 0;
  }
}
