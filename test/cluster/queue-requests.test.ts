import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Client } from "../../mod.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { OffsetSet } from "../../src/records/offset-set.ts";
import type { SettleItem } from "../../src/wire/group-protocol.ts";
import type { Request } from "../../src/wire/protocol.ts";
import type { Responses } from "../../src/wire/responses.ts";
import { RpcClient } from "../../src/wire/rpc-client.ts";
import { codeOf, TestCluster } from "./test-cluster.ts";

/** As a client of another make might ask: ours refuses most of this before it is sent. */
const requests = suite("what a node refuses about queues and cursors");

const GROUP = "workers";
const NONE = new OffsetSet();
const SETTINGS = { leaseMs: 60_000, deliveriesMax: 0, deadLetter: "", keyOrdered: false };

let test: TestCluster;
let client: Client;
let foreign: RpcClient;
let shard = 0;
let leaseId = 0;

requests.before(async () => {
  test = await TestCluster.start(1);
  client = test.client;
  await test.topicWith("jobs", 10);
  shard = (await client.admin.describeTopic("jobs")).partitions[0]!.shard;
  const options = { clientName: "foreign", credentials: null, connectTimeoutMs: 5_000 };
  foreign = await RpcClient.connect(createNodeRuntime(), test.cluster.nodes[0]!.clientAddress, options);
  await ask({ type: "queueOpen", group: GROUP, options: SETTINGS, from: "earliest", shards: [shard] });
  const wanted = { maxWaitMs: 5_000, bytesMax: 10_000, parts: [{ shard, recordsMax: 2 }] };
  const leased = await ask({ type: "lease", group: GROUP, consumer: "one", ...wanted });
  leaseId = leased.parts[0]!.leaseId;
  assert.equal(leased.parts[0]!.held.map(({ deliveries, offsets }) => [deliveries, [...offsets.ranges()]]), [[1, [[
    0,
    2,
  ]]]]);
});

requests.after(async () => {
  foreign.close();
  await test[Symbol.asyncDispose]();
});

function ask<R extends Request>(request: R): Promise<Responses[R["type"]]> {
  return foreign.request(request, 10_000);
}

async function settle(item: Partial<SettleItem>, consumer = "one", group = GROUP): Promise<string> {
  const items = [{ kind: "ack", leaseId, offsets: OffsetSet.of(0, 1), ms: 0, ...item } as const];
  const { parts } = await ask({ type: "settle", group, consumer, parts: [{ shard, items }] });
  return parts[0]!.codes[0]!;
}

requests("an ack under a lease that is another's, or was never given, or of a group that is not there", async () => {
  assert.is(await settle({}, "another"), "UNKNOWN_LEASE");
  assert.is(await settle({ leaseId: leaseId + 1_000 }), "UNKNOWN_LEASE");
  assert.is(await settle({}, "one", "nobody"), "UNKNOWN_GROUP");
  assert.is(await settle({ kind: "nack" }, "another"), "UNKNOWN_LEASE");
  assert.is(await settle({ kind: "extend", offsets: NONE, ms: 1_000 }, "another"), "UNKNOWN_LEASE");
});

requests("an ack of records that the lease does not hold", async () => {
  assert.is(await settle({ offsets: OffsetSet.of(5, 6) }), "LEASE_EXPIRED");
  assert.is(await settle({ offsets: OffsetSet.of(100, 200) }), "LEASE_EXPIRED");
});

requests("a delay or a lease of a length that is not allowed", async () => {
  assert.is(await settle({ kind: "nack", ms: 400 * 86_400_000 }), "INVALID_REQUEST");
  assert.is(await settle({ kind: "extend", offsets: NONE, ms: 1 }), "INVALID_REQUEST");
  assert.is(await settle({ kind: "extend", offsets: NONE, ms: 86_400_000 }), "INVALID_REQUEST");
});

requests(
  "settings that make no sense: dead letters into the same topic, or nowhere, no deliveries, no time",
  async () => {
    const open = (options: Partial<typeof SETTINGS>) =>
      codeOf(ask({
        type: "queueOpen",
        group: "new",
        options: { ...SETTINGS, ...options },
        from: "earliest",
        shards: [shard],
      }));
    assert.is(await open({ deliveriesMax: 3, deadLetter: "jobs" }), "INVALID_REQUEST");
    assert.is(await open({ deliveriesMax: 3 }), "INVALID_REQUEST");
    assert.is(await open({ deliveriesMax: 0, deadLetter: "dead" }), "INVALID_REQUEST");
    assert.is(await open({ leaseMs: 0 }), "INVALID_REQUEST");
    assert.is(await open({ leaseMs: 86_400_000 }), "INVALID_REQUEST");
    assert.equal(await client.admin.describeGroup("jobs", "new"), [], "and nothing came of it");
  },
);

requests("a commit beyond the end, or under a generation that is over, and a cursor where a queue is", async () => {
  const commit = async (group: string, offset: number, generation = 0) => {
    const part = { shard, kind: "commit", generation, offset, text: "" } as const;
    return (await ask({ type: "cursor", group, parts: [part] })).parts[0]!.code;
  };
  assert.is(await commit("readers", 11), "OFFSET_OUT_OF_RANGE");
  assert.is(await commit("readers", 10, 2), "");
  assert.is(await commit("readers", 9, 1), "STALE_GENERATION");
  assert.is(await commit(GROUP, 1), "WRONG_GROUP_KIND");
  const lease = { type: "lease", consumer: "c", maxWaitMs: 0, bytesMax: 1, parts: [{ shard, recordsMax: 1 }] } as const;
  assert.is((await ask({ ...lease, group: "nobody" })).parts[0]!.code, "UNKNOWN_GROUP");
});

requests("and after all of it nothing is lost: what was leased can be acked, the rest is given out", async () => {
  assert.is(await settle({ offsets: OffsetSet.of(0, 2) }), "");
  assert.is(await settle({ offsets: OffsetSet.of(0, 2) }), "", "an ack that is sent again");
  const seen: number[] = [];
  for await (const message of client.queue("jobs", { group: GROUP })) {
    assert.is(message.deliveryCount, 1);
    seen.push(message.offset);
    await message.ack();
    if (seen.length === 8) break;
  }
  assert.equal(seen, [2, 3, 4, 5, 6, 7, 8, 9]);
});

requests.run();
