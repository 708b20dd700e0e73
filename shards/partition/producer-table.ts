/**
 * What a partition knows of its idempotent producers: the last sequences of each and where they went. A batch that is
 * sent again is recognised and stored once (KIP-98; its window of five batches would have a lone partition wait for its
 * answers). Batches that follow each other in sequence and in offset are one run: a producer that is alone has one.
 */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { Entry } from "../../src/records/entry.ts";
import { PRODUCER_WINDOW_BATCHES } from "../../src/wire/limits.ts";

/** A run ends there: its sequences must not come round. */
const RUN_RECORDS_MAX = 2 ** 30;

/** Producers remembered per partition; the one silent for longest is forgotten first. */
export const PRODUCERS_MAX = 10_000;

/** Sequences are unsigned 32-bit integers, and come round. */
interface Run {
  readonly baseSequence: number;
  recordCount: number;
  readonly baseOffset: number;
}

interface Producer {
  epoch: number;
  nextSequence: number;
  /** The newest last, at most as many as batches in the window. */
  runs: Run[];
}

export type SequenceCheck =
  | { readonly kind: "next" }
  | { readonly kind: "duplicate"; readonly baseOffset: number }
  | { readonly kind: "refused"; readonly code: "OUT_OF_ORDER_SEQUENCE" | "UNKNOWN_PRODUCER_ID" | "PRODUCER_FENCED" };

const NEXT: SequenceCheck = { kind: "next" };
const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

export class ProducerTable {
  /** Least recently heard first. */
  readonly #producers = new Map<number, Producer>();
  #newest = -1;

  get size(): number {
    return this.#producers.size;
  }

  check(producerId: number, epoch: number, baseSequence: number, recordCount: number): SequenceCheck {
    const producer = this.#producers.get(producerId);
    if (!producer) return baseSequence === 0 ? NEXT : { kind: "refused", code: "UNKNOWN_PRODUCER_ID" };
    if (epoch < producer.epoch) return { kind: "refused", code: "PRODUCER_FENCED" };
    // A new epoch starts from 0, whatever the old one had.
    if (epoch > producer.epoch) {
      return baseSequence === 0 ? NEXT : { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE" };
    }
    if (baseSequence === producer.nextSequence) return NEXT;
    for (let i = producer.runs.length - 1; i >= 0; i--) {
      const run = producer.runs[i]!;
      const from = (baseSequence - run.baseSequence) >>> 0;
      if (from + recordCount <= run.recordCount) return { kind: "duplicate", baseOffset: run.baseOffset + from };
    }
    return { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE" };
  }

  /** The entry has its place: it is the producer's newest. */
  record(entry: Entry): void {
    const { producerId, producerEpoch, baseSequence, recordCount, baseOffset } = entry;
    let producer = this.#producers.get(producerId);
    // The newest is last in line. Where it is that already, it is left there: a map that is emptied shrinks.
    const isNewest = this.#newest === producerId;
    this.#newest = producerId;
    if (producer && !isNewest) this.#producers.delete(producerId);
    if (!producer || producer.epoch !== producerEpoch) {
      producer = { epoch: producerEpoch, nextSequence: 0, runs: [] };
    }
    const newest = producer.runs.at(-1);
    if (newest !== undefined && baseSequence === producer.nextSequence && continues(newest, recordCount, baseOffset)) {
      newest.recordCount += recordCount;
    } else {
      producer.runs.push({ baseSequence, recordCount, baseOffset });
      if (producer.runs.length > PRODUCER_WINDOW_BATCHES) producer.runs.shift();
    }
    producer.nextSequence = (baseSequence + recordCount) >>> 0;
    this.#producers.set(producerId, producer);
    if (this.#producers.size > PRODUCERS_MAX) this.#forgetOldest();
  }

  encode(): Uint8Array {
    return encoder.encode(
      [...this.#producers].map(([id, { epoch, nextSequence, runs }]) => [
        id,
        epoch,
        nextSequence,
        runs.map((run) => [run.baseSequence, run.recordCount, run.baseOffset]),
      ]),
    );
  }

  /** Only for bytes of {@link encode} whose checksum matched. */
  load(bytes: Uint8Array): void {
    this.#producers.clear();
    this.#newest = -1;
    const rows = decoder.decode(bytes) as [number, number, number, [number, number, number][]][];
    for (const [id, epoch, nextSequence, runs] of rows) {
      this.#producers.set(id, {
        epoch,
        nextSequence,
        runs: runs.map(([baseSequence, recordCount, baseOffset]) => ({ baseSequence, recordCount, baseOffset })),
      });
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#producers.keys();
    if (oldest !== undefined) this.#producers.delete(oldest);
  }
}

function continues(run: Run, recordCount: number, baseOffset: number): boolean {
  return baseOffset === run.baseOffset + run.recordCount && run.recordCount + recordCount <= RUN_RECORDS_MAX;
}
