/** DELETE RECORDS requests: where a partition begins is moved, on all its replicas. */
import type { DeleteRecordsPart, DeleteRecordsRequest } from "../../src/wire/protocol.ts";
import type { DeleteRecordsResult } from "../../src/wire/responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import type { MissingShard, PartitionOf } from "./produce.ts";

export async function handleDeleteRecords(
  exchange: Exchange<DeleteRecordsRequest>,
  partitionOf: PartitionOf,
  missing: MissingShard,
): Promise<void> {
  const parts = await Promise.all(exchange.request.parts.map((part) => deleteRecords(part, partitionOf, missing)));
  if (exchange.open) exchange.ok("deleteRecords", { parts });
}

async function deleteRecords(
  { shard, beforeOffset }: DeleteRecordsPart,
  partitionOf: PartitionOf,
  missing: MissingShard,
): Promise<DeleteRecordsResult> {
  const partition = partitionOf(shard);
  if (!partition) return { startOffset: 0, ...missing(shard) };
  const { leaderHint, startOffset } = partition;
  if (!partition.leads) return { code: leaderHint === 0 ? "NO_LEADER" : "NOT_LEADER", startOffset, leaderHint };
  if (beforeOffset > partition.highWatermark) return { code: "OFFSET_OUT_OF_RANGE", startOffset, leaderHint };
  const result = await partition.trim(beforeOffset, "request");
  return { ...result, leaderHint: partition.leaderHint };
}
