/** OFFSETS requests: where a partition begins, ends, or was at a time. */
import type { OffsetsPart, OffsetsRequest } from "../../src/wire/protocol.ts";
import type { OffsetsResult } from "../../src/wire/responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import type { MissingShard, PartitionOf } from "./produce.ts";
import { codeOfReadFailure } from "./read-failures.ts";

export async function handleOffsets(
  exchange: Exchange<OffsetsRequest>,
  partitionOf: PartitionOf,
  missing: MissingShard,
): Promise<void> {
  const parts = await Promise.all(exchange.request.parts.map((part) => offsetOf(part, partitionOf, missing)));
  if (exchange.open) exchange.ok("offsets", { parts });
}

async function offsetOf(part: OffsetsPart, partitionOf: PartitionOf, missing: MissingShard): Promise<OffsetsResult> {
  const partition = partitionOf(part.shard);
  if (!partition) return { offset: 0, ...missing(part.shard) };
  const { leaderHint } = partition;
  if (!partition.leads) return { code: leaderHint === 0 ? "NO_LEADER" : "NOT_LEADER", offset: 0, leaderHint };
  if (part.at === "earliest") return { code: "", offset: partition.startOffset, leaderHint };
  if (part.at === "latest") {
    const end = await partition.end();
    return end === undefined ? { code: "NOT_LEADER", offset: 0, leaderHint: 0 } : { code: "", offset: end, leaderHint };
  }
  try {
    return { code: "", offset: await partition.offsetAtTime(part.at.timeMs), leaderHint };
  } catch (error) {
    const code = codeOfReadFailure(error, partition);
    if (code === "INTERNAL") throw error;
    return { code, offset: 0, leaderHint: partition.leaderHint };
  }
}
