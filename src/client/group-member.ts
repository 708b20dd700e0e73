/**
 * A member of a consumer group, as its coordinator sees it: heartbeats that say what it holds, each waiting at the
 * coordinator for news, and none of them waiting for a handler. What to do about the news is the listener's.
 */
import type { Timer } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { GroupHeartbeatResponse } from "../wire/coordinator-responses.ts";
import type { Cluster } from "./cluster.ts";
import { CoordinatorRoute } from "./coordinator-route.ts";
import { randomId } from "./random-id.ts";

/** A heartbeat waits a third of the session at the coordinator, 3 s at most; the answer may take this much longer. */
const ANSWER_MS = 2_000;
const WAIT_MS_MAX = 3_000;
const LEAVE_ATTEMPT_MS = 1_000;
const LEAVE_MS_MAX = 2_000;

export interface GroupMemberSettings {
  readonly group: string;
  /** "": none. */
  readonly instanceId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

export interface GroupMemberEvents {
  /** Flat: shard and generation of each partition that it holds now. */
  readonly owned: () => number[];
  /** Flat: shard of each partition that refused it, and the generation known there. */
  readonly refused: () => number[];
  /** What it should hold: generation by shard. */
  readonly onAssigned: (assigned: ReadonlyMap<number, number>) => void;
  /**
   * The group knows it no more, or cannot be reached for as long as a session: what it held is others' by now. It joins
   * anew when this resolves: not before the handler that was too slow has returned.
   */
  readonly onLost: () => Promise<void>;
  readonly onFailed: (error: RaftlineError) => void;
}

export class GroupMember {
  readonly memberId: string;
  readonly #cluster: Cluster;
  readonly #settings: GroupMemberSettings;
  readonly #events: GroupMemberEvents;
  readonly #route: CoordinatorRoute;
  #generation = 0;
  #told = 0;
  /** Of the newest heartbeat: answers to older ones say nothing new, and none to what was sent before all was lost. */
  #sequence = 0;
  /** Every attempt has a number of its own: the coordinator ignores those that were overtaken. */
  #attempts = 0;
  #lapse: Timer | undefined;
  #recovering: Promise<void> | undefined;
  #reporting = false;
  #closed = false;

  constructor(cluster: Cluster, settings: GroupMemberSettings, events: GroupMemberEvents) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#events = events;
    this.#route = new CoordinatorRoute(cluster);
    this.memberId = randomId(cluster.runtime.random);
  }

  start(): void {
    void this.#beat();
  }

  /** Something was let go: the coordinator is told at once, whatever waits there. */
  report(): void {
    if (this.#reporting || this.#closed) return;
    this.#reporting = true;
    this.#cluster.runtime.timers.defer(() => {
      this.#reporting = false;
      void this.#beat();
    });
  }

  stop(): void {
    this.#closed = true;
    this.#lapse?.cancel();
  }

  /** Others take over at once. What could not be told is found out when the session ends. */
  async leave(): Promise<void> {
    const { group } = this.#settings;
    const request = { type: "groupLeave", group, memberId: this.memberId } as const;
    await this.#route.ask(request, LEAVE_ATTEMPT_MS, LEAVE_MS_MAX).catch((error: unknown) => {
      this.#cluster.runtime.log.write("debug", "a member could not leave", { group, reason: String(error) });
    });
  }

  async #beat(): Promise<void> {
    const mine = ++this.#sequence;
    while (mine === this.#sequence && !this.#closed) {
      try {
        await this.#attempt(mine);
      } catch (error) {
        if (!(error instanceof RaftlineError)) throw error;
        if (mine === this.#sequence) this.#fail(error);
      }
    }
  }

  async #attempt(mine: number): Promise<void> {
    const { sessionTimeoutMs } = this.#settings;
    await this.#recovering;
    if (mine !== this.#sequence || this.#closed) return;
    const sentMs = this.#cluster.runtime.clock.monotonicMs();
    const answer = await this.#route.attempt({
      type: "groupHeartbeat",
      ...this.#settings,
      memberId: this.memberId,
      generation: this.#generation,
      told: this.#told,
      sequence: ++this.#attempts,
      owned: this.#events.owned(),
      refused: this.#events.refused(),
    }, Math.min(WAIT_MS_MAX, sessionTimeoutMs / 3) + ANSWER_MS);
    if (this.#closed) return;
    if (answer === undefined) return void await this.#cluster.sleep(this.#route.retryMs);
    if (mine !== this.#sequence) return;
    if (answer.code === "") this.#take(answer, sentMs);
    else if (answer.code === "UNKNOWN_MEMBER") this.#lost();
    else this.#fail(new RaftlineError(answer.code, `group "${this.#settings.group}": ${answer.code}`));
  }

  #take({ generation, told, assigned }: GroupHeartbeatResponse, sentMs: number): void {
    this.#lapse?.cancel();
    const leftMs = sentMs + this.#settings.sessionTimeoutMs - this.#cluster.runtime.clock.monotonicMs();
    this.#lapse = this.#cluster.runtime.timers.after(Math.max(0, leftMs), () => this.#lost());
    this.#generation = generation;
    this.#told = told;
    if (assigned === null) return;
    const wanted = new Map<number, number>();
    for (let i = 0; i < assigned.length; i += 2) wanted.set(assigned[i]!, assigned[i + 1]!);
    this.#events.onAssigned(wanted);
  }

  #lost(): void {
    this.#lapse?.cancel();
    this.#generation = 0;
    this.#told = 0;
    const recovering = this.#events.onLost().finally(() => {
      if (this.#recovering === recovering) this.#recovering = undefined;
    });
    this.#recovering = recovering;
    // The answer to one that is on its way would say what was known before, and be taken for what is known now.
    void this.#beat();
  }

  #fail(error: RaftlineError): void {
    this.stop();
    this.#events.onFailed(error);
  }
}
