/** File descriptors: of what a process may have open, connections leave enough for files; who wants to open one waits for it. */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { LogSink } from "./runtime.ts";

/**
 * Not for connections: the log's files, those that are read (64, two each), connections to other nodes, the runtime's own;
 * and the admin port's connections.
 */
const KEPT = 384;
/** The ports of a node that take as many connections as there are descriptors. */
const LISTENERS = 2;
const LISTENER_CONNECTIONS_MIN = 16;
const RETRY_MS = 50;
const LOG_EVERY_MS = 10_000;

/** Connections that one listener takes: those `wanted`, or its share where the process may not have so many. */
export function connectionsMax(wanted: number): number {
  return Math.max(LISTENER_CONNECTIONS_MIN, Math.min(wanted, Math.floor((openFilesMax() - KEPT) / LISTENERS)));
}

/** See getrlimit(2), RLIMIT_NOFILE. */
function openFilesMax(): number {
  try {
    const [, soft = ""] = /^Max open files +(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === "" ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}

export class Descriptors {
  readonly #log: LogSink;
  #loggedAtMs = -Infinity;

  constructor(log: LogSink) {
    this.#log = log;
  }

  /** What `open` gives, which needs a descriptor and has done nothing if there is none. */
  async take<T>(open: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await open();
      } catch (error) {
        if (!isShortage(error)) throw error;
        this.#say(error as Error);
      }
      await delay(RETRY_MS);
    }
  }

  #say({ message }: Error): void {
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs < LOG_EVERY_MS) return;
    this.#loggedAtMs = nowMs;
    this.#log.write("warn", "no file descriptor is free: what has to be opened waits", { reason: message });
  }
}

function isShortage(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  return code === "EMFILE" || code === "ENFILE";
}
