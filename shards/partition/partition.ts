/** One partition on this node: takes batches where it leads, and finds committed entries for readers. */
import type { Log } from "../../src/log/types.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { Entry, EntryKind } from "../../src/records/entry.ts";
import { RecordsError } from "../../src/records/errors.ts";
import { timingOf } from "../../src/records/timing.ts";
import { BATCH_BYTES_MAX } from "../../src/wire/limits.ts";
import type { Host } from "../host/host.ts";
import type { Replica } from "../host/replica.ts";
import type { ProposalCode } from "../host/state-machine.ts";
import type { CatchUpReads } from "./catch-up-reads.ts";
import type { Lease } from "./read-memory.ts";
import { encodePartitionCommand, type TrimReason } from "./commands.ts";
import { LogTrimmer } from "./log-trimmer.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { DeadLetterOffice } from "./dead-letter-forwarder.ts";
import { GroupLeader } from "./group-leader.ts";
import type { GroupTable } from "./groups/group-table.ts";
import type { PartitionMachine } from "./machine.ts";
import { ProducerTable } from "./producer-table.ts";

/** Room for a record's envelope beside its value when a batch of one is held against the topic's limit. */
const RECORD_OVERHEAD_BYTES = 1_024;

/** Who waits for a batch: hears once. `baseOffset` has meaning when `code` is empty. */
export type ProduceDone = (code: string, baseOffset: number) => void;

/** What a batch may have. */
export interface BatchLimits {
  readonly batchBytesMax: number;
  /** Of a record that comes alone. */
  readonly recordBytesMax: number;
}

interface DuplicateWaiting {
  readonly baseOffset: number;
  readonly done: ProduceDone;
}

/** Of a topic's partitions on this node, since the node began. */
export interface Traffic {
  producedRecords: number;
  producedBytes: number;
  /** By consumers and queues, and to find places. */
  readBytes: number;
}

/** `startOffset` has meaning when `code` is empty. */
export interface TrimResult {
  readonly code: ProposalCode;
  readonly startOffset: number;
}

export interface PartitionOptions {
  readonly runtime: Runtime;
  readonly host: Host;
  readonly log: Log;
  readonly replica: Replica;
  readonly machine: PartitionMachine;
  /** Where its dead records go. */
  readonly office: DeadLetterOffice;
  /** Of the node: all its partitions share it. */
  readonly catchUp: CatchUpReads;
  /** Of the topic, as it is now. */
  readonly recordBytesMax: () => number;
  /** Of the topic: what happens here is counted there. */
  readonly traffic: Traffic;
}

export class Partition {
  readonly replica: Replica;
  readonly #options: PartitionOptions;
  readonly #machine: PartitionMachine;
  /** While leading: the producer table with what was proposed and not yet applied. */
  #proposed: ProducerTable | undefined;
  #duplicates: DuplicateWaiting[] = [];
  #groups: GroupLeader | undefined;
  readonly #tailReaders = new Set<() => void>();
  readonly #trimmer: LogTrimmer;
  #isDamaged = false;
  #oldest: { readonly startOffset: number; readonly timestampMs: number } | undefined;

  constructor(options: PartitionOptions) {
    this.#options = options;
    this.replica = options.replica;
    this.#machine = options.machine;
    this.#machine.onAdvanced = () => this.#advanced();
    this.#machine.onLeadership = (leads) => this.#leadership(leads);
    this.#trimmer = new LogTrimmer(options);
    this.#machine.onTrim = () => this.#trimmer.wake();
    // The process may have ended between a trim and what followed from it.
    this.#trimmer.wake();
  }

  get leads(): boolean {
    return this.replica.isLeading && !this.#isDamaged;
  }

  /** It serves no more until it was repaired: somebody else has to lead. */
  damaged(): void {
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    this.close();
  }

  /** Whoever waits for something here hears that it is to be had elsewhere. */
  close(): void {
    this.#leadership(false);
  }

  get leaderHint(): NodeId {
    const { leader, id } = this.replica.raft;
    return this.#isDamaged && leader === id ? 0 : leader;
  }

  get highWatermark(): number {
    return this.#machine.highWatermark;
  }

  /** First offset that still exists. The log may begin before (at a batch's start), or after while this replica lags. */
  get startOffset(): number {
    const { log } = this.#options;
    return Math.max(this.#machine.startOffset, log.group(this.replica.group)?.startOffset ?? 0);
  }

  get sizeBytes(): number {
    return this.#options.log.group(this.replica.group)?.sizeBytes ?? 0;
  }

  /** Cursors and queues, as of what is applied. */
  get groupTable(): GroupTable {
    return this.#machine.groups;
  }

  /** Takes changes of cursors and queues; undefined while this node does not lead. */
  get groups(): GroupLeader | undefined {
    return this.#groups;
  }

  /** Stores one batch, as its producer built it; its place is stamped into `bytes`. */
  produce(bytes: Uint8Array, done: ProduceDone, limits: BatchLimits = this.#limits()): void {
    if (!this.leads) return done("NOT_LEADER", 0);
    const checked = checkBatch(bytes, limits);
    if (typeof checked === "string") return done(checked, 0);
    if (checked.producerId !== 0 && !this.#isNext(checked, done)) return;
    let refused = false;
    this.#options.host.propose(this.replica, checked, {
      settled: (code: ProposalCode, entry: Entry) => {
        refused = true;
        if (code === "") this.#produced(entry);
        done(code, entry.baseOffset);
      },
    });
    // A commit is never reported within the call: what was settled by now has no place in the log.
    if (checked.producerId !== 0 && !refused) this.#proposed!.record(checked);
  }

  /**
   * Whole committed entries from the one that holds `offset` on, at least one if there is any, until `bytesMax`. From
   * memory if they are there, else from the log. The caller has checked that the offset is in range. With a `lease` they
   * are good until it ends.
   */
  read(offset: number, bytesMax: number, lease?: Lease): Entry[] | Promise<Entry[]> {
    const { raft, group } = this.replica;
    const index = this.#tailIndexOf(offset);
    const entries = index === undefined ? undefined : raft.log.slice(index, raft.applied, bytesMax);
    if (entries) {
      this.#wasRead(entries);
      return entries;
    }
    const reading = this.#options.catchUp.read(group, offset, raft.applied, bytesMax, lease);
    reading.then((found) => this.#wasRead(found), () => {});
    return reading;
  }

  #produced({ recordCount, byteLength }: Entry): void {
    const { traffic } = this.#options;
    traffic.producedRecords += recordCount;
    traffic.producedBytes += byteLength;
  }

  #wasRead(entries: readonly Entry[]): void {
    const { traffic } = this.#options;
    for (const { byteLength } of entries) traffic.readBytes += byteLength;
  }

  /**
   * The high watermark, after a read barrier: everything that was acknowledged anywhere before the call is below it.
   * Undefined if this replica does not lead (any more).
   */
  async end(): Promise<number | undefined> {
    return await this.replica.readBarrier() ? this.highWatermark : undefined;
  }

  async offsetAtTime(timeMs: number): Promise<number> {
    const { group, raft } = this.replica;
    const { log } = this.#options;
    // Of what is not on this disk yet the log knows nothing.
    let index = log.group(group) ? await log.seekTime(group, timeMs) : raft.log.firstIndex;
    for (let entry = raft.log.entry(index); index <= raft.applied; entry = raft.log.entry(++index)) {
      if (entry === undefined || entry.maxTimestampMs >= timeMs) break;
    }
    return Math.max(this.startOffset, await this.offsetAtIndex(index));
  }

  /** Of the first record at `index` or after it; the high watermark if none is committed. */
  async offsetAtIndex(index: number): Promise<number> {
    const { group, raft } = this.replica;
    if (index > raft.applied) return this.highWatermark;
    const entry = raft.log.entry(index) ?? (await this.#options.log.read(group, index, index, 1))[0];
    return entry?.baseOffset ?? this.highWatermark;
  }

  /** Where the batch that holds `offset` begins. The caller has checked that it is in range. */
  async batchStart(offset: number): Promise<number> {
    const [batch] = await this.read(offset, 1);
    return batch?.baseOffset ?? offset;
  }

  /** Of the batch at the start; there must be one. */
  async oldestTimestampMs(): Promise<number> {
    const { startOffset } = this;
    if (this.#oldest?.startOffset !== startOffset) {
      const [batch] = await this.read(startOffset, 1);
      this.#oldest = { startOffset, timestampMs: batch?.maxTimestampMs ?? Infinity };
    }
    return this.#oldest.timestampMs;
  }

  /** Records below `offset` may go. Resolves when a majority has it on disk, with where the records begin then. */
  trim(offset: number, reason: TrimReason): Promise<TrimResult> {
    const { host } = this.#options;
    return new Promise((resolve) => {
      host.propose(this.replica, encodePartitionCommand({ type: "trim", offset, reason }), {
        settled: (code, _entry, startOffset) =>
          resolve({ code, startOffset: (startOffset as number | undefined) ?? 0 }),
      });
    });
  }

  /** Calls `wake` whenever the high watermark rises or the leader changes. Returns how to stop. */
  watchTail(wake: () => void): () => void {
    this.#tailReaders.add(wake);
    return () => this.#tailReaders.delete(wake);
  }

  /** For producers. */
  #limits(): BatchLimits {
    return { batchBytesMax: BATCH_BYTES_MAX, recordBytesMax: this.#options.recordBytesMax() };
  }

  /** Index of the entry in memory that holds `offset`; undefined when that is not in memory. */
  #tailIndexOf(offset: number): number | undefined {
    const { log, applied } = this.replica.raft;
    let low = log.tailFirstIndex;
    let high = applied;
    const first = log.entry(low);
    if (first === undefined || first.baseOffset > offset) return undefined;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = log.entry(middle);
      if (entry === undefined) return undefined;
      if (entry.nextOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #isNext(entry: Entry, done: ProduceDone): boolean {
    const { producerId, producerEpoch, baseSequence, recordCount } = entry;
    const check = this.#proposed!.check(producerId, producerEpoch, baseSequence, recordCount);
    if (check.kind === "next") return true;
    if (check.kind === "refused") done(check.code, 0);
    else if (check.baseOffset < this.highWatermark) done("", check.baseOffset);
    else this.#duplicates.push({ baseOffset: check.baseOffset, done });
    return false;
  }

  #advanced(): void {
    if (this.#duplicates.length > 0) this.#answerDuplicates();
    this.#groups?.wake();
    for (const wake of this.#tailReaders) wake();
  }

  /** A batch sent again while its first sending was on its way is acknowledged when that is committed. */
  #answerDuplicates(): void {
    const waiting = this.#duplicates;
    this.#duplicates = [];
    for (const item of waiting) {
      if (item.baseOffset < this.highWatermark) item.done("", item.baseOffset);
      else this.#duplicates.push(item);
    }
  }

  /** Whoever cannot read its log takes nothing on, even where it is elected once more before another one can lead. */
  #leadership(isLeading: boolean): void {
    const leads = isLeading && !this.#isDamaged;
    this.#proposed = undefined;
    if (leads) {
      this.#proposed = new ProducerTable();
      this.#proposed.load(this.#machine.producers.encode());
    }
    const { host, runtime, office } = this.#options;
    const ended = this.#groups;
    this.#groups = leads
      ? new GroupLeader({
        runtime,
        groups: this.#machine.groups,
        source: this,
        office,
        propose: (entry, waiter) => host.propose(this.replica, entry, waiter),
      })
      : undefined;
    ended?.close();
    const waiting = this.#duplicates;
    this.#duplicates = [];
    for (const { done } of waiting) done("NOT_LEADER", 0);
    for (const wake of this.#tailReaders) wake();
  }
}

/** The batch as an entry, or the code of what is wrong with it. */
function checkBatch(bytes: Uint8Array, { batchBytesMax, recordBytesMax }: BatchLimits): Entry | string {
  if (bytes.length > batchBytesMax) return "TOO_LARGE";
  try {
    const entry = Entry.parse(bytes);
    if (entry.byteLength !== bytes.length || entry.kind !== EntryKind.batch || entry.recordCount === 0) {
      return "CORRUPT";
    }
    if (entry.recordCount === 1 && entry.payload.length > recordBytesMax + RECORD_OVERHEAD_BYTES) return "TOO_LARGE";
    entry.verifyPayload();
    // Whoever gives it out reads its times.
    timingOf(entry);
    return entry;
  } catch (error) {
    if (error instanceof RecordsError) return "CORRUPT";
    throw error;
  }
}
