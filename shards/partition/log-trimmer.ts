/** Gives back the log below a partition's start: on each replica by itself, when the trim is applied there. */
import type { Log } from "../../src/log/types.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import type { PartitionMachine } from "./machine.ts";

export interface LogTrimmerOptions {
  readonly host: Host;
  readonly log: Log;
  readonly replica: Replica;
  readonly machine: PartitionMachine;
}

export class LogTrimmer {
  readonly #options: LogTrimmerOptions;
  #running = false;

  constructor(options: LogTrimmerOptions) {
    this.#options = options;
  }

  /** The start may have moved. */
  wake(): void {
    if (this.#running || !this.#isBehind()) return;
    this.#running = true;
    // What cannot be read now (damaged, or gone meanwhile) is tried again at the next trim.
    this.#run().catch(() => {});
  }

  #isBehind(): boolean {
    const { log, replica, machine } = this.#options;
    return (log.group(replica.group)?.startOffset ?? 0) < machine.startOffset;
  }

  async #run(): Promise<void> {
    const { machine } = this.#options;
    try {
      for (let before = -1; before !== machine.startOffset && this.#isBehind();) {
        before = machine.startOffset;
        await this.#trimTo(before);
      }
    } finally {
      this.#running = false;
    }
  }

  /** Whole entries go. The last one that is applied stays: a log knows the term of what comes before its next entry. */
  async #trimTo(offset: number): Promise<void> {
    const { host, log, replica } = this.#options;
    const { group, raft } = replica;
    const index = Math.min(await log.seekOffset(group, offset), raft.applied);
    const [entry] = await log.read(group, index, index, 1);
    if (entry?.index === index) host.trim(replica, index, entry.baseOffset);
  }
}
