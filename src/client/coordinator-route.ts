/** The way to a group's coordinator: any node says who leads it. */
import { RaftlineError } from "../wire/errors.ts";
import type { CoordinatorRequest } from "../wire/coordinator-protocol.ts";
import type { CoordinatorResponses, CoordinatorResult } from "../wire/coordinator-responses.ts";
import type { Cluster } from "./cluster.ts";
import { LEADER_CODES } from "./start-offsets.ts";

const RETRY_MS_FIRST = 10;
const RETRY_MS_MAX = 250;

export class CoordinatorRoute {
  readonly #cluster: Cluster;
  /** Node that probably leads; 0: not known. */
  #leader = 0;
  #failures = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** How long to wait before the next attempt; 0 after one that went well, or that said where to go. */
  get retryMs(): number {
    return this.#failures === 0 ? 0 : Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(this.#failures - 1, 10));
  }

  /** One attempt; undefined: the leader is another one, or cannot be reached. @throws {RaftlineError} what is final */
  async attempt<R extends CoordinatorRequest>(
    request: R,
    timeoutMs: number,
  ): Promise<CoordinatorResponses[R["type"]] | undefined> {
    const asked = this.#leader;
    try {
      const answer = asked === 0
        ? await (await this.#cluster.anyConnection()).request(request, timeoutMs)
        : await this.#cluster.request(asked, "read", request, timeoutMs);
      return this.#learn(answer as CoordinatorResponses[R["type"]]);
    } catch (error) {
      if (!(error instanceof RaftlineError) || !LEADER_CODES.has(error.code)) throw error;
      this.#leader = 0;
      this.#failures += 1;
      return undefined;
    }
  }

  /** Attempts until one succeeds. @throws {RaftlineError} `TIMED_OUT`, and what is final */
  async ask<R extends CoordinatorRequest>(
    request: R,
    attemptMs: number,
    giveUpMs: number,
  ): Promise<CoordinatorResponses[R["type"]]> {
    const { clock } = this.#cluster.runtime;
    const deadlineMs = clock.monotonicMs() + giveUpMs;
    for (;;) {
      const answer = await this.attempt(request, attemptMs);
      if (answer !== undefined) return answer;
      if (clock.monotonicMs() >= deadlineMs) {
        throw new RaftlineError("TIMED_OUT", `no coordinator answered within ${giveUpMs} ms`);
      }
      await this.#cluster.sleep(this.retryMs);
    }
  }

  #learn<A extends CoordinatorResult>(answer: A): A | undefined {
    const elsewhere = LEADER_CODES.has(answer.code);
    const news = elsewhere && answer.leaderHint !== 0 && answer.leaderHint !== this.#leader;
    this.#failures = !elsewhere || (news && this.#failures === 0) ? 0 : this.#failures + 1;
    if (elsewhere) this.#leader = answer.leaderHint === this.#leader ? 0 : answer.leaderHint;
    return elsewhere ? undefined : answer;
  }
}
