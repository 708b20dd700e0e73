/** SETTLE requests: what consumers did with their records. Answered when all of it is in the log, and so for good. */
import type { SettleItem, SettleRequest } from "../../src/wire/group-protocol.ts";
import type { SettleResult } from "../../src/wire/group-responses.ts";
import type { Exchange } from "../../src/wire/rpc-session.ts";
import { DELAY_MS_MAX, LEASE_MS_MAX, LEASE_MS_MIN } from "./groups/limits.ts";
import type { GroupDone } from "./group-proposals.ts";
import type { GroupLeader } from "./group-leader.ts";
import type { MissingShard, PartitionOf } from "./produce.ts";

export function handleSettle(
  exchange: Exchange<SettleRequest>,
  partitionOf: PartitionOf,
  missing: MissingShard,
): void {
  const { group, consumer, parts } = exchange.request;
  const results: { leaderHint: number; codes: string[] }[] = parts.map(({ items }) => ({
    leaderHint: 0,
    codes: items.map(() => ""),
  }));
  let waiting = 1;
  const settled = () => {
    waiting -= 1;
    if (waiting === 0 && exchange.open) exchange.ok("settle", { parts: results satisfies SettleResult[] });
  };
  parts.forEach(({ shard, items }, position) => {
    const result = results[position]!;
    const partition = partitionOf(shard);
    const groups = partition?.groups;
    if (groups === undefined) {
      const { code, leaderHint } = partition === undefined
        ? missing(shard)
        : { code: "NOT_LEADER", leaderHint: partition.leaderHint };
      result.leaderHint = leaderHint;
      return result.codes.fill(code);
    }
    items.forEach((item, i) => {
      waiting += 1;
      settleItem(groups, group, consumer, item, ({ code }) => {
        result.codes[i] = code;
        if (code === "NOT_LEADER") result.leaderHint = partition!.leaderHint;
        settled();
      });
    });
  });
  settled();
}

function settleItem(groups: GroupLeader, group: string, consumer: string, item: SettleItem, done: GroupDone): void {
  const { kind, leaseId, offsets, ms } = item;
  if (kind === "leave") return groups.submit({ op: "leave", group, consumer, counts: ms > 0 }, done);
  // What is over is over, whoever leads by now: no need to write it down to know it.
  if (groups.queue(group)?.state.isOver(leaseId)) return done({ code: "LEASE_EXPIRED" });
  switch (kind) {
    case "ack":
    case "release":
      return groups.submit({ op: kind, group, leaseId, consumer, offsets }, done);
    case "nack":
      if (ms > DELAY_MS_MAX) return done({ code: "INVALID_REQUEST" });
      return groups.nack({ group, leaseId, consumer, offsets, delayMs: ms }, done);
    case "extend":
      if (ms < LEASE_MS_MIN || ms > LEASE_MS_MAX) return done({ code: "INVALID_REQUEST" });
      return groups.extend({ group, leaseId, consumer, leaseMs: ms }, done);
  }
}
