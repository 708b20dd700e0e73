/** Records that wait for one moment together: put off by a nack, or sent with a time before which nobody gets them. */
import type { OffsetSet } from "../../../src/records/offset-set.ts";
import { OffsetPile } from "./offset-pile.ts";
import type { ReadyRecords } from "./ready-records.ts";

/** "delay": so long after the leader heard of it; a new leader begins anew. "wall": at a time of the leader's clock. */
export type ParcelKind = "delay" | "wall";
const KINDS: readonly ParcelKind[] = ["delay", "wall"];

export type EncodedParcel = [
  parcelId: number,
  kind: number,
  ms: number,
  piles: [deliveries: number, offsets: Uint8Array][],
];

export class Parcel {
  readonly parcelId: number;
  readonly kind: ParcelKind;
  /** A length or milliseconds since 1970, by its kind. */
  readonly ms: number;
  readonly #piles = new Map<number, OffsetPile>();

  constructor(parcelId: number, kind: ParcelKind, ms: number) {
    this.parcelId = parcelId;
    this.kind = kind;
    this.ms = ms;
  }

  get size(): number {
    let size = 0;
    for (const pile of this.#piles.values()) size += pile.size;
    return size;
  }

  add(offsets: OffsetSet, deliveries: number): void {
    this.#pileOf(deliveries).add(offsets);
  }

  /** Puts what is at `from` or above it among the ready ones. */
  moveTo(ready: ReadyRecords, from: number): void {
    for (const [deliveries, pile] of this.#piles) pile.moveTo(ready.of(deliveries), from);
  }

  encode(): EncodedParcel {
    const piles = [...this.#piles].sort(([a], [b]) => a - b);
    return [
      this.parcelId,
      KINDS.indexOf(this.kind),
      this.ms,
      piles.map(([deliveries, pile]) => [deliveries, pile.encode()]),
    ];
  }

  /** Only for what {@link encode} gave. */
  static decode([parcelId, kind, ms, piles]: EncodedParcel): Parcel {
    const parcel = new Parcel(parcelId, KINDS[kind]!, ms);
    for (const [deliveries, offsets] of piles) parcel.#pileOf(deliveries).load(offsets);
    return parcel;
  }

  #pileOf(deliveries: number): OffsetPile {
    let pile = this.#piles.get(deliveries);
    if (pile === undefined) this.#piles.set(deliveries, pile = new OffsetPile());
    return pile;
  }
}
