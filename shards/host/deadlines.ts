/**
 * One timer for the deadlines of all groups: a wheel of slots, of which only the next filled one is waited for.
 * Deadlines are read again when their slot comes up, so a group whose deadline has moved on costs one look.
 */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";

const SLOT_MS = 10;
const SLOTS = 1024;

export interface Timed {
  /** Monotonic ms at which `tick` wants to be called; Infinity for never. */
  readonly deadlineMs: number;
  tick(nowMs: number): void;
}

export class Deadlines<T extends Timed> {
  readonly #runtime: Runtime;
  /** Those that never had an item are not there. */
  readonly #slots = new Array<Set<T> | undefined>(SLOTS).fill(undefined);
  /** Slot number (not wrapped) in which each item waits. */
  readonly #slotOf = new Map<T, number>();
  #doneSlot: number;
  /** The slot the timer waits for; -Infinity while slots are fired, when no timer is wanted. */
  #wakeSlot = Infinity;
  #closed = false;
  #timer: Timer | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#doneSlot = Math.floor(runtime.clock.monotonicMs() / SLOT_MS);
  }

  /** Call when an item is new or its deadline may have come nearer. A deadline that moved away needs no call. */
  update(item: T): void {
    const slot = this.#targetSlot(item.deadlineMs);
    const present = this.#slotOf.get(item);
    if (present !== undefined && present <= slot) return;
    this.#move(item, present, slot);
    if (slot < this.#wakeSlot) this.#wakeAt(slot);
  }

  remove(item: T): void {
    const slot = this.#slotOf.get(item);
    if (slot === undefined) return;
    this.#slots[slot % SLOTS]?.delete(item);
    this.#slotOf.delete(item);
  }

  close(): void {
    this.#timer?.cancel();
    this.#closed = true;
    this.#wakeSlot = -Infinity;
    this.#slotOf.clear();
  }

  /** A deadline beyond the wheel waits in its last slot and is looked at again there. */
  #targetSlot(deadlineMs: number): number {
    const slot = Math.ceil(deadlineMs / SLOT_MS);
    return Math.max(this.#doneSlot + 1, Math.min(slot, this.#doneSlot + SLOTS - 1));
  }

  #move(item: T, from: number | undefined, to: number): void {
    if (from !== undefined) this.#slots[from % SLOTS]?.delete(item);
    (this.#slots[to % SLOTS] ??= new Set()).add(item);
    this.#slotOf.set(item, to);
  }

  #wakeAt(slot: number): void {
    this.#timer?.cancel();
    this.#wakeSlot = slot;
    const delayMs = Math.max(0, slot * SLOT_MS - this.#runtime.clock.monotonicMs());
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
      this.#slotOf.delete(item);
      if (item.deadlineMs <= nowMs) item.tick(nowMs);
      if (this.#closed) return;
      if (!this.#slotOf.has(item)) this.#move(item, undefined, this.#targetSlot(item.deadlineMs));
    }
  }

  #nextFilled(): number | undefined {
    for (let slot = this.#doneSlot + 1; slot < this.#doneSlot + SLOTS; slot++) {
      if ((this.#slots[slot % SLOTS]?.size ?? 0) > 0) return slot;
    }
    return undefined;
  }
}
