/**
 * A partition's state machine. Its records are the log itself; the state beside it is small: the producer table, where
 * the records begin, the high watermark, and how far consumer groups and queues are.
 */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { StateMachine } from "../host/state-machine.ts";
import { decodePartitionCommand, type PartitionCommand } from "./commands.ts";
import { applyGroupCommand } from "./groups/apply-group-command.ts";
import { GroupTable } from "./groups/group-table.ts";
import { ProducerTable } from "./producer-table.ts";

const STATE_VERSION = 1;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

type CapturedState = [
  version: number,
  producers: Uint8Array,
  startOffset: number,
  groups: Uint8Array,
  stateIndex: number,
];

export class PartitionMachine implements StateMachine {
  /** First offset that is not committed. */
  highWatermark = 0;
  /** First offset that was not trimmed away. Above the high watermark only while a lagging follower catches up. */
  startOffset = 0;
  /** As of what is applied: the same on every replica. */
  readonly producers = new ProducerTable();
  /** As of what is applied: the same on every replica. */
  readonly groups = new GroupTable();
  /**
   * The state is as of this index: usually of the entry applied last. A lagging follower starts from where the log
   * begins with a state as it was later (its leader has no other one): what it then applies up to here is in it already.
   */
  #stateIndex = 0;
  /** Called when the high watermark has risen. */
  onAdvanced: () => void = () => {};
  /** Called when this replica begins or ceases to lead. */
  onLeadership: (leads: boolean) => void = () => {};
  /** Called when `startOffset` has risen: the bytes below may be given back. */
  onTrim: (startOffset: number) => void = () => {};

  apply(entry: Entry): unknown {
    this.highWatermark = entry.nextOffset;
    const isBatch = entry.kind === EntryKind.batch;
    const result = entry.index > this.#stateIndex ? this.#change(entry) : undefined;
    if (isBatch) this.onAdvanced();
    return result;
  }

  capture(): Uint8Array {
    const { producers, startOffset, groups } = this;
    const state: CapturedState = [STATE_VERSION, producers.encode(), startOffset, groups.encode(), this.#stateIndex];
    return encoder.encode(state);
  }

  restore(state: Uint8Array, nextOffset: number): void {
    const [version, producers, startOffset, groups, stateIndex] = decoder.decode(state) as CapturedState;
    if (version !== STATE_VERSION) throw new Error(`version ${version} of a partition's state is not known`);
    this.producers.load(producers);
    this.groups.load(groups);
    this.startOffset = startOffset;
    this.highWatermark = nextOffset;
    this.#stateIndex = stateIndex;
  }

  onLeading(): void {
    this.onLeadership(true);
  }

  onFollowing(): void {
    this.onLeadership(false);
  }

  #change(entry: Entry): unknown {
    this.#stateIndex = entry.index;
    if (entry.kind === EntryKind.command) return this.#execute(decodePartitionCommand(entry));
    if (entry.kind === EntryKind.batch && entry.producerId !== 0) this.producers.record(entry);
    return undefined;
  }

  /** What it returns goes to the proposer. */
  #execute(command: PartitionCommand): unknown {
    switch (command.type) {
      case "trim":
        return this.#trim(command.offset);
      case "groups": {
        const range = { start: this.startOffset, end: this.highWatermark };
        return command.commands.map((one) => applyGroupCommand(this.groups, one, range));
      }
    }
  }

  /** Where the records begin now. */
  #trim(offset: number): number {
    const startOffset = Math.min(offset, this.highWatermark);
    if (startOffset > this.startOffset) {
      this.startOffset = startOffset;
      this.groups.trimmed(startOffset);
      this.onTrim(startOffset);
    }
    return this.startOffset;
  }
}
