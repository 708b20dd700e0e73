/** The leases a consumer holds, and how much of them is not settled: what bounds how much more it asks for. */
import type { Route } from "./topic-view.ts";

export class ClientLease {
  readonly route: Route;
  readonly leaseId: number;
  readonly leaseMs: number;
  /** Monotonic ms by this process; the leader's own deadline is a little earlier. */
  deadlineMs: number;
  unsettled: number;

  constructor(route: Route, leaseId: number, leaseMs: number, receivedMs: number, records: number) {
    this.route = route;
    this.leaseId = leaseId;
    this.leaseMs = leaseMs;
    this.deadlineMs = receivedMs + leaseMs;
    this.unsettled = records;
  }
}

export class QueueLeases {
  readonly #leases = new Set<ClientLease>();
  #unsettled = 0;
  /** Some records were seen, and whether they were settled is not known; a leader may still hold them as leased. */
  doubtful = false;

  /** Records leased and neither settled nor expired. */
  get unsettled(): number {
    return this.#unsettled;
  }

  get size(): number {
    return this.#leases.size;
  }

  all(): ClientLease[] {
    return [...this.#leases];
  }

  add(lease: ClientLease): void {
    this.#leases.add(lease);
    this.#unsettled += lease.unsettled;
  }

  /** So many of its records were settled. */
  settled(lease: ClientLease, records: number): void {
    if (!this.#leases.has(lease)) return;
    this.#unsettled -= records;
    lease.unsettled -= records;
    if (lease.unsettled === 0) this.#leases.delete(lease);
  }

  /** Forgets those that have ended by themselves. */
  expire(nowMs: number): void {
    for (const lease of this.#leases) {
      if (lease.deadlineMs > nowMs) continue;
      this.#leases.delete(lease);
      this.#unsettled -= lease.unsettled;
      this.doubtful = true;
    }
  }
}
