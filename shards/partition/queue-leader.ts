/**
 * One queue on the partition's leader: chooses which records a consumer gets, has that replicated as a lease, and hands
 * the batches out when it is committed. What is on its way into the log is reserved, so that it is not offered twice;
 * the state decides in the end.
 */
import type { Entry } from "../../src/records/entry.ts";
import { OffsetSet } from "../../src/records/offset-set.ts";
import { timingOf } from "../../src/records/timing.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { LEASE_RECORDS_MAX } from "../../src/wire/limits.ts";
import type { GivenLease } from "./groups/apply-group-command.ts";
import { DEAD_RECORDS_MAX, LEASED_RECORDS_MAX, LEASED_RECORDS_PER_CONSUMER_MAX, LEASES_MAX } from "./groups/limits.ts";
import type { GroupCommand } from "./groups/group-commands.ts";
import type { DeliveredRecords } from "./groups/leases.ts";
import type { QueueState } from "./groups/queue-state.ts";
import type { GroupDone, GroupProposals } from "./group-proposals.ts";
import { KeyWindow } from "./queue-key-window.ts";
import { codeOfReadFailure } from "./read-failures.ts";
import { QueueDeadlines } from "./queue-deadlines.ts";
import { type QueueSource, QueueWindow } from "./queue-window.ts";

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
  readonly offsets: OffsetSet;
  readonly batches: readonly Entry[];
}

export class QueueLeader {
  readonly group: string;
  readonly state: QueueState;
  readonly deadlines: QueueDeadlines;
  readonly #options: QueueLeaderOptions;
  /** Of new records, and of those that come again: they lie apart. */
  readonly #fresh: QueueWindow;
  readonly #again: QueueWindow;
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
  /** How often the queue had been reset when they were looked at. */
  #keysResets = 0;
  #closed = false;

  constructor(group: string, state: QueueState, options: QueueLeaderOptions) {
    this.group = group;
    this.state = state;
    this.#options = options;
    this.#fresh = new QueueWindow(options.source);
    this.#again = new QueueWindow(options.source);
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
    if (this.#reading) return;
    this.#fresh.clear();
    this.#again.clear();
  }

  close(): void {
    this.#closed = true;
    for (const { done } of this.#waiting.splice(0)) done(nothing("NOT_LEADER"));
  }

  #pump(): void {
    while (this.#waiting.length > 0 && !this.#reading && !this.#closed) {
      const unknown = this.#mustScan();
      if (unknown !== undefined) {
        if (!this.#isAtHand(this.#fresh, unknown)) return;
        this.#scan(unknown);
        continue;
      }
      const { wish, done } = this.#waiting[0]!;
      const start = this.#roomFor(wish.consumer) > 0 ? this.#candidate() : undefined;
      if (start === undefined) {
        this.#waiting.shift();
        done(nothing(""));
        continue;
      }
      const window = this.#windowOf(start);
      if (!this.#isAtHand(window, start)) return;
      if (this.#setAside(start, window.at(start)!)) continue;
      this.#waiting.shift();
      this.#propose(wish, this.#choose(start, wish), done);
    }
  }

  /** Where what begins at `start` is given out from. Keys are looked for in the other one. */
  #windowOf(start: number): QueueWindow {
    return this.#keys === undefined && start >= this.state.next ? this.#fresh : this.#again;
  }

  /** A batch whose time has not come, or is over, is not given out: its free records wait, or are done. */
  #setAside(start: number, batch: Entry): boolean {
    const verdict = this.deadlines.verdictOn(timingOf(batch));
    if (verdict === "now") return false;
    const { group } = this;
    const offsets = OffsetSet.of(start, batch.nextOffset);
    const command = verdict === "over"
      ? { op: "drop", group, offsets } as const
      : { op: "park", group, offsets, ...this.deadlines.wallParcelFor(timingOf(batch).deliverAtMs!) } as const;
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

  /** False: it is being fetched, or it is not there and who waits has been told. */
  #isAtHand(window: QueueWindow, offset: number): boolean {
    const loaded = window.load(offset);
    if (loaded === true) return true;
    if (loaded === false) {
      this.#failWaiting("");
      return false;
    }
    this.#reading = true;
    loaded.then(
      (isThere) => {
        this.#reading = false;
        if (isThere) this.#pump();
        else this.#failWaiting("");
      },
      (error: unknown) => {
        this.#reading = false;
        this.#options.runtime.log.write("error", "a queue cannot read its records", {
          group: this.group,
          offset,
          reason: String(error),
        });
        const code = codeOfReadFailure(error, this.#options.source);
        // Retention was quicker: whoever asks again is given what is left.
        this.#failWaiting(code === "OFFSET_OUT_OF_RANGE" ? "" : code);
      },
    );
    return false;
  }

  #failWaiting(code: string): void {
    for (const { done } of this.#waiting.splice(0)) done(nothing(code));
  }

  #propose({ consumer }: LeaseWish, { offsets, batches }: Choice, done: LeaseDone): void {
    const { leaseMs } = this.state.settings;
    const records = this.#reserved.addAll(offsets);
    this.#reservedBy.set(consumer, (this.#reservedBy.get(consumer) ?? 0) + records);
    this.#leasesOnTheirWay += 1;
    this.#options.proposals.submit(
      { op: "lease", group: this.group, consumer, leaseMs, offsets },
      ({ code, lease }) => {
        this.#leasesOnTheirWay -= 1;
        this.#reserved.take(offsets);
        const left = this.#reservedBy.get(consumer)! - records;
        if (left > 0) this.#reservedBy.set(consumer, left);
        else this.#reservedBy.delete(consumer);
        if (lease !== undefined) {
          this.deadlines.leaseRuns(lease.leaseId, leaseMs);
          this.#options.onDeadline();
        }
        done({ code, leaseMs, lease, batches: lease === undefined ? [] : holding(lease.parts, batches) });
      },
    );
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
    // After a reset what was seen to be over is open again.
    if (this.#keys === undefined || this.#keysResets !== state.resets) this.#keys = new KeyWindow(state.floor);
    this.#keysResets = state.resets;
    if (!this.#keys.hasRoom) this.#keys.free(this.#isOver, this.#isFree);
    const next = state.nextOpen(this.#keys.scannedTo);
    return this.#keys.hasRoom && next < this.#options.source.highWatermark ? next : undefined;
  }

  #scan(from: number): void {
    const keys = this.#keys!;
    keys.scannedTo = from;
    for (let batch = this.#fresh.at(from); batch !== undefined; batch = this.#fresh.at(keys.scannedTo)) {
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
    return this.state.ready.next(from, this.#reserved);
  }

  #nextNew(from: number): number {
    const at = this.#reserved.nextOut(Math.max(from, this.state.next));
    return at < this.#options.source.highWatermark ? at : Infinity;
  }

  #choose(start: number, wish: LeaseWish): Choice {
    if (this.#keys !== undefined) return this.#chooseByKey(this.#keys.free(this.#isOver, this.#isFree), wish);
    const isNew = start >= this.state.next;
    this.#newFirst = !isNew;
    const window = this.#windowOf(start);
    const room = Math.min(wish.recordsMax, this.#roomFor(wish.consumer));
    const offsets = new OffsetSet();
    const batches: Entry[] = [];
    let bytes = 0;
    let at = start;
    while (offsets.size < room) {
      const batch = window.at(at);
      if (batch === undefined) break;
      bytes += batch.byteLength;
      if (batches.length > 0 && (bytes > wish.bytesMax || this.deadlines.verdictOn(timingOf(batch)) !== "now")) break;
      const found = isNew ? OffsetSet.of(at, batch.nextOffset) : this.state.ready.within(at, batch.nextOffset);
      found.take(this.#reserved);
      // The rest of a batch would be read, sent and checked again.
      if (found.size > room - offsets.size && offsets.size >= room / 2) break;
      found.keepFirst(room - offsets.size);
      offsets.addAll(found);
      batches.push(batch);
      at = isNew ? this.#nextNew(batch.nextOffset) : this.#nextReady(batch.nextOffset);
    }
    window.advance(offsets.size < room ? at : offsets.end);
    return { offsets, batches };
  }

  #chooseByKey(free: readonly number[], wish: LeaseWish): Choice {
    const room = Math.min(wish.recordsMax, this.#roomFor(wish.consumer), free.length);
    const offsets = new OffsetSet();
    const batches: Entry[] = [];
    let bytes = 0;
    for (let i = 0; i < room; i++) {
      const batch = this.#again.at(free[i]!);
      if (batch === undefined) break;
      if (batch !== batches.at(-1)) {
        if (this.deadlines.verdictOn(timingOf(batch)) !== "now") break;
        bytes += batch.byteLength;
        if (batches.length > 0 && bytes > wish.bytesMax) break;
        batches.push(batch);
      }
      offsets.add(free[i]!, free[i]! + 1);
    }
    return { offsets, batches };
  }
}

function nothing(code: string): LeaseAnswer {
  return { code, leaseMs: 0, lease: undefined, batches: [] };
}

/** The batches with any of the offsets held. */
function holding(parts: readonly DeliveredRecords[], batches: readonly Entry[]): Entry[] {
  return batches.filter(({ baseOffset, nextOffset }) => {
    return parts.some(({ offsets }) => offsets.nextIn(baseOffset) < nextOffset);
  });
}
