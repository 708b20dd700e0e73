/**
 * The seams between Raftline and the world. Every layer above is handed a {@link Runtime} and touches nothing else:
 * no `Date`, no `Math.random`, no timers, no `node:fs`, no `node:net`. That is what lets a whole cluster run inside
 * the simulator, deterministic from one seed. `createNodeRuntime` is the real one; the simulator has its own.
 */
import type { Disk } from "./disk.ts";
import type { Network } from "./network.ts";

export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly disk: Disk;
  readonly network: Network;
  /** Where a running node says what happened. Never records, keys or secrets. */
  readonly log: LogSink;
  /** What this process takes just now, for those who watch it. A simulated node takes none of its own: zeros. */
  memory(): MemoryUse;
  /**
   * Ends the process: a broken invariant or a disk that cannot be trusted any more (a failed fsync is never
   * retried). Does not return. In the simulator it crashes the simulated node.
   */
  fatal(reason: string, cause?: unknown): never;
}

/** All in bytes. */
export interface MemoryUse {
  /** What the operating system has given this process and it has not given back. */
  readonly resident: number;
  readonly heapReserved: number;
  /** Garbage that is not collected yet is included. */
  readonly heapUsed: number;
  /** Outside of the heap: slabs, frames, batches. */
  readonly external: number;
}

export interface Clock {
  /** Milliseconds, fractional, never going back, from an arbitrary origin. All timeouts are measured by this one. */
  monotonicMs(): number;
  /** Milliseconds since 1970, may jump. For timestamps that people read, never for safety. */
  wallMs(): number;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, limit). */
  integer(limit: number): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Calls `callback` once, not before `delayMs` from now. Keeps the process alive until then: cancel it on close. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` after the I/O events that are already waiting. */
  defer(callback: () => void): void;
  /** The end of a turn, where work is batched: as `defer`, but right after what runs now if nothing else came of late. */
  endTurn(callback: () => void): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogSink {
  write(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}
