/**
 * The leader's side of replication: what each follower is sent, and what its answers mean. Messages are not made when
 * entries are proposed or answers arrive, but once before the host takes them (`flush`): whatever came together in a
 * turn goes out in one append.
 */
import type { Core } from "./core.ts";
import { InvariantError } from "./invariant.ts";
import { Progress } from "./progress.ts";
import { Spares } from "./spares.ts";
import type { AppendResponse, LoadRequest, NodeId, RaftEntry } from "./types.ts";

const NO_ENTRIES: readonly never[] = Object.freeze([]);

export class Replication<E extends RaftEntry> {
  readonly followers = new Map<NodeId, Progress>();
  readonly #core: Core<E>;
  readonly #spares: Spares<E> | undefined;
  /** Something may have to be sent. */
  #due = true;
  /** When followers are told of commits that no append has told them. */
  #noticeAtMs = Infinity;
  /** The slice made last: followers usually need the same one. */
  #slice: { from: number; entries: readonly E[]; bytes: number } | undefined;

  constructor(core: Core<E>) {
    this.#core = core;
    if (core.fanOut) this.#spares = new Spares(core, core.fanOut, this.followers);
  }

  get isDue(): boolean {
    return this.#due;
  }

  /** See {@link Spares.untilMs}. */
  get sparesUntilMs(): number {
    return this.#spares?.untilMs ?? Infinity;
  }

  /** Follows the configuration: whoever is new is probed, whoever left is forgotten. */
  setMembers(members: ReadonlySet<NodeId>): void {
    const { id, log, nowMs, limits } = this.#core;
    for (const peer of this.followers.keys()) if (!members.has(peer)) this.followers.delete(peer);
    for (const peer of members) {
      if (peer === id || this.followers.has(peer)) continue;
      this.followers.set(peer, new Progress(peer, log.lastIndex, nowMs, limits));
    }
    this.poke();
  }

  /** There may be something to send: new entries, a window that has room. */
  poke(): void {
    this.#due = true;
  }

  /** The commit index moved: idle followers hear of it soon, busy ones with the next append, whose commit asks for this anew. */
  committed(): void {
    this.#noticeAtMs = this.#core.nowMs + this.#core.limits.commitNoticeMs;
    this.#core.wakeBy(this.#noticeAtMs);
    this.#spares?.committed();
  }

  applied(): void {
    if (this.#spares?.applied()) this.poke();
  }

  /** Lets a follower hear of its leader, in any state but a lost link. */
  announce(follower: Progress): void {
    follower.nudge = true;
    this.poke();
  }

  announceToAll(): void {
    for (const follower of this.followers.values()) this.announce(follower);
  }

  onResponse(follower: Progress, message: AppendResponse): boolean {
    follower.commitHeard = Math.max(follower.commitHeard, message.commit);
    let isNews = false;
    if (message.reject) this.#onRejected(follower, message);
    else isNews = this.#onAccepted(follower, message.index);
    this.heard(follower);
    return isNews;
  }

  /** It lives. Only if it lacks something is there anything to make. */
  heard(follower: Progress): void {
    const { log, nowMs } = this.#core;
    follower.heard(nowMs);
    if (follower.next <= log.lastIndex || follower.state !== "replicate" || follower.nudge) this.poke();
    else follower.idle = !follower.owesAnswer(log.lastIndex);
  }

  /** Returns whether the follower has more than was known. */
  #onAccepted(follower: Progress, index: number): boolean {
    const { log } = this.#core;
    if (index > log.lastIndex) {
      throw new InvariantError(`${follower.peer} acknowledges ${index}, past the leader's end ${log.lastIndex}`);
    }
    const isNews = follower.acknowledge(index);
    if (follower.state === "replicate") follower.inflight.freeTo(index);
    else if (follower.state === "probe" || follower.match >= (follower.pendingSnapshot?.index ?? 0)) {
      if (isNews || index === follower.match) follower.becomeReplicate();
    }
    return isNews;
  }

  #onRejected(follower: Progress, { index, hintIndex, hintTerm }: AppendResponse): void {
    const { log, nowMs, limits } = this.#core;
    // Rejections of before an acknowledgement, or of a probe that was given up, say nothing any more.
    if (index <= follower.match || index >= follower.next) return;
    if (follower.state === "snapshot") {
      if (nowMs - follower.snapshotSentMs >= limits.snapshotRetryMs) follower.becomeProbe(follower.match + 1);
      return;
    }
    // Whole terms are skipped: no entry of the leader after this one can match (Raft §5.3, end).
    const agreed = log.lastAtMost(hintIndex, hintTerm);
    follower.becomeProbe(Math.min(index, agreed + 1));
  }

  /** The host brings what {@link LoadRequest} asked for; nothing if it could not. */
  loaded(request: LoadRequest, entries: readonly E[]): void {
    const follower = this.followers.get(request.peer);
    const asked = follower?.loading;
    if (!follower || asked?.fromIndex !== request.fromIndex || asked.term !== request.term) return;
    follower.loading = undefined;
    this.poke();
    // An acknowledgement has overtaken it: what is needed now is asked for anew.
    if (follower.next !== request.fromIndex) return;
    if (entries.length === 0 || !this.#isPartOfLog(entries, request.fromIndex)) {
      if (this.#core.log.term(follower.next - 1) === undefined) return;
      // Tried again when the follower's silence is noticed.
      follower.becomeProbe(follower.next);
      follower.paused = true;
      return;
    }
    this.#sendLoaded(follower, entries);
  }

  #isPartOfLog(entries: readonly E[], fromIndex: number): boolean {
    const { log } = this.#core;
    return entries.every((entry, at) => entry.index === fromIndex + at && log.term(entry.index) === entry.term);
  }

  #sendLoaded(follower: Progress, entries: readonly E[]): void {
    const { appendBytesMax } = this.#core.limits;
    let start = 0;
    while (start < entries.length && !follower.paused) {
      let bytes = entries[start]!.byteLength;
      let end = start + 1;
      while (end < entries.length && bytes + entries[end]!.byteLength <= appendBytesMax) {
        bytes += entries[end]!.byteLength;
        end += 1;
      }
      this.#append(follower, entries.slice(start, end), bytes);
      start = end;
    }
  }

  /** The snapshot went out completely; whether it was installed the follower's acknowledgement will tell. */
  snapshotSent(peer: NodeId): void {
    const follower = this.followers.get(peer);
    if (follower?.state !== "snapshot") return;
    follower.becomeProbe(follower.next);
    follower.paused = true;
    this.poke();
  }

  snapshotFailed(peer: NodeId): void {
    const follower = this.followers.get(peer);
    if (follower?.state !== "snapshot") return;
    follower.becomeProbe(follower.match + 1);
    follower.paused = true;
  }

  /** A new link session with it: it is announced to and probed from where it is known to match. */
  restart(follower: Progress): void {
    follower.restart(this.#core.nowMs);
    this.poke();
  }

  peerLost(peer: NodeId): void {
    const follower = this.followers.get(peer);
    if (!follower) return;
    follower.restart(this.#core.nowMs);
    follower.lost = true;
  }

  /** Asks those again that have not answered in time, and tells of commits. */
  tick(): void {
    const { nowMs, log } = this.#core;
    if (this.#spares?.tick()) this.poke();
    const noticeIsDue = nowMs >= this.#noticeAtMs;
    if (noticeIsDue) this.#noticeAtMs = Infinity;
    for (const follower of this.followers.values()) {
      if (noticeIsDue && this.#wantsNotice(follower)) this.announce(follower);
      if (follower.lost || this.#spares?.holds(follower) || !follower.owesAnswer(log.lastIndex)) continue;
      if (nowMs >= this.#askAtMs(follower)) this.#askAgain(follower);
      this.#core.wakeBy(this.#askAtMs(follower));
    }
    this.#core.wakeBy(this.#noticeAtMs);
  }

  /** What commits a follower that lacks entries for want of room is told of, it cannot apply. */
  #wantsNotice(follower: Progress): boolean {
    const { commit } = this.#core;
    if (Math.max(follower.commitSent, follower.commitHeard) >= commit) return false;
    return follower.match >= commit || this.#core.peerTakesBytes(follower.peer) === Infinity;
  }

  #askAtMs({ peer, waitingSinceMs, retryMs }: Progress): number {
    const { peerTakesBytes, limits } = this.#core;
    return waitingSinceMs + (peerTakesBytes(peer) === Infinity ? retryMs : Math.max(retryMs, limits.fullRetryMs));
  }

  #askAgain(follower: Progress): void {
    const { nowMs, electionTimeoutMs, peerHeardMs } = this.#core;
    const heardMs = Math.max(follower.heardMs, peerHeardMs(follower.peer));
    follower.waitingSinceMs = nowMs;
    // To a node that is not there nothing is sent; it will be heard, or its link will come up, when it is back.
    if (nowMs - heardMs > 2 * electionTimeoutMs) {
      follower.retryMs = electionTimeoutMs;
      return;
    }
    follower.retryMs = Math.min(follower.retryMs * 2, electionTimeoutMs);
    this.announce(follower);
  }

  /** Makes the messages that are due. */
  flush(): void {
    if (!this.#due) return;
    this.#due = false;
    const { log, nowMs } = this.#core;
    this.#spares?.look();
    for (const follower of this.followers.values()) {
      if (follower.lost || this.#spares?.holds(follower)) continue;
      if (follower.idle) follower.waitingSinceMs = nowMs;
      this.#feed(follower);
      if (follower.nudge) this.#append(follower, NO_ENTRIES, 0);
      follower.idle = !follower.owesAnswer(log.lastIndex);
      if (!follower.idle) this.#core.wakeBy(this.#askAtMs(follower));
    }
    this.#slice = undefined;
  }

  #feed(follower: Progress): void {
    const { log } = this.#core;
    if (follower.state === "snapshot") return;
    if (log.term(follower.next - 1) === undefined) return this.#sendSnapshot(follower);
    if (follower.state === "probe") return this.#probe(follower);
    const takesBytes = this.#core.peerTakesBytes(follower.peer);
    if (takesBytes !== Infinity) return this.#trickle(follower, takesBytes);
    while (follower.next <= log.lastIndex && !follower.inflight.full && !follower.loading) {
      const part = this.#take(follower.next);
      if (!part) return this.#load(follower);
      this.#append(follower, part.entries, part.bytes);
    }
  }

  /** One message to find out where the logs agree. Entries go with it if they are at hand. */
  #probe(follower: Progress): void {
    if (follower.paused && !follower.nudge) return;
    const part = this.#fitting(follower, this.#core.peerTakesBytes(follower.peer));
    this.#append(follower, part?.entries ?? NO_ENTRIES, part?.bytes ?? 0);
  }

  /** Its disk is full: one append at a time, of what is at hand and as small as it may take. */
  #trickle(follower: Progress, takesBytes: number): void {
    if (follower.inflight.count > 0 || follower.loading) return;
    const part = this.#fitting(follower, takesBytes);
    if (part) this.#append(follower, part.entries, part.bytes);
    else if (takesBytes >= this.#core.limits.appendBytesMax && follower.next <= this.#core.log.lastIndex) {
      this.#load(follower);
    }
  }

  /** What it lacks of what is at hand, as much as it takes; one entry always fits into a whole append. */
  #fitting({ next }: Progress, takesBytes: number): { entries: readonly E[]; bytes: number } | undefined {
    const { log, limits } = this.#core;
    const rest = next <= log.lastIndex ? this.#take(next) : undefined;
    if (!rest || takesBytes >= limits.appendBytesMax) return rest;
    let bytes = 0;
    let count = 0;
    for (const { byteLength } of rest.entries) {
      if (bytes + byteLength > takesBytes) break;
      bytes += byteLength;
      count += 1;
    }
    return count === 0 ? undefined : { entries: rest.entries.slice(0, count), bytes };
  }

  #take(from: number): { entries: readonly E[]; bytes: number } | undefined {
    if (this.#slice?.from === from) return this.#slice;
    const { log, limits } = this.#core;
    const entries = log.slice(from, log.lastIndex, limits.appendBytesMax);
    if (!entries) return undefined;
    let bytes = 0;
    for (const entry of entries) bytes += entry.byteLength;
    this.#slice = { from, entries, bytes };
    return this.#slice;
  }

  #load(follower: Progress): void {
    const { term, limits, loads } = this.#core;
    const request = { peer: follower.peer, term, fromIndex: follower.next, bytesMax: limits.loadBytesMax };
    follower.loading = request;
    loads.push(request);
  }

  #sendSnapshot(follower: Progress): void {
    const { id, term, offeredSnapshot: snapshot, nowMs, messages } = this.#core;
    if (!snapshot) return;
    follower.becomeSnapshot(snapshot, nowMs);
    follower.nudge = false;
    messages.push({ type: "snapshot", from: id, to: follower.peer, term, snapshot });
  }

  #append(follower: Progress, entries: readonly E[], bytes: number): void {
    const { id, term, log, commit, messages } = this.#core;
    // In the snapshot state the question is whether it is installed.
    const previousIndex = follower.next - 1;
    const previousTerm = follower.pendingSnapshot?.term ?? log.term(previousIndex);
    follower.nudge = false;
    const to = follower.peer;
    if (previousTerm === undefined) {
      // There is nothing to compare with; that there is a leader it shall know all the same.
      messages.push({ type: "heartbeat", from: id, to, term, commit, readRound: 0, vouch: false });
      return;
    }
    messages.push({ type: "append", from: id, to, term, previousIndex, previousTerm, commit, entries });
    follower.commitSent = commit;
    if (entries.length > 0) follower.sent(entries.at(-1)!.index, bytes);
    else if (follower.state === "probe") follower.paused = true;
  }
}
