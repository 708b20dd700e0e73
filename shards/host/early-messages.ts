/**
 * Requests for votes in groups that this node does not know yet: of a topic just created, whose leader was a moment
 * quicker. Kept for a moment, they spare a new partition an election timeout. Everything else is repeated anyway.
 */
import type { GroupId } from "../../src/log/types.ts";
import type { Message } from "../../src/raft/types.ts";
import type { Entry } from "../../src/records/entry.ts";

const MESSAGES_MAX = 20_000;

interface Early {
  readonly message: Message<Entry>;
  readonly arrivedMs: number;
}

export class EarlyMessages {
  readonly #keptMs: number;
  /** The newest of each group, oldest group first. */
  readonly #messages = new Map<GroupId, Early>();

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  keep(group: GroupId, message: Message<Entry>, nowMs: number): void {
    if (message.type !== "vote") return;
    this.#messages.delete(group);
    this.#messages.set(group, { message, arrivedMs: nowMs });
    for (const [oldest, { arrivedMs }] of this.#messages) {
      if (this.#messages.size <= MESSAGES_MAX && nowMs - arrivedMs <= this.#keptMs) return;
      this.#messages.delete(oldest);
    }
  }

  take(group: GroupId, nowMs: number): Message<Entry>[] {
    const early = this.#messages.get(group);
    this.#messages.delete(group);
    return early && nowMs - early.arrivedMs <= this.#keptMs ? [early.message] : [];
  }
}
