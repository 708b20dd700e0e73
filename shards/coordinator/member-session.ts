/** What the leader knows of one member, in its memory only: when it was heard, what it said, which heartbeat waits. */
import type { Timer } from "../../src/runtime/runtime.ts";
import type { GroupHeartbeatRequest } from "../../src/wire/coordinator-protocol.ts";
import type { GroupHeartbeatResponse } from "../../src/wire/coordinator-responses.ts";

export interface WaitingHeartbeat {
  readonly told: number;
  readonly timer: Timer;
  readonly answer: (response: GroupHeartbeatResponse) => void;
}

export class MemberSession {
  readonly instanceId: string;
  /** Monotonic ms when its silence is taken for its end. */
  deadlineMs: number;
  /** Monotonic ms when it must have let go what it was told to; Infinity: nothing. */
  letGoByMs = Infinity;
  /** At most one: a newer one takes its place. */
  waiting: WaitingHeartbeat | undefined;
  /** It is being put out, by a command on its way. */
  ending = false;
  #sequence = 0;
  #told = 0;
  #owned: ReadonlySet<number> = new Set();
  #refused: readonly number[] = [];

  constructor(instanceId: string, deadlineMs: number) {
    this.instanceId = instanceId;
    this.deadlineMs = deadlineMs;
  }

  /** False: a newer one came before it, and nothing that it says holds any more. */
  report({ sequence, told, owned, refused }: GroupHeartbeatRequest): boolean {
    if (sequence <= this.#sequence) return false;
    this.#sequence = sequence;
    this.#told = told;
    this.#owned = new Set(owned.filter((_, i) => i % 2 === 0));
    this.#refused = refused;
    return true;
  }

  /** The partitions that refused it, and the generation known there. */
  *refused(): Iterable<readonly [shard: number, known: number]> {
    for (let i = 0; i < this.#refused.length; i += 2) yield [this.#refused[i]!, this.#refused[i + 1]!];
  }

  /**
   * Whether it has let the partition go: it holds it no more, and said so knowing that it should not. What it said
   * before it knew may have crossed the very answer that gave it the partition.
   */
  hasLetGo(shard: number, told: number): boolean {
    return this.#told === told && !this.#owned.has(shard);
  }

  takeWaiting(): WaitingHeartbeat | undefined {
    const waiting = this.waiting;
    this.waiting = undefined;
    waiting?.timer.cancel();
    return waiting;
  }
}
