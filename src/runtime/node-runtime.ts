/** The real runtime: one implementation over `node:` builtins, for Node and Deno alike. */
import { randomBytes } from "node:crypto";
import process from "node:process";
import { Descriptors } from "./descriptors.ts";
import { createLogSink, type LogFormat } from "./node-log.ts";
import { createNodeDisk } from "./node-disk.ts";
import { createNodeNetwork } from "./node-network.ts";
import type { LogLevel, Runtime } from "./runtime.ts";
import type { TlsMaterial } from "./tls.ts";
import { TurnEnds } from "./turn-ends.ts";

/** Exit code of a process that stopped itself because going on would not be safe (sysexits.h: EX_SOFTWARE). */
export const FATAL_EXIT_CODE = 70;

export interface NodeRuntimeOptions {
  /** Default: "warn". */
  readonly logLevel?: LogLevel;
  /** Default: "text". */
  readonly logFormat?: LogFormat;
  /** See `Network`. */
  readonly tls?: TlsMaterial;
}

/**
 * @example
 * ```ts
 * const runtime = createNodeRuntime({ logLevel: "warn" });
 * const startedMs = runtime.clock.monotonicMs();
 * ```
 */
export function createNodeRuntime(options: NodeRuntimeOptions = {}): Runtime {
  const log = createLogSink(options.logLevel ?? "warn", options.logFormat);
  const turnEnds = new TurnEnds(() => performance.now());
  return {
    clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
    random: {
      next: () => Math.random(),
      integer: (limit) => Math.floor(Math.random() * limit),
      bytes: (length) => new Uint8Array(randomBytes(length)),
    },
    timers: {
      after(delayMs, callback) {
        const timer = setTimeout(callback, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
      defer(callback) {
        setImmediate(callback);
      },
      endTurn: (callback) => turnEnds.call(callback),
    },
    disk: createNodeDisk(new Descriptors(log)),
    network: createNodeNetwork(options.tls),
    log,
    memory() {
      const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
      return { resident: rss, heapReserved: heapTotal, heapUsed, external };
    },
    fatal(reason, cause): never {
      log.write("error", `fatal: ${reason}`, { cause: cause instanceof Error ? cause.stack : cause });
      process.exit(FATAL_EXIT_CODE);
    },
  };
}
