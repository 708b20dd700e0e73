/** What a node does with damage in its own groups (metadata, coordinators) that it finds when it starts. */
import type { Log } from "../log/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { coordinatorsOn } from "../../shards/coordinator/placement.ts";
import { METADATA_SHARD } from "../../shards/metadata/state.ts";
import type { NodeConfig } from "./config.ts";
import { canBeRead, type Damages, lostOf, mayHaveLostGroups, termOf } from "./damage.ts";
import { isAlone } from "./data-folder.ts";
import { NodeError } from "./errors.ts";

/**
 * A node that lost committed metadata knows neither its partitions nor what it voted: the others give it all of it again,
 * and until then it takes no part. @throws {NodeError} `CORRUPT`: there are no others
 */
export async function dropDamaged(
  log: Log,
  { nodeId, nodes, dataFolder }: NodeConfig,
  { log: sink }: Runtime,
  damages: Damages,
): Promise<void> {
  const founders = nodes.map(({ id }) => id);
  for (const shard of [METADATA_SHARD, ...coordinatorsOn(nodeId, founders)]) {
    const found = log.group(shard);
    const unknown = mayHaveLostGroups(log) ? "1 and on" : undefined;
    const lost = found ? lostOf(found) ?? (await canBeRead(log, found) ? undefined : "some") : unknown;
    if (lost === undefined) continue;
    if (isAlone(founders, nodeId)) {
      throw new NodeError(
        "CORRUPT",
        `${dataFolder}: the disk lost entries ${lost} of ${nameOf(shard)}; there is no other copy`,
      );
    }
    sink.write("error", `${nameOf(shard)} here is damaged: it will be repaired by the others`, { lost });
    await log.drop(shard, found ? termOf(found) : 0);
    damages.forget(shard);
  }
}

function nameOf(shard: number): string {
  return shard === METADATA_SHARD ? "the metadata" : `coordinator ${shard}`;
}
