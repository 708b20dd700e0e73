/** The cursors and queues of one partition, by the group's name: a part of the partition's replicated state. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { CursorState, type EncodedCursor } from "./cursor-state.ts";
import { GROUPS_MAX } from "./limits.ts";
import { type EncodedQueue, type QueueSettings, QueueState } from "./queue-state.ts";

export type GroupCode = "" | "WRONG_GROUP_KIND" | "TOO_MANY_GROUPS";

type EncodedTable = [lastLeaseId: number, cursors: [string, EncodedCursor][], queues: [string, EncodedQueue][]];

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

/** Invariant: a name is a cursor's or a queue's, never both. */
export class GroupTable {
  readonly cursors = new Map<string, CursorState>();
  readonly queues = new Map<string, QueueState>();
  /** Of the whole partition, and never given twice: a lease of a group that was deleted is not one of its namesake's. */
  #lastLeaseId = 0;

  get size(): number {
    return this.cursors.size + this.queues.size;
  }

  nextLeaseId(): number {
    this.#lastLeaseId += 1;
    return this.#lastLeaseId;
  }

  /** The cursor, made if there is none. */
  openCursor(group: string): CursorState | Exclude<GroupCode, ""> {
    const known = this.cursors.get(group);
    if (known !== undefined) return known;
    const code = this.#mayAdd(group);
    if (code !== "") return code;
    const cursor = new CursorState();
    this.cursors.set(group, cursor);
    return cursor;
  }

  /** The queue, made if there is none and then beginning at `from`; the settings given last hold. */
  openQueue(group: string, settings: QueueSettings, from: number): QueueState | Exclude<GroupCode, ""> {
    const known = this.queues.get(group);
    if (known !== undefined) {
      known.settings = settings;
      return known;
    }
    const code = this.#mayAdd(group);
    if (code !== "") return code;
    const queue = new QueueState(settings, from);
    this.queues.set(group, queue);
    return queue;
  }

  remove(group: string): void {
    this.cursors.delete(group);
    this.queues.delete(group);
  }

  trimmed(startOffset: number): void {
    for (const queue of this.queues.values()) queue.trimmed(startOffset);
  }

  /** Records that each group has not done with. @param end first offset that is not committed in the log */
  *lags(end: number): Iterable<[group: string, records: number]> {
    for (const [group, { committed }] of this.cursors) yield [group, end - Math.max(0, committed)];
    for (const [group, { next, ready, leased, delayed, dead }] of this.queues) {
      yield [group, end - next + ready.size + leased + delayed + dead.size];
    }
  }

  /** First offset that some group has not acknowledged; undefined while a group has not begun, or there is none. */
  get consumedTo(): number | undefined {
    let lowest = Infinity;
    for (const { committed } of this.cursors.values()) lowest = Math.min(lowest, committed);
    for (const { floor } of this.queues.values()) lowest = Math.min(lowest, floor);
    return lowest >= 0 && lowest < Infinity ? lowest : undefined;
  }

  encode(): Uint8Array {
    const table: EncodedTable = [
      this.#lastLeaseId,
      [...this.cursors].map(([group, cursor]) => [group, cursor.encode()]),
      [...this.queues].map(([group, queue]) => [group, queue.encode()]),
    ];
    return encoder.encode(table);
  }

  /** Only for bytes of {@link encode} whose checksum matched. */
  load(bytes: Uint8Array): void {
    const [lastLeaseId, cursors, queues] = decoder.decode(bytes) as EncodedTable;
    this.#lastLeaseId = lastLeaseId;
    this.cursors.clear();
    this.queues.clear();
    for (const [group, cursor] of cursors) this.cursors.set(group, CursorState.decode(cursor));
    for (const [group, queue] of queues) this.queues.set(group, QueueState.decode(queue));
  }

  #mayAdd(group: string): GroupCode {
    if (this.cursors.has(group) || this.queues.has(group)) return "WRONG_GROUP_KIND";
    return this.size >= GROUPS_MAX ? "TOO_MANY_GROUPS" : "";
  }
}
