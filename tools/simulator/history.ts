/**
 * What clients asked, heard and read, and whether it can be so: the checker of the topic log. A value is unique; a send
 * that ended without an answer is unknown: it may be stored, once.
 */
export interface Violation {
  readonly invariant: string;
  readonly detail: string;
}

/** The invariant that is broken by what was thrown and is nobody's. */
export const UNCAUGHT = "an exception nobody caught";

interface Sent {
  readonly producer: number;
  readonly key: string;
  /** Rises with each send of the producer to this key. */
  readonly number: number;
  partition: number;
  /** -1: not acknowledged. */
  offset: number;
}

interface Seen {
  readonly value: string;
}

export class TopicHistory {
  readonly #sent = new Map<string, Sent>();
  /** By partition, then offset: what anyone ever read there. */
  readonly #read: Map<number, Seen>[] = [];
  readonly #placeOf = new Map<string, string>();
  readonly #fail: (violation: Violation) => void;
  /** By partition: below the first one records may be deleted, below the second they are. */
  readonly #trims: { asked: number; done: number }[] = [];
  readonly #ends: number[] = [];
  acknowledged = 0;
  unknown = 0;

  constructor(partitions: number, fail: (violation: Violation) => void) {
    for (let i = 0; i < partitions; i++) {
      this.#read.push(new Map());
      this.#trims.push({ asked: 0, done: 0 });
      this.#ends.push(0);
    }
    this.#fail = fail;
  }

  /** First offset that nobody asked to delete. */
  keptFrom(partition: number): number {
    return this.#trims[partition]!.asked;
  }

  /** Behind the last record that was acknowledged. */
  endOf(partition: number): number {
    return this.#ends[partition]!;
  }

  trimming(partition: number, beforeOffset: number): void {
    const trims = this.#trims[partition]!;
    trims.asked = Math.max(trims.asked, beforeOffset);
  }

  trimmed(partition: number, startOffset: number): void {
    const trims = this.#trims[partition]!;
    trims.done = Math.max(trims.done, startOffset);
    if (startOffset > trims.asked) {
      const detail = `partition ${partition} begins at ${startOffset}, asked for was ${trims.asked}`;
      this.#fail({ invariant: "deleted more than was asked", detail });
    }
  }

  /** A consumer that begins or goes on at `offset` where `expected` came next. */
  maySkip(partition: number, expected: number, offset: number): boolean {
    return offset > expected && offset <= this.#trims[partition]!.asked;
  }

  /** The first record that somebody found who began to read after everything was over. */
  startsAt(partition: number, offset: number): void {
    const { done } = this.#trims[partition]!;
    if (offset < done) {
      const detail = `partition ${partition} begins at ${offset}, and was trimmed to ${done}`;
      this.#fail({ invariant: "deleted records came back", detail });
    }
  }

  get sends(): number {
    return this.#sent.size;
  }

  invoked(value: string, producer: number, key: string, number: number): void {
    this.#sent.set(value, { producer, key, number, partition: -1, offset: -1 });
  }

  acked(value: string, partition: number, offset: number): void {
    const sent = this.#sent.get(value)!;
    sent.partition = partition;
    sent.offset = offset;
    this.#ends[partition] = Math.max(this.#ends[partition]!, offset + 1);
    this.acknowledged += 1;
    const there = this.#read[partition]!.get(offset);
    if (there && there.value !== value) {
      this.#fail({
        invariant: "acknowledged elsewhere",
        detail: `${value} acknowledged at ${partition}/${offset}, where ${there.value} was read`,
      });
    }
  }

  failed(): void {
    this.unknown += 1;
  }

  /** Some consumer was given this. */
  read(partition: number, offset: number, value: string): void {
    const place = `${partition}/${offset}`;
    const before = this.#read[partition]!.get(offset);
    if (before && before.value !== value) {
      this.#fail({ invariant: "one offset, two values", detail: `${place}: ${before.value} and ${value}` });
    }
    this.#read[partition]!.set(offset, { value });
    const elsewhere = this.#placeOf.get(value);
    if (elsewhere !== undefined && elsewhere !== place) {
      this.#fail({ invariant: "one value, two offsets", detail: `${value} at ${elsewhere} and ${place}` });
    }
    this.#placeOf.set(value, place);
    const sent = this.#sent.get(value);
    if (!sent) this.#fail({ invariant: "read, never sent", detail: `${value} at ${place}` });
    else if (sent.offset >= 0 && (sent.partition !== partition || sent.offset !== offset)) {
      this.#fail({
        invariant: "acknowledged elsewhere",
        detail: `${value} at ${place}, acknowledged at ${sent.partition}/${sent.offset}`,
      });
    }
  }

  /** After healing, when everything was read from the start: `ends` has the high watermarks. */
  checkComplete(ends: readonly number[]): void {
    this.#checkDense(ends);
    for (const [value, { partition, offset }] of this.#sent) {
      if (offset < 0 || offset < this.#trims[partition]!.asked) continue;
      if (this.#read[partition]!.get(offset)?.value !== value) {
        this.#fail({ invariant: "acknowledged and lost", detail: `${value} acknowledged at ${partition}/${offset}` });
      }
    }
    this.#checkOrder();
  }

  #checkDense(ends: readonly number[]): void {
    ends.forEach((end, partition) => {
      for (let offset = this.#trims[partition]!.asked; offset < end; offset++) {
        if (!this.#read[partition]!.has(offset)) {
          this.#fail({
            invariant: "a gap in the offsets",
            detail: `nothing at ${partition}/${offset}, below the end ${end}`,
          });
          return;
        }
      }
    });
  }

  /** One producer's records of one key are in the order of its sends. */
  #checkOrder(): void {
    this.#read.forEach((records, partition) => {
      const last = new Map<string, number>();
      for (const offset of [...records.keys()].sort((a, b) => a - b)) {
        const sent = this.#sent.get(records.get(offset)!.value);
        if (!sent) continue;
        const stream = `${sent.producer} ${sent.key}`;
        const before = last.get(stream) ?? -1;
        if (sent.number <= before) {
          this.#fail({
            invariant: "order within a key",
            detail: `${partition}/${offset}: number ${sent.number} after ${before} of ${stream}`,
          });
        }
        last.set(stream, sent.number);
      }
    });
  }
}

/** One consumer's own view: offsets come one after the other, none left out but what was deleted, none twice. */
export class ConsumerView {
  readonly #next: number[];
  readonly #history: TopicHistory;
  readonly #fail: (violation: Violation) => void;

  constructor(partitions: number, history: TopicHistory, fail: (violation: Violation) => void) {
    this.#next = new Array<number>(partitions).fill(0);
    this.#history = history;
    this.#fail = fail;
  }

  read(partition: number, offset: number): void {
    const expected = this.#next[partition]!;
    if (offset !== expected && !this.#history.maySkip(partition, expected, offset)) {
      this.#fail({
        invariant: "a consumer skipped or went back",
        detail: `partition ${partition}: ${offset} after ${expected - 1}`,
      });
    }
    this.#next[partition] = offset + 1;
  }
}
