/** What a worker process is told, and what it tells: one JSON line for each result. */
import type { FaultName } from "./faults.ts";
import type { CanaryResult } from "./canary-run.ts";
import type { Outcome } from "./simulation.ts";

/** Every `stride`-th seed from `first` on, `count` in all. */
export interface SeedsJob {
  readonly kind: "seeds";
  readonly first: number;
  readonly stride: number;
  readonly count: number;
  readonly seconds: number;
  readonly faults?: readonly FaultName[];
}

export interface CanariesJob {
  readonly kind: "canaries";
  readonly names: readonly string[];
  readonly seconds: number;
  readonly seedsMax: number;
}

export type Job = SeedsJob | CanariesJob;

/** `starts` says what is begun, so that a worker that hangs can be told by it. */
export type WorkerLine =
  | { readonly starts: string }
  | { readonly outcome: Outcome }
  | { readonly canary: CanaryResult };
