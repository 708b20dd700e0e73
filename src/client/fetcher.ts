/**
 * Keeps a consumer's cursors filled: a fetch session with every leader, and a long poll in it for those that were answered
 * and have room again, while what they brought is being read. Bounded by what is held and not yet given out.
 */
import { RecordsError } from "../records/errors.ts";
import { type ErrorCode, RaftlineError } from "../wire/errors.ts";
import { REQUEST_PARTS_MAX } from "../wire/limits.ts";
import type { FetchResult } from "../wire/responses.ts";
import type { Cluster } from "./cluster.ts";
import { type Asked, FetchSession } from "./fetch-session.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { Pump } from "./pump.ts";
import { findStarts, LEADER_CODES } from "./start-offsets.ts";

const POLLS_PER_NODE = 4;
const FETCH_BYTES_MAX = 8 * 1024 * 1024;
const FETCH_BYTES_MIN = 16 * 1024;
const PART_BYTES_MIN = 16 * 1024;
const PART_BYTES_MAX = 4 * 1024 * 1024;
/** Beyond the long poll itself. */
const ANSWER_MS = 2_000;
const SILENT_MS = 500;
const BACK_OFF_MS_FIRST = 10;
const BACK_OFF_MS_MAX = 250;
/** After so many failures in a row that no other leader could mend, the consumer fails. */
const FAILURES_MAX = 20;

export interface FetcherSettings {
  readonly maxWaitMs: number;
  readonly prefetchBytesMax: number;
  /** A cursor that had nothing has something. */
  readonly onFilled: (cursor: PartitionCursor) => void;
  /** A cursor has moved without a record: it may be at its end. */
  readonly onMoved: () => void;
  readonly onFailed: (error: RaftlineError) => void;
  /** A cursor is beyond the end of its partition, and has an `error`: nothing is fetched before it is moved. */
  readonly onBeyondEnd: (cursor: PartitionCursor) => void;
  /** Records were deleted before this cursor came to them: it goes on at `toOffset`. */
  readonly onTrimmed: (cursor: PartitionCursor, fromOffset: number, toOffset: number) => void;
}

export class Fetcher {
  readonly #cluster: Cluster;
  readonly #settings: FetcherSettings;
  readonly #pump: Pump;
  /** Who had data last is at the end: a busy partition does not starve the others of an answer's bytes. */
  readonly #cursors = new Set<PartitionCursor>();
  readonly #sessions = new Map<number, FetchSession>();

  constructor(cluster: Cluster, settings: FetcherSettings) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#pump = new Pump(cluster, (nowMs) => this.#look(nowMs));
  }

  add(cursors: readonly PartitionCursor[]): void {
    for (const cursor of cursors) this.#cursors.add(cursor);
    this.schedule();
  }

  /** What was asked for it is dropped when it arrives. */
  remove(cursor: PartitionCursor): void {
    this.#cursors.delete(cursor);
    for (const session of this.#sessions.values()) session.drop(cursor);
    cursor.seek(cursor.position);
  }

  close(): void {
    this.#pump.close();
    for (const session of this.#sessions.values()) this.#end(session);
  }

  /** Something was given out, or a cursor was moved: there may be room to fetch. */
  schedule(): void {
    this.#pump.schedule();
  }

  get #heldBytes(): number {
    let bytes = 0;
    for (const cursor of this.#cursors) bytes += cursor.heldBytes;
    return bytes;
  }

  /** How many nodes lead what is read. */
  get #leaders(): number {
    const leaders = new Set<number>();
    for (const { route } of this.#cursors) leaders.add(route.leader);
    return leaders.size;
  }

  get #partBytesMax(): number {
    const share = Math.floor(this.#settings.prefetchBytesMax / this.#cursors.size);
    return Math.max(PART_BYTES_MIN, Math.min(PART_BYTES_MAX, share));
  }

  /** When to look again at the latest. */
  #look(nowMs: number): number {
    const room = this.#settings.prefetchBytesMax - this.#heldBytes;
    if (room <= 0) return Infinity;
    const byNode = new Map<number, PartitionCursor[]>();
    let wakeMs = Infinity;
    for (const cursor of this.#cursors) {
      if (cursor.error !== undefined) return Infinity;
      if (cursor.fetching || cursor.paused || cursor.fetchOffset < 0 || cursor.fetchedAll) continue;
      if (cursor.heldBytes >= this.#partBytesMax) continue;
      if (cursor.retryAtMs > nowMs) wakeMs = Math.min(wakeMs, cursor.retryAtMs);
      else if (cursor.route.leader === 0) {
        if (!this.#exists(cursor)) return Infinity;
        this.#cluster.needLeader(cursor.route);
      } else {
        const cursors = byNode.get(cursor.route.leader);
        if (cursors === undefined) byNode.set(cursor.route.leader, [cursor]);
        else cursors.push(cursor);
      }
    }
    // Every leader gets its share of the room: each of them may fill what it is asked for.
    const share = Math.floor(room / this.#leaders);
    const bytesMax = Math.min(FETCH_BYTES_MAX, Math.max(FETCH_BYTES_MIN, share));
    for (const [nodeId, cursors] of byNode) {
      const session = this.#sessionWith(nodeId);
      for (let at = 0; at < cursors.length && session.polls < POLLS_PER_NODE; at += REQUEST_PARTS_MAX) {
        void this.#ask(session, cursors.slice(at, at + REQUEST_PARTS_MAX), bytesMax);
      }
    }
    for (const session of this.#sessions.values()) {
      if (session.polls === 0 && !session.isIdle) void this.#ask(session, [], bytesMax);
    }
    return wakeMs;
  }

  #sessionWith(nodeId: number): FetchSession {
    let session = this.#sessions.get(nodeId);
    if (!session) this.#sessions.set(nodeId, session = new FetchSession(nodeId, this.#cluster.nextNumber()));
    return session;
  }

  async #ask(session: FetchSession, cursors: readonly PartitionCursor[], bytesMax: number): Promise<void> {
    const { nodeId } = session;
    const { maxWaitMs } = this.#settings;
    for (const cursor of cursors) cursor.fetching = true;
    session.polls += 1;
    const request = session.ask(cursors, this.#partBytesMax, bytesMax, maxWaitMs);
    const silence = this.#cluster.runtime.timers.after(maxWaitMs + SILENT_MS, () => {
      void this.#cluster.checkSilent(nodeId, session.routes);
    });
    try {
      const answer = await this.#cluster.request(nodeId, "read", request, maxWaitMs + ANSWER_MS);
      for (const part of answer.parts) {
        const asked = session.take(part);
        if (asked) this.#receive(nodeId, asked, part);
      }
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
      this.#lose(session, error);
    } finally {
      silence.cancel();
      session.polls -= 1;
    }
    this.schedule();
  }

  /** A node that is not reached has forgotten it already. */
  #end(session: FetchSession): void {
    this.#cluster.request(session.nodeId, "read", session.end(), ANSWER_MS).catch(() => {});
  }

  /** What was asked for in it is asked for anew, in another session. */
  #lose(session: FetchSession, { code, message }: RaftlineError): void {
    const { nodeId } = session;
    if (this.#sessions.get(nodeId) !== session) return;
    this.#sessions.delete(nodeId);
    this.#end(session);
    for (const asked of session.lose()) this.#failed(nodeId, asked, code, 0, message);
  }

  #receive(nodeId: number, asked: Asked, part: FetchResult): void {
    const { cursor, epoch, offset } = asked;
    if (this.#pump.closed || cursor.epoch !== epoch) return;
    if (part.code === "OFFSET_OUT_OF_RANGE" && offset < part.startOffset) return this.#skipTrimmed(cursor, part);
    if (part.code === "OFFSET_OUT_OF_RANGE" && offset > part.highWatermark) return void this.#checkEnd(nodeId, asked);
    if (part.code !== "") return this.#failed(nodeId, asked, part.code, part.leaderHint, part.code);
    cursor.fetching = false;
    const hadBatch = cursor.hasBatch;
    try {
      cursor.take(part.chunks, part.highWatermark);
      cursor.failures = 0;
    } catch (error) {
      if (!(error instanceof RecordsError)) throw error;
      this.#failed(nodeId, asked, error.code, 0, error.message);
    }
    if (part.chunks.length > 0) this.#moveBack(cursor);
    // Entries that bring no record forward must not make a busy loop.
    if (part.chunks.length > 0 && cursor.fetchOffset === offset) this.#backOff(cursor);
    if (!hadBatch && cursor.hasBatch) this.#settings.onFilled(cursor);
    else if (cursor.fetchOffset !== offset) this.#settings.onMoved();
  }

  /** The node knows of no such offset. A leader may be behind what another one told of before: the end that most confirm is not. */
  async #checkEnd(nodeId: number, asked: Asked): Promise<void> {
    const { cursor, epoch, offset } = asked;
    const { route } = cursor;
    const isStale = () => this.#pump.closed || cursor.epoch !== epoch;
    try {
      const [end] = await findStarts(this.#cluster, [{ route, from: "latest" }], isStale);
      if (isStale()) return;
      if (offset <= end!) this.#failed(nodeId, asked, "OFFSET_OUT_OF_RANGE", 0, "its leader is behind");
      else {
        cursor.fetching = false;
        const why = `offset ${offset} is beyond the end of ${route.topic}/${route.partition}, which is ${end}`;
        cursor.error = new RaftlineError("OFFSET_OUT_OF_RANGE", why);
        this.#settings.onBeyondEnd(cursor);
      }
    } catch (error) {
      if (!(error instanceof RaftlineError)) throw error;
      this.#failed(nodeId, asked, error.code, 0, error.message);
    }
    this.schedule();
  }

  /** Retention has removed what was asked for: go on at what is left. */
  #skipTrimmed(cursor: PartitionCursor, part: FetchResult): void {
    cursor.fetching = false;
    const { fetchOffset } = cursor;
    cursor.fetchOffset = part.startOffset;
    if (!cursor.hasBatch) cursor.position = part.startOffset;
    this.#settings.onTrimmed(cursor, fetchOffset, part.startOffset);
    this.#settings.onMoved();
  }

  #failed(nodeId: number, { cursor, epoch }: Asked, code: string, leaderHint: number, why: string): void {
    if (this.#pump.closed || cursor.epoch !== epoch) return;
    cursor.fetching = false;
    const { route } = cursor;
    const elsewhere = LEADER_CODES.has(code);
    if (elsewhere && code !== "THROTTLED") route.refused(nodeId, leaderHint);
    const known = this.#cluster.topic(route.topic)?.routes[route.partition] === route;
    if (!known) {
      return this.#settings.onFailed(this.#cluster.whyGone(route.topic));
    }
    this.#backOff(cursor);
    const final = code === "NOT_AUTHORIZED" || code === "CLOSED";
    if (!final && (elsewhere || cursor.failures < FAILURES_MAX)) return;
    this.#settings.onFailed(
      new RaftlineError(code as ErrorCode, `${route.topic}/${route.partition} at offset ${cursor.fetchOffset}: ${why}`),
    );
  }

  /** Whether its topic is still the one it was; if not, the consumer fails. */
  #exists({ route }: PartitionCursor): boolean {
    if (this.#cluster.topic(route.topic)?.routes[route.partition] === route) return true;
    this.#settings.onFailed(this.#cluster.whyGone(route.topic));
    return false;
  }

  #backOff(cursor: PartitionCursor): void {
    const delayMs = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_FIRST * 2 ** Math.min(cursor.failures++, 10));
    cursor.retryAtMs = this.#cluster.runtime.clock.monotonicMs() + delayMs;
  }

  #moveBack(cursor: PartitionCursor): void {
    if (this.#cursors.delete(cursor)) this.#cursors.add(cursor);
  }
}
