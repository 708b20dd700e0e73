/**
 * A partition's state machine. Its records are the log itself; the state beside it is only the producer table and the
 * high watermark.
 */
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { StateMachine } from "../host/state-machine.ts";
import { ProducerTable } from "./producer-table.ts";

export class PartitionMachine implements StateMachine {
  /** First offset that is not committed. */
  highWatermark = 0;
  /** As of what is applied: the same on every replica. */
  readonly producers = new ProducerTable();
  /** Called when the high watermark has risen. */
  onAdvanced: () => void = () => {};
  /** Called when this replica begins or ceases to lead. */
  onLeadership: (leads: boolean) => void = () => {};

  apply(entry: Entry): undefined {
    this.highWatermark = entry.nextOffset;
    if (entry.kind !== EntryKind.batch) return;
    if (entry.producerId !== 0) this.producers.record(entry);
    this.onAdvanced();
  }

  capture(): Uint8Array {
    return this.producers.encode();
  }

  restore(state: Uint8Array, nextOffset: number): void {
    this.producers.load(state);
    this.highWatermark = nextOffset;
  }

  onLeading(): void {
    this.onLeadership(true);
  }

  onFollowing(): void {
    this.onLeadership(false);
  }
}
