/**
 * Deliberate bugs, put in only here, that the simulator must catch: a checker is trusted once it has caught a planted
 * bug. Each changes one public method of one class for the length of a run and is taken out again.
 */
import { Membership } from "../../src/raft/membership.ts";
import { Memory } from "../../src/node/memory.ts";
import { RaftLog } from "../../src/raft/raft-log.ts";
import { Raft } from "../../src/raft/raft.ts";
import type { Message, RaftEntry, Ready } from "../../src/raft/types.ts";
import { CompactedFile } from "../../src/log/compacted-file.ts";
import { LogEngine } from "../../src/log/log.ts";
import type { GroupWrite } from "../../src/log/types.ts";
import { EntryKind } from "../../src/records/entry.ts";
import { Host } from "../../shards/host/host.ts";
import { Replica } from "../../shards/host/replica.ts";
import { Partition } from "../../shards/partition/partition.ts";
import { ProducerTable } from "../../shards/partition/producer-table.ts";
import { type Canary, patch } from "./canary.ts";
import { SimulatedDisk } from "./disk.ts";
import { GROUP_CANARIES } from "./group-canaries.ts";
import { LEASE_CANARIES } from "./lease-canaries.ts";
import { QUEUE_CANARIES } from "./queue-canaries.ts";

const CONFIGURATION_LATE_ENTRIES = 30;

type AnyReady = Ready<RaftEntry>;
type AnyMessage = Message<RaftEntry>;

/** Changes what a replica is told to do. */
function onReady(name: string, change: (ready: AnyReady, raft: Raft<RaftEntry>) => AnyReady): Canary {
  return {
    name,
    plant: () =>
      patch(Raft.prototype as Raft<RaftEntry>, "takeReady", (original) =>
        function (this: Raft<RaftEntry>) {
          return change(original.call(this), this);
        }),
  };
}

/** Changes what a replica is told by others: each message becomes those. */
function onMessage(name: string, change: (message: AnyMessage, raft: Raft<RaftEntry>) => AnyMessage[]): Canary {
  return {
    name,
    plant: () =>
      patch(
        Raft.prototype as Raft<RaftEntry>,
        "step",
        (original) =>
          function (this: Raft<RaftEntry>, message: AnyMessage, nowMs: number) {
            for (const each of change(message, this)) original.call(this, each, nowMs);
          },
      ),
  };
}

/** Some messages do not wait for the disk. */
function early(ready: AnyReady, type: AnyMessage["type"]): AnyReady {
  const isEarly = (message: AnyMessage) => message.type === type;
  return {
    ...ready,
    messages: [...ready.messages, ...ready.messagesAfterPersist.filter(isEarly)],
    messagesAfterPersist: ready.messagesAfterPersist.filter((message) => !isEarly(message)),
  };
}

export const CANARIES: readonly Canary[] = [
  {
    name: "acknowledge before the commit",
    plant: () =>
      patch(Host.prototype, "propose", (original) =>
        function (this: Host, replica, entry, waiter) {
          const isBatch = entry.kind === EntryKind.batch;
          if (!replica.isLeading || !isBatch) return original.call(this, replica, entry, waiter);
          let refused = false;
          original.call(this, replica, entry, {
            settled: (code, settled, result) => {
              if (code === "" || entry.index > 0) return;
              refused = true;
              waiter.settled(code, settled, result);
            },
          });
          if (!refused) queueMicrotask(() => waiter.settled("", entry, undefined));
        }),
  },
  {
    name: "skip every fsync",
    plant: () =>
      patch(SimulatedDisk.prototype, "attach", (original) =>
        function (this: SimulatedDisk) {
          const disk = original.call(this);
          const open = disk.open.bind(disk);
          disk.open = async (path, mode) => {
            const file = await open(path, mode, "buffered");
            file.sync = () => Promise.resolve();
            return file;
          };
          return disk;
        }),
  },
  {
    name: "say durable before the disk does",
    plant: () =>
      patch(LogEngine.prototype, "write", (original) =>
        function (this: LogEngine, writes, onDurable) {
          original.call(this, writes, () => {});
          queueMicrotask(onDurable);
        }),
  },
  onReady("vote before the vote is durable", (ready) => early(ready, "vote-response")),
  onReady("acknowledge an append before it is durable", (ready) => early(ready, "append-response")),
  onReady("forget term and vote", (ready) => ({ ...ready, hardState: undefined })),
  onReady("forget the vote", (ready) => {
    const { hardState } = ready;
    return hardState ? { ...ready, hardState: { ...hardState, vote: 0 } } : ready;
  }),
  onReady("forget a truncation", (ready) => ({ ...ready, truncateFrom: 0 })),
  onReady("lose the last entry of a write", (ready) => ({ ...ready, entries: ready.entries.slice(0, -1) })),
  onMessage("take a refusal for a vote", (message) => {
    return [message.type === "vote-response" && !message.preVote ? { ...message, reject: false } : message];
  }),
  onMessage("take a rejection for an acceptance", (message) => {
    return [message.type === "append-response" ? { ...message, reject: false } : message];
  }),
  onMessage("accept stale appends", (message, raft) => {
    const isStale = message.type === "append" && message.term < raft.term;
    return [isStale ? { ...message, term: raft.term } : message];
  }),
  onMessage("count a vote twice", (message, raft) => {
    if (message.type !== "vote-response" || message.reject) return [message];
    const other = raft.configuration.voters.find((id) => id !== message.to && id !== message.from);
    return other === undefined ? [message] : [message, { ...message, from: other }];
  }),
  {
    name: "read without asking a majority",
    plant: () =>
      patch(Replica.prototype, "readBarrier", () =>
        function (this: Replica) {
          return Promise.resolve(this.isLeading);
        }),
  },
  {
    name: "forget the high watermark at a checkpoint",
    plant: () =>
      patch(Replica.prototype, "checkpoint", (original) =>
        function (this: Replica) {
          const write = original.call(this);
          return { ...write, checkpoint: { ...write.checkpoint, nextOffset: 0 } };
        }),
  },
  onMessage("believe that a follower has all that was sent to it", (message, raft) => {
    return [message.type === "append-response" && !message.reject ? { ...message, index: raft.lastIndex } : message];
  }),
  {
    name: "use a configuration late",
    plant: () =>
      patch(Membership.prototype, "appliedTo", (original) =>
        function (this: Membership, index) {
          return original.call(this, index - CONFIGURATION_LATE_ENTRIES, undefined);
        }),
  },
  {
    name: "let nobody know that it has forgotten",
    plant: () => patch(Memory.prototype, "meet", () => () => Promise.resolve("" as const)),
  },
  {
    name: "vote at once with a disk that is not what it was",
    plant: () =>
      patch(Host.prototype, "add", (original) =>
        function (this: Host, options) {
          return original.call(this, { ...options, vouched: true });
        }),
  },
  {
    name: "deliver what is not committed",
    plant: () => {
      const restoreRead = patch(Partition.prototype, "read", () =>
        function (this: Partition, offset, bytesMax) {
          const { raft } = this.replica;
          for (let index = raft.log.tailFirstIndex; index <= raft.lastIndex; index++) {
            const entry = raft.log.entry(index);
            if (entry && entry.nextOffset > offset) return raft.log.slice(index, raft.lastIndex, bytesMax) ?? [];
          }
          return [];
        });
      return restoreRead;
    },
  },
  {
    name: "store a batch again that was sent again",
    plant: () => patch(ProducerTable.prototype, "check", () => () => ({ kind: "next" })),
  },
  {
    name: "give offsets from what is applied, not from the log's end",
    plant: () => patch(RaftLog.prototype, "lastEntry", () => () => undefined),
  },
  {
    name: "forget the producers at a checkpoint",
    plant: () => {
      const nobody = new ProducerTable().encode();
      return patch(ProducerTable.prototype, "encode", () => () => nobody);
    },
  },
  {
    name: "delete more than was asked",
    plant: () =>
      patch(Partition.prototype, "trim", (original) =>
        function (this: Partition, offset, reason) {
          return original.call(this, Math.min(offset + 3, this.highWatermark), reason);
        }),
  },
  {
    name: "forget an entry in compaction",
    plant: () =>
      patch(CompactedFile.prototype, "add", (original) =>
        function (this: CompactedFile, records) {
          return original.call(this, records.map((each) => ({ ...each, entries: each.entries.slice(0, -1) })));
        }),
  },
  {
    name: "skip an entry when reading",
    plant: () =>
      patch(Partition.prototype, "read", (original) =>
        async function (this: Partition, offset, bytesMax) {
          const entries = await original.call(this, offset, bytesMax);
          return entries.length > 2 ? [entries[0]!, ...entries.slice(2)] : entries;
        }),
  },
  {
    name: "write the groups of a turn but one",
    plant: () =>
      patch(
        LogEngine.prototype,
        "write",
        (original) =>
          function (this: LogEngine, writes: readonly GroupWrite[], onDurable) {
            original.call(this, writes.length > 1 ? writes.slice(1) : writes, onDurable);
          },
      ),
  },
  ...LEASE_CANARIES,
  ...QUEUE_CANARIES,
  ...GROUP_CANARIES,
];
