/**
 * Brings a queue's dead records to its dead-letter topic, each exactly once: as batches of one idempotent producer whose
 * sequence is the record's number among the dead. A retry, or another leader that begins again where the state says, is
 * recognised by the target. While the target takes nothing (it does not exist, has no leader, its disk is full) all stay
 * dead and are tried again; nothing is thrown away, and {@link trouble} says why. No single record can do that to the
 * others: there is a letter for each (dead-letter.ts).
 */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { GroupCommand } from "./groups/group-commands.ts";
import type { GroupResult } from "./groups/apply-group-command.ts";
import type { DeadLetter } from "./groups/dead-letters.ts";
import type { QueueState } from "./groups/queue-state.ts";
import { buildLetter } from "./dead-letter.ts";
import type { QueueSource } from "./queue-window.ts";

/** Of one record each. The target recognises them all when they are sent again. */
const LETTERS_IN_FLIGHT = 12;
const BACK_OFF_MS_FIRST = 20;
const BACK_OFF_MS_MAX = 5_000;
const FAILURES_TOLD = 8;
/** Said of the first letter that waits: the target does not know what was written before it. */
const NOT_THE_SAME: ReadonlySet<string> = new Set(["UNKNOWN_PRODUCER_ID", "OUT_OF_ORDER_SEQUENCE"]);

/** The way to other topics, and who writes there. */
export interface DeadLetterOffice {
  /** Where the dead records come from. */
  origin(): { readonly topic: string; readonly partition: number };
  /** Stores one batch in the topic's partition for this origin; "" or why not. Repeating is harmless. */
  write(topic: string, bytes: Uint8Array): Promise<string>;
  nextProducerId(): Promise<number>;
}

export interface DeadLetterForwarderOptions {
  readonly runtime: Runtime;
  readonly group: string;
  readonly state: QueueState;
  readonly source: QueueSource;
  readonly office: DeadLetterOffice;
  readonly submit: (command: GroupCommand) => Promise<GroupResult>;
}

export class DeadLetterForwarder {
  readonly #options: DeadLetterForwarderOptions;
  #working = false;
  #failures = 0;
  #retry: Timer | undefined;
  #closed = false;
  /** "", or the code of why the first letter that waits was not taken the last time. */
  trouble = "";

  constructor(options: DeadLetterForwarderOptions) {
    this.#options = options;
  }

  /** There may be dead records. */
  wake(): void {
    if (this.#working || this.#closed || this.#retry !== undefined || this.#options.state.dead.size === 0) return;
    this.#working = true;
    this.#work().then(
      (code) => this.#worked(code),
      (error: unknown) => this.#worked(error instanceof Error && "code" in error ? String(error.code) : String(error)),
    );
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
  }

  #worked(code: string): void {
    this.#working = false;
    if (this.#closed) return;
    this.trouble = code;
    if (code === "") {
      this.#failures = 0;
      return this.wake();
    }
    const { runtime, group, state } = this.#options;
    const delayMs = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_FIRST * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    if (this.#failures === FAILURES_TOLD) {
      const { deadLetter } = state.settings;
      runtime.log.write("warn", "dead records cannot be forwarded yet", { group, deadLetter, code });
    }
    this.#retry = runtime.timers.after(delayMs, () => {
      this.#retry = undefined;
      this.wake();
    });
  }

  /** So many of them as may be in flight; "" when all of it is there. */
  async #work(): Promise<string> {
    const { state, submit, office, group } = this.#options;
    const { dead } = state;
    if (dead.producerId === 0) {
      const producerId = await office.nextProducerId();
      return (await submit({ op: "deadProducer", group, producerId })).code;
    }
    const { producerId, firstSequence } = dead;
    const letters: DeadLetter[] = [];
    for (let i = 0; i < LETTERS_IN_FLIGHT; i++) {
      const letter = dead.at(firstSequence + i);
      if (letter !== undefined) letters.push(letter);
    }
    const { deadLetter } = state.settings;
    const batches = await Promise.all(letters.map((letter) => this.#build(letter, producerId)));
    if (this.#closed) return "CLOSED";
    const codes = await Promise.all(batches.map((bytes) => office.write(deadLetter, bytes)));
    const failed = codes.findIndex((code) => code !== "");
    const stored = failed < 0 ? codes.length : failed;
    if (stored > 0) {
      this.#failures = 0;
      const { code } = await submit({ op: "forwarded", group, producerId, sequence: firstSequence + stored });
      if (code !== "") return code;
    }
    if (failed !== 0 || !NOT_THE_SAME.has(codes[0]!)) return codes[failed] ?? "";
    // What was written before the first one is not there: the topic was deleted and made anew, or another one was named, or
    // it has forgotten a producer that was silent while thousands of others wrote. None of them has this letter, except the
    // last where it was written and its answer lost: only then is it there twice. Another producer goes on.
    return (await submit({ op: "deadProducer", group, producerId: await office.nextProducerId() })).code;
  }

  #build(letter: DeadLetter, producerId: number): Promise<Uint8Array> {
    const { office, group, source, runtime } = this.#options;
    return buildLetter(letter, { origin: office.origin(), group, source, nowMs: runtime.clock.wallMs(), producerId });
  }
}
