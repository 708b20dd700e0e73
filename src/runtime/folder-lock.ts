/**
 * One process per folder, by a file that names its holder. Neither runtime offers flock; a holder that is gone (kill -9)
 * is told from a living one by its process id and, where the system tells, the time that process started.
 */
import fs from "node:fs";
import process from "node:process";
import { DiskError, type DiskLock } from "./disk.ts";

const LOCK_FILE = "LOCK";
const heldHere = new Set<string>();

/** @throws {DiskError} `LOCKED` */
export function lockFolder(folder: string): DiskLock {
  const real = fs.realpathSync(folder);
  const path = `${real}/${LOCK_FILE}`;
  if (heldHere.has(real)) throw locked(folder, process.pid);
  const me = `${process.pid} ${startTimeOf(process.pid)}\n`;
  for (;;) {
    try {
      fs.writeFileSync(path, me, { flag: "wx", mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new DiskError("PERMISSION", path, `cannot lock ${folder}: ${(error as Error).message}`, { cause: error });
      }
      const holder = readHolder(path);
      if (holder !== undefined && isAlive(holder)) throw locked(folder, holder.pid);
      fs.rmSync(path, { force: true });
    }
  }
  heldHere.add(real);
  return {
    release(): Promise<void> {
      heldHere.delete(real);
      fs.rmSync(path, { force: true });
      return Promise.resolve();
    },
  };
}

interface Holder {
  readonly pid: number;
  readonly startTime: string;
}

function locked(folder: string, pid: number): DiskError {
  return new DiskError("LOCKED", folder, `the data folder ${folder} is in use by process ${pid}`);
}

function readHolder(path: string): Holder | undefined {
  try {
    const [pid, startTime = ""] = fs.readFileSync(path, "utf8").trim().split(" ");
    return pid ? { pid: Number(pid), startTime } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, startTime }: Holder): boolean {
  // Our own id, and not in `heldHere`: an earlier process that had the same one (as the first in a container does).
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  const now = startTimeOf(pid);
  return startTime === "" || now === "" || now === startTime;
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; empty where there is no /proc. */
function startTimeOf(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
