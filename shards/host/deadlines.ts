/**
 * One timer for the deadlines of all groups: a wheel of slots, of which only the next filled one is waited for.
 * Deadlines are read again when their slot comes up, so a group whose deadline has moved on costs one look. What is not
 * due soon shares a slot with its neighbours: each wake-up of a quiet process costs more than what is then done.
 */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";

const SLOT_MS = 10;
const SLOTS = 1024;

export interface Timed {
  /** Monotonic ms at which `tick` wants to be called; Infinity for never. */
  readonly deadlineMs: number;
  /** Where it waits; the wheel's own mark. */
  place: Place | undefined;
  tick(nowMs: number): void;
}

/** Where an item waits, and for what. */
export interface Place {
  /** Not wrapped. */
  slot: number;
  deadlineMs: number;
}

export class Deadlines<T extends Timed> {
  readonly #runtime: Runtime;
  /** Deadlines farther away than so many slots wait for a multiple of as many. */
  readonly #sharedSlots: number;
  /** Those that never had an item are not there. */
  readonly #slots = new Array<Set<T> | undefined>(SLOTS).fill(undefined);
  #doneSlot: number;
  /** The slot the timer waits for; -Infinity while slots are fired, when no timer is wanted. */
  #wakeSlot = Infinity;
  #closed = false;
  #timer: Timer | undefined;

  /** `slackMs`: deadlines farther away than this may be met so much later. */
  constructor(runtime: Runtime, slackMs: number) {
    this.#runtime = runtime;
    this.#sharedSlots = Math.max(1, Math.round(slackMs / SLOT_MS));
    this.#doneSlot = Math.floor(runtime.clock.monotonicMs() / SLOT_MS);
  }

  /** Call when an item is new or its deadline may have come nearer. A deadline that moved away needs no call. */
  update(item: T): void {
    const { deadlineMs, place } = item;
    if (place !== undefined && place.deadlineMs <= deadlineMs) return;
    const slot = this.#slotFor(deadlineMs, this.#runtime.clock.monotonicMs());
    this.#put(item, slot, deadlineMs);
    if (slot < this.#wakeSlot) this.#wakeAt(slot);
  }

  remove(item: T): void {
    if (item.place === undefined) return;
    this.#slots[item.place.slot % SLOTS]?.delete(item);
    item.place = undefined;
  }

  close(): void {
    this.#timer?.cancel();
    this.#closed = true;
    this.#wakeSlot = -Infinity;
  }

  /** A deadline beyond the wheel waits in its last slot and is looked at again there. */
  #slotFor(deadlineMs: number, nowMs: number): number {
    const shared = this.#sharedSlots;
    const nowSlot = Math.floor(nowMs / SLOT_MS);
    const exact = Math.min(Math.ceil(deadlineMs / SLOT_MS), nowSlot + SLOTS - 1 - shared);
    const slot = exact > nowSlot + shared ? Math.ceil(exact / shared) * shared : exact;
    return Math.max(this.#doneSlot + 1, Math.min(slot, this.#doneSlot + SLOTS - 1));
  }

  #put(item: T, slot: number, deadlineMs: number): void {
    const { place } = item;
    if (place === undefined) item.place = { slot, deadlineMs };
    else {
      this.#slots[place.slot % SLOTS]?.delete(item);
      place.slot = slot;
      place.deadlineMs = deadlineMs;
    }
    (this.#slots[slot % SLOTS] ??= new Set()).add(item);
  }

  #wakeAt(slot: number): void {
    this.#timer?.cancel();
    this.#wakeSlot = slot;
    // Timers count whole milliseconds, and drop what is over: one too early would be for nothing.
    const delayMs = Math.max(0, Math.ceil(slot * SLOT_MS - this.#runtime.clock.monotonicMs()));
    this.#timer = this.#runtime.timers.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    this.#wakeSlot = -Infinity;
    const nowMs = this.#runtime.clock.monotonicMs();
    const nowSlot = Math.floor(nowMs / SLOT_MS);
    // After a long pause one turn of the wheel meets every item there is.
    const from = Math.max(this.#doneSlot + 1, nowSlot - SLOTS + 1);
    for (let slot = from; slot <= nowSlot; slot++) {
      this.#doneSlot = slot;
      this.#fire(slot, nowMs);
      if (this.#closed) return;
    }
    this.#doneSlot = Math.max(this.#doneSlot, nowSlot);
    this.#wakeSlot = Infinity;
    const next = this.#nextFilled();
    if (next !== undefined) this.#wakeAt(next);
  }

  #fire(slot: number, nowMs: number): void {
    const bucket = this.#slots[slot % SLOTS];
    if (bucket === undefined || bucket.size === 0) return;
    const items = [...bucket];
    bucket.clear();
    for (const item of items) {
      const { place } = item;
      // Another one's tick may have removed it.
      if (place === undefined) continue;
      place.deadlineMs = Infinity;
      if (item.deadlineMs <= nowMs) item.tick(nowMs);
      if (this.#closed) return;
      // It may have been removed by its tick, or have found another place.
      if (item.place !== place || place.slot !== slot) continue;
      this.#put(item, this.#slotFor(item.deadlineMs, nowMs), item.deadlineMs);
    }
  }

  #nextFilled(): number | undefined {
    for (let slot = this.#doneSlot + 1; slot < this.#doneSlot + SLOTS; slot++) {
      if ((this.#slots[slot % SLOTS]?.size ?? 0) > 0) return slot;
    }
    return undefined;
  }
}
