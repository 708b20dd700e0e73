/** Bits that flip on the disk of a node that runs. */
import fs from "node:fs";
import type { GroupId } from "../../src/log/types.ts";
import type { RaftlineNode } from "../../src/node/node.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

/** What is told of damage is meant for operators. */
export function quietRuntime(): Runtime {
  return { ...createNodeRuntime(), log: { write: () => {} } };
}

/** Logs of many small files, little of which is in memory, and that nobody reads but the test. */
export const ROTTING = {
  limits: { tailCacheBytesMax: 64 * 1024 },
  logLimits: { fileBytes: 512 * 1024, reserveBytes: 0, scrubEveryMs: 3_600_000 },
};

/** Flips a bit every so many bytes in the sealed files of a log. */
export function damage(folder: string, everyBytes: number): number {
  let flips = 0;
  const names = fs.readdirSync(folder).filter((name) => name.startsWith("wal-")).sort().slice(0, -2);
  for (const name of names) {
    const fd = fs.openSync(`${folder}/${name}`, "r+");
    const byte = new Uint8Array(1);
    for (let at = 8192 + flips * 13; at < fs.fstatSync(fd).size; at += everyBytes) {
      fs.readSync(fd, byte, 0, 1, at);
      byte[0]! ^= 0x10;
      fs.writeSync(fd, byte, 0, 1, at);
      flips++;
    }
    fs.closeSync(fd);
  }
  return flips;
}

/**
 * Flips a bit in each of these groups' entries that lie in sealed files; how many of the groups have any there. The same
 * bytes may be an entry of several groups (those without a payload): then it is flipped in all of them.
 */
export async function damageGroups({ log, config }: RaftlineNode, groups: readonly GroupId[]): Promise<number> {
  const folder = `${config.dataFolder}/log`;
  const entriesOf = await Promise.all(groups.map((group) => {
    const { firstIndex, lastIndex } = log.group(group)!;
    return log.read(group, firstIndex, lastIndex, 1024 * 1024);
  }));
  const damaged = new Set<GroupId>();
  const names = fs.readdirSync(folder).filter((name) => name.startsWith("wal-")).sort().slice(0, -2);
  for (const name of names) {
    const bytes = fs.readFileSync(`${folder}/${name}`);
    const places = new Set<number>();
    for (const [position, group] of groups.entries()) {
      for (const entry of entriesOf[position]!) {
        for (let at = bytes.indexOf(entry.bytes); at >= 0; at = bytes.indexOf(entry.bytes, at + 1)) {
          places.add(at + 8);
          damaged.add(group);
        }
      }
    }
    const fd = fs.openSync(`${folder}/${name}`, "r+");
    for (const at of places) fs.writeSync(fd, Uint8Array.of(bytes[at]! ^ 4), 0, 1, at);
    fs.closeSync(fd);
  }
  return damaged.size;
}
