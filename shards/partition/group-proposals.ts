/**
 * Changes of a partition's groups on their way into its log. What comes in one turn goes as one entry, and while some
 * entries are on their way what comes waits for the next: thousands of acknowledgements cost one write.
 */
import type { Timers } from "../../src/runtime/runtime.ts";
import type { Entry } from "../../src/records/entry.ts";
import { packedBytesMax } from "../../src/records/packed-offsets.ts";
import type { ProposalWaiter } from "../host/state-machine.ts";
import { encodePartitionCommand } from "./commands.ts";
import type { GroupResult } from "./groups/apply-group-command.ts";
import type { GroupCommand } from "./groups/group-commands.ts";

const ENTRIES_IN_FLIGHT_MAX = 2;
const COMMANDS_PER_ENTRY_MAX = 2_000;
/** Of all offsets in one entry, about. */
const OFFSETS_BYTES_PER_ENTRY_MAX = 1024 * 1024;

/** Hears once; `code` is not empty where nothing is known to have been changed. */
export type GroupDone = (result: GroupResult) => void;

export type Propose = (entry: Entry, waiter: ProposalWaiter) => void;

interface Waiting {
  readonly command: GroupCommand;
  readonly done: GroupDone;
}

export class GroupProposals {
  readonly #timers: Timers;
  readonly #propose: Propose;
  #waiting: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(timers: Timers, propose: Propose) {
    this.#timers = timers;
    this.#propose = propose;
  }

  submit(command: GroupCommand, done: GroupDone): void {
    this.#waiting.push({ command, done });
    this.#schedule();
  }

  /** What waits is not proposed; what was proposed is told by the host. */
  failAll(code: string): void {
    for (const { done } of this.#waiting.splice(0)) done({ code });
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0 || this.#inFlight >= ENTRIES_IN_FLIGHT_MAX) return;
    this.#scheduled = true;
    this.#timers.endTurn(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#inFlight < ENTRIES_IN_FLIGHT_MAX) {
      const items = this.#take();
      this.#inFlight += 1;
      this.#propose(encodePartitionCommand({ type: "groups", commands: items.map(({ command }) => command) }), {
        settled: (code, _entry, result) => {
          this.#inFlight -= 1;
          const results = result as readonly GroupResult[] | undefined;
          items.forEach(({ done }, i) => done(code === "" ? results![i]! : { code }));
          this.#schedule();
        },
      });
    }
  }

  #take(): Waiting[] {
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length && count < COMMANDS_PER_ENTRY_MAX; count++) {
      const { command } = this.#waiting[count]!;
      bytes += "offsets" in command ? packedBytesMax(command.offsets) : 0;
      if (bytes > OFFSETS_BYTES_PER_ENTRY_MAX && count > 0) break;
    }
    return this.#waiting.splice(0, count);
  }
}
