import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LeaseWatcher } from "../../../shards/partition/group-leader.ts";
import { LeaseService } from "../../../shards/partition/lease.ts";
import type { Partition } from "../../../shards/partition/partition.ts";
import type { LeaseAnswer } from "../../../shards/partition/queue-leader.ts";
import type { LeaseRequest } from "../../../src/wire/group-protocol.ts";
import type { LeaseResponse } from "../../../src/wire/group-responses.ts";
import type { Exchange } from "../../../src/wire/rpc-session.ts";
import { fakeTime } from "../host/fake-time.ts";

const leases = suite("a lease that is asked for");

const NOTHING: LeaseAnswer = { code: "", leaseMs: 100, lease: undefined, batches: [] };
const ONE: LeaseAnswer = { code: "", leaseMs: 100, lease: { leaseId: 7, parts: [] }, batches: [] };

leases("looks again where something came while it was being looked for", () => {
  const time = fakeTime();
  const asked: ((answer: LeaseAnswer) => void)[] = [];
  const watchers = new Set<LeaseWatcher>();
  const queue = {
    canGive: () => true,
    lease: (_wish: unknown, done: (answer: LeaseAnswer) => void) => asked.push(done),
  };
  const groups = {
    queue: () => queue,
    watch: (watcher: LeaseWatcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
  const partition = { groups, leaderHint: 1 } as unknown as Partition;
  const service = new LeaseService(time.runtime, () => partition, () => ({ code: "UNKNOWN_PARTITION", leaderHint: 0 }));
  const request: LeaseRequest = {
    type: "lease",
    group: "g",
    consumer: "c",
    maxWaitMs: 10_000,
    bytesMax: 1_000,
    parts: [{ shard: 1, recordsMax: 10 }],
  };
  const answers: LeaseResponse[] = [];
  const exchange = { request, open: true, ok: (_type: string, answer: LeaseResponse) => answers.push(answer) };
  service.handle(exchange as unknown as Exchange<LeaseRequest>);
  assert.is(asked.length, 1);
  for (const { wake } of watchers) wake();
  assert.is(asked.length, 1, "one answer is outstanding");
  asked[0]!(NOTHING);
  assert.is(asked.length, 2, "it looks again, not after ten seconds");
  asked[1]!(NOTHING);
  assert.is(asked.length, 2, "nothing came meanwhile");
  for (const { wake } of watchers) wake();
  asked[2]!(ONE);
  assert.is(answers[0]?.parts[0]?.leaseId, 7);
  assert.is(watchers.size, 0);
});

leases.run();
