/**
 * One queue on the partition's leader: chooses which records a consumer gets, has that replicated as a lease, and hands
 * the batches out when it is committed. What is on its way into the log is reserved, so that it is not offered twice;
 * the state decides in the end.
 */
import { appendRange, type Ranges } from "../../src/records/offset-ranges.ts";
import type { Entry } from "../../src/records/entry.ts";
import { timingOf } from "../../src/records/timing.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { GivenLease } from "./groups/apply-group-command.ts";
import {
  DEAD_RECORDS_MAX,
  LEASE_RANGES_MAX,
  LEASE_RECORDS_MAX,
  LEASED_RECORDS_MAX,
  LEASED_RECORDS_PER_CONSUMER_MAX,
  LEASES_MAX,
} from "./groups/limits.ts";
import type { GroupCommand } from "./groups/group-commands.ts";
import { OffsetSet } from "./groups/offset-set.ts";
import type { QueueState } from "./groups/queue-state.ts";
import type { GroupDone, GroupProposals } from "./group-proposals.ts";
import { KeyWindow } from "./queue-key-window.ts";
import { codeOfReadFailure } from "./read-failures.ts";
import { QueueDeadlines } from "./queue-deadlines.ts";
import { QueueWindow } from "./queue-window.ts";

const READ_BYTES_MAX = 2 * 1024 * 1024;

export interface LeaseWish {
  readonly consumer: string;
  readonly recordsMax: number;
  /** Of the batches; the first one comes even if it is larger. */
  readonly bytesMax: number;
}

/** Without records where others were quicker. */
export interface LeaseAnswer {
  readonly code: string;
  readonly leaseMs: number;
  readonly lease: GivenLease | undefined;
  /** The batches that hold what was leased, in order. */
  readonly batches: readonly Entry[];
}

export type LeaseDone = (answer: LeaseAnswer) => void;

/** What a queue needs of its partition. */
export interface QueueSource {
  readonly startOffset: number;
  readonly highWatermark: number;
  readonly leads: boolean;
  read(offset: number, bytesMax: number): Entry[] | Promise<Entry[]>;
}

export interface QueueLeaderOptions {
  readonly runtime: Runtime;
  readonly source: QueueSource;
  readonly proposals: GroupProposals;
  /** Replicates another change of the queue. */
  readonly submit: (command: GroupCommand, done: GroupDone) => void;
  /** Something runs that will end. */
  readonly onDeadline: () => void;
}

interface Waiting {
  readonly wish: LeaseWish;
  readonly done: LeaseDone;
}

interface Choice {
  readonly ranges: Ranges;
  readonly batches: readonly Entry[];
}

export class QueueLeader {
  readonly group: string;
  readonly state: QueueState;
  readonly deadlines: QueueDeadlines;
  readonly #options: QueueLeaderOptions;
  readonly #window = new QueueWindow();
  /** Offsets in lease commands on their way. */
  readonly #reserved = new OffsetSet();
  readonly #reservedBy = new Map<string, number>();
  #leasesOnTheirWay = 0;
  #waiting: Waiting[] = [];
  #reading = false;
  /** New records and those that come again take turns: neither can starve the other. */
  #newFirst = false;
  /** Where order within keys is asked for. */
  #keys: KeyWindow | undefined;
  #closed = false;

  constructor(group: string, state: QueueState, options: QueueLeaderOptions) {
    this.group = group;
    this.state = state;
    this.#options = options;
    this.deadlines = new QueueDeadlines(options.runtime.clock, state);
  }

  /** Whether a lease would bring anything now. */
  canGive(consumer: string): boolean {
    return this.#roomFor(consumer) > 0 && (this.#mustScan() !== undefined || this.#candidate() !== undefined);
  }

  /** Hears once, soon; without records if there are none by then. */
  lease(wish: LeaseWish, done: LeaseDone): void {
    this.#waiting.push({ wish, done });
    this.#pump();
  }

  /** Nobody has asked for a while. */
  rest(): void {
    if (!this.#reading) this.#window.clear();
  }

  close(): void {
    this.#closed = true;
    for (const { done } of this.#waiting.splice(0)) done(nothing("NOT_LEADER"));
  }

  #pump(): void {
    while (this.#waiting.length > 0 && !this.#reading && !this.#closed) {
      const unknown = this.#mustScan();
      if (unknown !== undefined) {
        if (this.#window.at(unknown) === undefined && !this.#read(unknown)) return;
        this.#scan(unknown);
        continue;
      }
      const { wish, done } = this.#waiting[0]!;
      const start = this.#roomFor(wish.consumer) > 0 ? this.#candidate() : undefined;
      if (start === undefined) {
        this.#waiting.shift();
        done(nothing(""));
      } else if (this.#window.at(start) === undefined) {
        if (!this.#read(start)) return;
      } else if (!this.#setAside(start)) {
        this.#waiting.shift();
        this.#propose(wish, this.#choose(start, wish), done);
      }
    }
  }

  /** A batch whose time has not come, or is over, is not given out: its free records wait, or are done. */
  #setAside(start: number): boolean {
    const batch = this.#window.at(start)!;
    const verdict = this.deadlines.verdictOn(timingOf(batch));
    if (verdict === "now") return false;
    const { group } = this;
    const ranges = [start, batch.nextOffset];
    const command = verdict === "over"
      ? { op: "drop", group, ranges } as const
      : { op: "park", group, ranges, ...this.deadlines.wallParcelFor(timingOf(batch).deliverAtMs!) } as const;
    this.#reserved.add(start, batch.nextOffset);
    this.#options.submit(command, () => {
      this.#reserved.remove(start, batch.nextOffset);
      if (command.op !== "park") return;
      // Only now: what was looked for before it was in the state was not found.
      this.deadlines.wallParcelRuns(command.atMs);
      this.#options.onDeadline();
    });
    return true;
  }

  /** False: it is under way. */
  #read(start: number): boolean {
    const found = this.#options.source.read(start, READ_BYTES_MAX);
    if (!(found instanceof Promise)) return this.#filled(start, found);
    this.#reading = true;
    found.then(
      (entries) => {
        this.#reading = false;
        if (this.#filled(start, entries)) this.#pump();
      },
      (error: unknown) => {
        this.#reading = false;
        this.#options.runtime.log.write("error", "a queue cannot read its records", {
          group: this.group,
          offset: start,
          reason: String(error),
        });
        const code = codeOfReadFailure(error, this.#options.source);
        // Retention was quicker: whoever asks again is given what is left.
        this.#failWaiting(code === "OFFSET_OUT_OF_RANGE" ? "" : code);
      },
    );
    return false;
  }

  /** False: what was asked for is not there, and who waits has been told. */
  #filled(start: number, entries: readonly Entry[]): boolean {
    this.#window.fill(entries);
    if (this.#window.at(start) !== undefined) return true;
    this.#failWaiting("");
    return false;
  }

  #failWaiting(code: string): void {
    for (const { done } of this.#waiting.splice(0)) done(nothing(code));
  }

  #propose({ consumer }: LeaseWish, { ranges, batches }: Choice, done: LeaseDone): void {
    const { leaseMs } = this.state.settings;
    let records = 0;
    for (let i = 0; i < ranges.length; i += 2) records += this.#reserved.add(ranges[i]!, ranges[i + 1]!);
    this.#reservedBy.set(consumer, (this.#reservedBy.get(consumer) ?? 0) + records);
    this.#leasesOnTheirWay += 1;
    this.#options.proposals.submit({ op: "lease", group: this.group, consumer, leaseMs, ranges }, ({ code, lease }) => {
      this.#leasesOnTheirWay -= 1;
      for (let i = 0; i < ranges.length; i += 2) this.#reserved.remove(ranges[i]!, ranges[i + 1]!);
      const left = this.#reservedBy.get(consumer)! - records;
      if (left > 0) this.#reservedBy.set(consumer, left);
      else this.#reservedBy.delete(consumer);
      if (lease !== undefined) {
        this.deadlines.leaseRuns(lease.leaseId, leaseMs);
        this.#options.onDeadline();
      }
      done({ code, leaseMs, lease, batches: lease === undefined ? [] : holding(lease.held, batches) });
    });
  }

  /** How many records this consumer may be given now. */
  #roomFor(consumer: string): number {
    const { state } = this;
    if (state.leases.size + this.#leasesOnTheirWay >= LEASES_MAX || state.dead.size >= DEAD_RECORDS_MAX) return 0;
    const own = state.leasedBy(consumer) + (this.#reservedBy.get(consumer) ?? 0);
    return Math.min(
      LEASE_RECORDS_MAX,
      LEASED_RECORDS_PER_CONSUMER_MAX - own,
      LEASED_RECORDS_MAX - state.leased - this.#reserved.size,
    );
  }

  /** Offset from which a key-ordered queue must look at keys before it can choose; undefined: it knows enough. */
  #mustScan(): number | undefined {
    const { state } = this;
    if (!state.settings.keyOrdered) {
      this.#keys = undefined;
      return undefined;
    }
    // After a reset what lies before is open again.
    if (this.#keys === undefined || state.floor < this.#keys.from) this.#keys = new KeyWindow(state.floor);
    if (!this.#keys.hasRoom) this.#keys.free(this.#isOver, this.#isFree);
    const next = state.nextOpen(this.#keys.scannedTo);
    return this.#keys.hasRoom && next < this.#options.source.highWatermark ? next : undefined;
  }

  #scan(from: number): void {
    const keys = this.#keys!;
    keys.scannedTo = from;
    for (let batch = this.#window.at(from); batch !== undefined; batch = this.#window.at(keys.scannedTo)) {
      keys.add(batch, this.#isOver);
      if (!keys.hasRoom) return;
    }
  }

  readonly #isOver = (offset: number): boolean => this.state.isDone(offset) || this.state.dead.has(offset);

  readonly #isFree = (offset: number): boolean => {
    return !this.#reserved.has(offset) && (offset >= this.state.next || this.state.ready.has(offset));
  };

  /** Offset of a record that is free; undefined if there is none. */
  #candidate(): number | undefined {
    if (this.#keys !== undefined) return this.#keys.free(this.#isOver, this.#isFree)[0];
    const again = this.#nextReady(this.state.floor);
    const fresh = this.#nextNew(this.state.next);
    if (again === Infinity && fresh === Infinity) return undefined;
    return fresh === Infinity || (again !== Infinity && !this.#newFirst) ? again : fresh;
  }

  #nextReady(from: number): number {
    let at = this.state.ready.next(from);
    while (at < Infinity && this.#reserved.has(at)) at = this.state.ready.next(this.#reserved.nextOut(at));
    return at;
  }

  #nextNew(from: number): number {
    const at = this.#reserved.nextOut(Math.max(from, this.state.next));
    return at < this.#options.source.highWatermark ? at : Infinity;
  }

  #choose(start: number, wish: LeaseWish): Choice {
    if (this.#keys !== undefined) return this.#chooseByKey(this.#keys.free(this.#isOver, this.#isFree), wish);
    const isNew = start >= this.state.next;
    this.#newFirst = !isNew;
    const room = Math.min(wish.recordsMax, this.#roomFor(wish.consumer));
    const ranges: Ranges = [];
    const batches: Entry[] = [];
    let bytes = 0;
    let records = 0;
    for (let at = start; records < room && ranges.length < LEASE_RANGES_MAX * 2;) {
      const batch = this.#window.at(at);
      if (batch === undefined) break;
      if (batch !== batches.at(-1)) {
        if (this.deadlines.verdictOn(timingOf(batch)) !== "now") break;
        bytes += batch.byteLength;
        if (batches.length > 0 && bytes > wish.bytesMax) break;
        batches.push(batch);
      }
      const limit = Math.min(batch.nextOffset, at + room - records);
      const end = isNew ? this.#reservedFrom(at, limit) : this.#reservedFrom(at, this.state.ready.endOf(at, limit));
      appendRange(ranges, at, end);
      records += end - at;
      at = isNew ? this.#nextNew(end) : this.#nextReady(end);
    }
    return { ranges, batches };
  }

  #chooseByKey(free: readonly number[], wish: LeaseWish): Choice {
    const room = Math.min(wish.recordsMax, this.#roomFor(wish.consumer), free.length);
    const ranges: Ranges = [];
    const batches: Entry[] = [];
    let bytes = 0;
    for (let i = 0; i < room; i++) {
      const batch = this.#window.at(free[i]!);
      if (batch === undefined) break;
      if (batch !== batches.at(-1)) {
        if (this.deadlines.verdictOn(timingOf(batch)) !== "now") break;
        bytes += batch.byteLength;
        if (batches.length > 0 && bytes > wish.bytesMax) break;
        batches.push(batch);
      }
      appendRange(ranges, free[i]!, free[i]! + 1);
    }
    return { ranges, batches };
  }

  /** Where the reserved ones begin, from `start` on; `limit` if they do not before it. */
  #reservedFrom(start: number, limit: number): number {
    return Math.min(limit, this.#reserved.nextIn(start));
  }
}

function nothing(code: string): LeaseAnswer {
  return { code, leaseMs: 0, lease: undefined, batches: [] };
}

/** The batches with any of the offsets held; both ascend. */
function holding(held: readonly number[], batches: readonly Entry[]): Entry[] {
  let part = 0;
  return batches.filter(({ baseOffset, nextOffset }) => {
    while (part < held.length && held[part + 1]! <= baseOffset) part += 3;
    return part < held.length && held[part]! < nextOffset;
  });
}
