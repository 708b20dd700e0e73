/** Which partition a record goes to: the one it names, its key's, or the one whose batch is being filled. */
import type { Bytes } from "../records/batch-writer.ts";
import { keyHash, partitionOfKey } from "../records/key-hash.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { PartitionQueue } from "./partition-queue.ts";

/** Of a record without its value. */
const RECORD_BYTES_ROUGH = 32;

export class Partitioner {
  readonly #topic: string;
  readonly #queues: readonly PartitionQueue[];
  readonly #batchBytesMax: number;
  /** Where records without a key go, until the batch they began there is full or sent: whole batches, spread. */
  #sticky: number;
  /** Batches its queue had begun when its turn came. */
  #stickyBegun = 0;

  /** `queues` by partition; `first`: where the spreading begins. */
  constructor(topic: string, queues: readonly PartitionQueue[], batchBytesMax: number, first: number) {
    this.#topic = topic;
    this.#queues = queues;
    this.#batchBytesMax = batchBytesMax;
    this.#sticky = first;
  }

  /** @throws {RaftlineError} `UNKNOWN_PARTITION` */
  queueFor(key: Bytes | null, value: Bytes, partition: number | undefined): PartitionQueue {
    const queues = this.#queues;
    if (partition !== undefined) {
      const named = queues[partition];
      if (named !== undefined) return named;
      throw new RaftlineError("UNKNOWN_PARTITION", `topic "${this.#topic}" has partitions 0 to ${queues.length - 1}`);
    }
    if (key !== null) return queues[partitionOfKey(keyHash(key), queues.length)]!;
    const queue = queues[this.#sticky]!;
    const { openBytes } = queue;
    const stays = openBytes === 0
      ? queue.batchesBegun === this.#stickyBegun
      // Callers without types may pass anything: the batch's writer refuses it.
      : openBytes + (value?.length ?? 0) + RECORD_BYTES_ROUGH <= this.#batchBytesMax;
    if (stays) return queue;
    queue.closeOpen();
    this.#sticky = this.#next();
    const next = queues[this.#sticky]!;
    this.#stickyBegun = next.batchesBegun;
    return next;
  }

  /** The next partition in turn that is getting along; if none is, just the next. */
  #next(): number {
    const { length } = this.#queues;
    for (let step = 1; step <= length; step++) {
      const candidate = (this.#sticky + step) % length;
      if (this.#queues[candidate]!.healthy) return candidate;
    }
    return (this.#sticky + 1) % length;
  }
}
