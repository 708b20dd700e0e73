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

/** Flips a bit in each of a group's entries that lie in sealed files. */
export async function damageGroup({ log, config }: RaftlineNode, group: GroupId): Promise<number> {
  const folder = `${config.dataFolder}/log`;
  const { firstIndex, lastIndex } = log.group(group)!;
  const entries = await log.read(group, firstIndex, lastIndex, 1024 * 1024);
  const names = fs.readdirSync(folder).filter((name) => name.startsWith("wal-")).sort().slice(0, -2);
  let flips = 0;
  for (const name of names) {
    const bytes = fs.readFileSync(`${folder}/${name}`);
    const fd = fs.openSync(`${folder}/${name}`, "r+");
    for (const entry of entries) {
      const at = bytes.indexOf(entry.bytes);
      if (at < 0) continue;
      fs.writeSync(fd, Uint8Array.of(bytes[at + 8]! ^ 4), 0, 1, at + 8);
      flips++;
    }
    fs.closeSync(fd);
  }
  return flips;
}
