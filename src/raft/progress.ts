/**
 * What the leader knows of one follower. Invariant: 0 <= match < next.
 *
 * probe: it is not known where the logs agree; one message at a time. replicate: messages follow one another, up to the
 * window. snapshot: what the follower needs is not in the log any more; nothing is sent until it has the snapshot.
 */
import { InflightWindow } from "./inflight.ts";
import { InvariantError } from "./invariant.ts";
import type { RaftLimits } from "./limits.ts";
import type { LoadRequest, NodeId, SnapshotMeta } from "./types.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

/** What a leader tells its host of one follower. */
export interface FollowerStatus {
  readonly peer: NodeId;
  readonly state: ProgressState;
  /** Highest index known to be durable there. */
  readonly match: number;
  /** The commit index that it knows, as it said itself. */
  readonly commit: number;
  readonly vouched: boolean;
}

export class Progress {
  readonly peer: NodeId;
  state: ProgressState = "probe";
  match = 0;
  /** Index of the next entry to send. */
  next: number;
  readonly inflight: InflightWindow;
  /** One probe is under way, or a failed load or snapshot is to be waited out. */
  paused = false;
  /** The snapshot that is on its way to it. */
  pendingSnapshot: SnapshotMeta | undefined;
  snapshotSentMs = 0;
  /** Entries asked of the log for this follower; one request at a time. */
  loading: LoadRequest | undefined;
  /** An empty append is due, whatever the window says: to announce the leader, its commit index, or to ask again. */
  nudge = false;
  /** Commit index as last sent to the follower, and as last heard from it. */
  commitSent = 0;
  commitHeard = 0;
  /** It has answered in this term and link session: it knows who leads. */
  answered = false;
  /** Last group message from it; the leader's first moment counts as one. */
  heardMs: number;
  /** It had and knew all there was when messages were last made: an answer is due only from the next one on. */
  idle = false;
  /** Since when an answer is due, and how long it may take before it is asked again. */
  waitingSinceMs: number;
  retryMs: number;
  /** Its process is known to be gone: nothing is sent until its link is up again. */
  lost = false;
  /** False: it lost its disk, and counts for nothing (see vouching in README.md). */
  vouched = true;
  /** Highest read round it has answered. */
  answeredRound = 0;
  /** Until then, by the leader's clock, it helps nobody else to lead (read-lease.ts). */
  heldUntilMs = -Infinity;
  /**
   * The round that every other voter must have answered, and the index it must have, before it is vouched for. Only who
   * takes part answers a round, so its own answer to that round, or a later one, says that it does.
   */
  vouchRound = 0;
  vouchIndex = 0;
  readonly #limits: RaftLimits;

  constructor(peer: NodeId, lastIndex: number, nowMs: number, limits: RaftLimits) {
    this.peer = peer;
    this.next = lastIndex + 1;
    this.heardMs = nowMs;
    this.waitingSinceMs = nowMs;
    this.retryMs = limits.retryMs;
    this.inflight = new InflightWindow(limits.inFlightMessagesMax, limits.inFlightBytesMax);
    this.#limits = limits;
  }

  /** Whether something is still to come from it: that it has all there is, and knows of all commits it was told of. */
  owesAnswer(lastIndex: number): boolean {
    return !this.answered || this.match < lastIndex || this.commitHeard < this.commitSent;
  }

  becomeProbe(next: number): void {
    this.state = "probe";
    this.next = Math.max(next, this.match + 1);
    this.paused = false;
    this.pendingSnapshot = undefined;
    this.loading = undefined;
    this.inflight.reset();
  }

  becomeReplicate(): void {
    this.state = "replicate";
    this.next = this.match + 1;
    this.paused = false;
    this.pendingSnapshot = undefined;
    this.loading = undefined;
    this.inflight.reset();
  }

  becomeSnapshot(snapshot: SnapshotMeta, nowMs: number): void {
    this.state = "snapshot";
    this.pendingSnapshot = snapshot;
    this.next = snapshot.index + 1;
    this.snapshotSentMs = nowMs;
    this.paused = false;
    this.loading = undefined;
    this.inflight.reset();
  }

  /** A new link session: what was on its way is lost, and the follower has to hear of the leader anew. */
  restart(nowMs: number): void {
    this.becomeProbe(this.match + 1);
    this.lost = false;
    this.answered = false;
    this.commitHeard = 0;
    this.retryMs = this.#limits.retryMs;
    this.waitingSinceMs = nowMs;
  }

  /** Entries up to `lastIndex` are on their way. */
  sent(lastIndex: number, bytes: number): void {
    if (this.state === "replicate") {
      this.inflight.add(lastIndex, bytes);
      this.next = lastIndex + 1;
    } else {
      this.paused = true;
    }
  }

  /** It has the log up to `index`. Returns whether that is news. */
  acknowledge(index: number): boolean {
    const isNews = index > this.match;
    if (isNews) this.match = index;
    this.next = Math.max(this.next, index + 1);
    if (this.match >= this.next) throw new InvariantError(`match ${this.match} and next ${this.next} of ${this.peer}`);
    return isNews;
  }

  /** It has forgotten what it acknowledged: the only way for `match` to fall. */
  forget(lastIndex: number, round: number): void {
    this.vouched = false;
    this.match = 0;
    this.commitHeard = 0;
    this.heldUntilMs = -Infinity;
    this.vouchIndex = lastIndex;
    this.vouchRound = round;
    this.becomeProbe(this.next);
  }

  /** Something came from it: it lives. */
  heard(nowMs: number): void {
    this.heardMs = nowMs;
    this.waitingSinceMs = nowMs;
    this.retryMs = this.#limits.retryMs;
    this.answered = true;
    this.lost = false;
  }
}
