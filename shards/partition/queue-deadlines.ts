/**
 * When the leases and delays of one queue end, on the leader's monotonic clock. Whoever comes to lead lets all of them
 * run anew, in full: nothing ends early, and no two clocks need to agree.
 */
import type { BatchTiming } from "../../src/records/timing.ts";
import type { Clock } from "../../src/runtime/runtime.ts";
import type { QueueState } from "./groups/queue-state.ts";

/** Delays are rounded up, and those that end within one step wait together: an eighth longer at most, or 20 ms. */
const DELAY_STEP_MS_MIN = 10;
const DELAY_STEPS = 16;
/** The wall clock may be set: what waits for it is looked at again after this. */
const WALL_LOOK_MS_MAX = 5_000;
/** What could not be proposed is tried again after this. */
const AGAIN_MS = 100;

interface OpenParcel {
  readonly parcelId: number;
  readonly openUntilMs: number;
}

/** What is over. */
export interface Due {
  readonly leaseIds: readonly number[];
  readonly parcelIds: readonly number[];
}

export class QueueDeadlines {
  readonly #clock: Clock;
  readonly #state: QueueState;
  readonly #leases = new Map<number, number>();
  /** How many extensions of each are on their way. */
  readonly #extending = new Map<number, number>();
  /** Of delays; what waits for the wall clock is asked by its own time. */
  readonly #parcels = new Map<number, number>();
  /** Parcels that still take records, by their delay. */
  readonly #open = new Map<number, OpenParcel>();
  /** By the time they wait for. */
  readonly #wallParcels = new Map<number, number>();
  #lastParcelId = 0;
  /** Monotonic ms: nothing ends before. */
  nextDueMs = Infinity;

  constructor(clock: Clock, state: QueueState) {
    this.#clock = clock;
    this.#state = state;
    for (const { leaseId, leaseMs } of state.leases.values()) this.leaseRuns(leaseId, leaseMs);
    for (const { parcelId, kind, ms } of state.parcels.values()) {
      this.#lastParcelId = Math.max(this.#lastParcelId, parcelId);
      if (kind === "delay") this.#parcelRuns(parcelId, ms + stepOf(ms));
      else {
        this.#wallParcels.set(ms, parcelId);
        this.wallParcelRuns(ms);
      }
    }
  }

  /** An extension is on its way: the lease does not end before it is known what becomes of that. */
  extending(leaseId: number): void {
    this.#extending.set(leaseId, (this.#extending.get(leaseId) ?? 0) + 1);
  }

  /** It was taken or refused; where it was taken {@link leaseRuns} follows. */
  extended(leaseId: number): void {
    const left = this.#extending.get(leaseId)! - 1;
    if (left > 0) this.#extending.set(leaseId, left);
    else this.#extending.delete(leaseId);
  }

  /** From now on, in full. */
  leaseRuns(leaseId: number, leaseMs: number): void {
    this.#set(this.#leases, leaseId, leaseMs);
  }

  /** The parcel for records put off by this much now. */
  parcelFor(delayMs: number): { readonly parcelId: number; readonly delayMs: number } {
    if (delayMs === 0) return { parcelId: 0, delayMs: 0 };
    const nowMs = this.#clock.monotonicMs();
    const stepMs = stepOf(delayMs);
    const roundedMs = Math.ceil(delayMs / stepMs) * stepMs;
    const open = this.#open.get(roundedMs);
    if (open !== undefined && nowMs < open.openUntilMs) return { parcelId: open.parcelId, delayMs: roundedMs };
    const parcelId = this.#newParcelId();
    this.#open.set(roundedMs, { parcelId, openUntilMs: nowMs + stepMs });
    // Not before the last record that may still join has waited in full.
    this.#parcelRuns(parcelId, roundedMs + stepMs);
    return { parcelId, delayMs: roundedMs };
  }

  /**
   * The parcel for records that wait for this time of the wall clock. It comes due by then or before: far times share
   * coarse parcels, and what comes out too early goes into a finer one. So few live at once, however many times there are.
   */
  wallParcelFor(atMs: number): { readonly parcelId: number; readonly atMs: number } {
    const stepMs = stepOf(atMs - this.#clock.wallMs());
    const coarseMs = Math.floor(atMs / stepMs) * stepMs;
    const dueMs = coarseMs > this.#clock.wallMs() ? coarseMs : atMs;
    let parcelId = this.#wallParcels.get(dueMs);
    if (parcelId === undefined) this.#wallParcels.set(dueMs, parcelId = this.#newParcelId());
    return { parcelId, atMs: dueMs };
  }

  /** Whether records with these times may be given out, by this leader's wall clock. */
  verdictOn({ deliverAtMs, expiresAtMs }: BatchTiming): "now" | "later" | "over" {
    if (deliverAtMs === null && expiresAtMs === null) return "now";
    const nowMs = this.#clock.wallMs();
    if (expiresAtMs !== null && expiresAtMs <= nowMs) return "over";
    return deliverAtMs !== null && deliverAtMs > nowMs ? "later" : "now";
  }

  /** A parcel that waits for this time of the wall clock is in the state. */
  wallParcelRuns(atMs: number): void {
    const waitMs = Math.min(WALL_LOOK_MS_MAX, Math.max(0, atMs - this.#clock.wallMs()));
    this.nextDueMs = Math.min(this.nextDueMs, this.#clock.monotonicMs() + waitMs);
  }

  /** What has ended by now. It is not told again, but where `again` says that it could not be proposed. */
  take(): Due {
    const nowMs = this.#clock.monotonicMs();
    this.nextDueMs = Infinity;
    for (const [delayMs, { openUntilMs }] of this.#open) if (openUntilMs <= nowMs) this.#open.delete(delayMs);
    for (const leaseId of this.#extending.keys()) {
      if ((this.#leases.get(leaseId) ?? Infinity) <= nowMs) this.leaseRuns(leaseId, AGAIN_MS);
    }
    const leaseIds = this.#takeFrom(this.#leases, nowMs, (leaseId) => this.#state.leases.has(leaseId));
    const parcelIds = this.#takeFrom(this.#parcels, nowMs, () => true);
    const wallMs = this.#clock.wallMs();
    // Whose parking was refused are in no parcel of the state.
    for (const ms of this.#wallParcels.keys()) if (ms <= wallMs) this.#wallParcels.delete(ms);
    for (const { parcelId, kind, ms } of this.#state.parcels.values()) {
      if (kind !== "wall") continue;
      if (ms > wallMs) this.wallParcelRuns(ms);
      else parcelIds.push(parcelId);
    }
    return { leaseIds, parcelIds };
  }

  again({ leaseIds, parcelIds }: Due): void {
    for (const leaseId of leaseIds) this.leaseRuns(leaseId, AGAIN_MS);
    for (const parcelId of parcelIds) {
      // What is not in the state is a delay whose nack is still on its way there.
      if (this.#state.parcels.get(parcelId)?.kind === "wall") this.wallParcelRuns(this.#clock.wallMs() + AGAIN_MS);
      else this.#parcelRuns(parcelId, AGAIN_MS);
    }
  }

  #newParcelId(): number {
    this.#lastParcelId += 1;
    return this.#lastParcelId;
  }

  #parcelRuns(parcelId: number, delayMs: number): void {
    this.#set(this.#parcels, parcelId, delayMs);
  }

  #set(deadlines: Map<number, number>, id: number, delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    deadlines.set(id, dueMs);
    this.nextDueMs = Math.min(this.nextDueMs, dueMs);
  }

  #takeFrom(deadlines: Map<number, number>, nowMs: number, exists: (id: number) => boolean): number[] {
    const due: number[] = [];
    for (const [id, dueMs] of deadlines) {
      if (dueMs <= nowMs) {
        deadlines.delete(id);
        if (exists(id)) due.push(id);
      } else if (!exists(id)) deadlines.delete(id);
      else this.nextDueMs = Math.min(this.nextDueMs, dueMs);
    }
    return due;
  }
}

/** A sixteenth of the delay, about: so few parcels live at once, however many delays there are. */
function stepOf(delayMs: number): number {
  let stepMs = DELAY_STEP_MS_MIN;
  while (stepMs * DELAY_STEPS < delayMs) stepMs *= 2;
  return stepMs;
}
