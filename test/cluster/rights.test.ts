/** Who may do what, where credentials have rights: one node, and a client for each. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect, startNode } from "../../mod.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { RpcClient } from "../../src/wire/rpc-client.ts";
import { codeOf } from "./test-cluster.ts";

const rights = suite("rights");

const secretOf = (name: string) => `the-secret-of-${name}`;

let folder: string;
let node: Awaited<ReturnType<typeof startNode>>;
let root: Client;
let shop: Client;
let stock: Client;

rights.before(async () => {
  folder = makeTemporaryFolder("raftline-rights-");
  node = await startNode({
    clusterId: "test",
    nodeId: 1,
    dataFolder: folder,
    nodes: [{ id: 1, host: "127.0.0.1", port: 0 }],
    credentials: [
      { name: "shop", secret: secretOf("shop"), rights: [{ topics: "orders", may: ["produce"] }] },
      {
        name: "stock",
        secret: secretOf("stock"),
        rights: [{ topics: "orders", may: ["consume"] }, { topics: "stock.*", may: ["produce", "consume", "manage"] }],
      },
      { name: "root", secret: secretOf("root") },
    ],
    logLevel: "error",
  });
  await node.node.whenReady();
  [root, shop, stock] = await Promise.all([as("root"), as("shop"), as("stock")]);
  for (const name of ["orders", "salaries"]) {
    await root.admin.createTopic(name, { partitions: 2 });
    await root.producer().sendAll(name, Array.from({ length: 10 }, (_, i) => ({ value: `${i}` })));
  }
});

rights.after(async () => {
  for (const client of [root, shop, stock]) await client.close();
  await node.stop();
  removeFolder(folder);
});

function as(name: string): Promise<Client> {
  return connect(node.node.clientAddress, { credentials: { name, secret: secretOf(name) } });
}

/** May do what "stock" may, and keeps to no client's manners. */
function hostile(): Promise<RpcClient> {
  return RpcClient.connect(createNodeRuntime({ logLevel: "error" }), node.node.clientAddress, {
    clientName: "hostile",
    credentials: { mechanism: "plain", name: "stock", secret: secretOf("stock") },
    connectTimeoutMs: 5_000,
    memory: (byteLength) => new Uint8Array(byteLength),
  });
}

async function read(client: Client, topic: string): Promise<number> {
  let seen = 0;
  for await (const _ of client.consumer({ topics: [topic], from: "earliest", until: "end" })) seen += 1;
  return seen;
}

async function first(client: Client, topic: string, group: string): Promise<string> {
  for await (const record of client.consumer({ topics: [topic], group, from: "earliest" })) return record.text();
  return "";
}

rights("who may produce to a topic may do that, and nothing else", async () => {
  await shop.producer().send("orders", { value: "paid" });
  assert.is(await codeOf(shop.producer().send("salaries", { value: "more" })), "NOT_AUTHORIZED");
  assert.is(await codeOf(read(shop, "orders")), "NOT_AUTHORIZED");
  assert.is(await codeOf(read(shop, "salaries")), "NOT_AUTHORIZED");
  assert.is(await codeOf(shop.admin.deleteTopic("orders")), "NOT_AUTHORIZED");
  assert.is(await codeOf(shop.admin.createTopic("orders.new")), "NOT_AUTHORIZED");
  assert.is(await codeOf(shop.admin.deleteRecords("orders", 0, 1)), "NOT_AUTHORIZED");
});

rights(
  "who may consume reads alone, in a group and from a queue, and publishes nothing by way of its dead letters",
  async () => {
    assert.is(await read(stock, "orders"), 11);
    assert.ok(await first(stock, "orders", "counting"));
    assert.is(await codeOf(first(stock, "salaries", "counting")), "NOT_AUTHORIZED");
    assert.is(await codeOf(first(shop, "orders", "counting")), "NOT_AUTHORIZED");
    const queue = stock.queue("orders", { group: "reserve", from: "earliest" });
    const message = await (await queue[Symbol.asyncIterator]().next()).value!;
    await message.ack();
    await queue.close();
    assert.is(await codeOf(stock.producer().send("orders", { value: "x" })), "NOT_AUTHORIZED");
    const sneaky = stock.queue("orders", { group: "sneaky", deliveriesMax: 1, deadLetter: "salaries" });
    assert.is(await codeOf(sneaky[Symbol.asyncIterator]().next()), "NOT_AUTHORIZED");
    await sneaky.close();
    assert.is(await codeOf(stock.admin.resetGroup("orders", "reserve", { to: "earliest" })), "NOT_AUTHORIZED");
    assert.is(await codeOf(stock.admin.removeGroup("orders", "reserve", { force: true })), "NOT_AUTHORIZED");
    assert.equal((await stock.admin.listGroups("orders")).map(({ group }) => group).includes("reserve"), true);
  },
);

rights("who may manage some topics makes, changes and deletes those, and sees no others", async () => {
  await stock.admin.createTopic("stock.levels");
  await stock.admin.alterTopic("stock.levels", { retention: { ms: 1_000 } });
  await stock.producer().send("stock.levels", { value: "7" });
  assert.is(await codeOf(stock.admin.createTopic("stocks")), "NOT_AUTHORIZED");
  assert.equal((await stock.admin.listTopics()).map(({ name }) => name).sort(), ["orders", "stock.levels"]);
  assert.equal((await root.admin.listTopics()).map(({ name }) => name).sort(), ["orders", "salaries", "stock.levels"]);
  assert.is((await stock.admin.describeTopic("orders")).partitions.length, 2);
  assert.is(await codeOf(stock.admin.describeTopic("salaries")), "NOT_AUTHORIZED");
  assert.is(await codeOf(stock.admin.describeTopic("no-such-topic")), "NOT_AUTHORIZED", "it is not told what there is");
  assert.is(await codeOf(stock.admin.addNode(4, { host: "127.0.0.1", port: 1 })), "NOT_AUTHORIZED");
  assert.is(await codeOf(stock.admin.drainNode(1)), "NOT_AUTHORIZED");
  assert.is(await codeOf(stock.admin.removeNode(1)), "NOT_AUTHORIZED");
  assert.is(await codeOf(stock.admin.spreadReplicas()), "NOT_AUTHORIZED");
  assert.is((await stock.admin.describeCluster()).nodes.length, 1);
  await stock.admin.deleteTopic("stock.levels");
});

rights("one who knows the number of a topic's shard is refused by it, too", async () => {
  const rpc = await hostile();
  const { shard } = node.node.metadata.topics.get("salaries")!.partitions[0]!;
  const fetch = { type: "fetch", session: 1, step: "open", maxWaitMs: 0, bytesMin: 1, bytesMax: 1_000_000 } as const;
  const parts = [{ shard, offset: 0, bytesMax: 1_000_000 }];
  const group = "g";
  for (
    const request of [
      { ...fetch, parts, dropped: [] },
      { type: "offsets", parts: [{ shard, at: "latest" }] },
      { type: "groups", group: "", shards: [shard] },
      { type: "groupRemove", group, force: true, shards: [shard] },
      { type: "lease", group, consumer: "c", maxWaitMs: 0, bytesMax: 1_000, parts: [{ shard, recordsMax: 1 }] },
      { type: "cursor", group, parts: [{ shard, kind: "fetch", generation: 0, offset: 0, text: "" }] },
    ] as const
  ) {
    assert.is(await codeOf(rpc.request(request, 5_000)), "NOT_AUTHORIZED", request.type);
  }
  const secret = root.consumer({ topics: ["salaries"], group: "payroll", instanceId: "worker-1", from: "earliest" });
  const iterator = secret[Symbol.asyncIterator]();
  assert.ok((await iterator.next()).value);
  const leave = { type: "groupLeave", group: "payroll", memberId: secret.memberId! } as const;
  assert.is(await codeOf(rpc.request(leave, 5_000)), "NOT_AUTHORIZED", "a member is its own");
  assert.is((await rpc.request({ type: "groupMembers", group: "payroll" }, 5_000)).members.length, 0);
  assert.is((await stock.admin.groupMembers()).has("payroll"), false);
  assert.is((await root.admin.groupMembers()).get("payroll"), 1);
  const heartbeat = {
    type: "groupHeartbeat",
    group: "payroll",
    generation: 0,
    topics: ["stock.own"],
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    told: 0,
    sequence: 1,
    owned: [],
    refused: [],
  } as const;
  for (const [memberId, instanceId] of [[secret.memberId!, ""], ["evil", "worker-1"]] as const) {
    assert.is(await codeOf(rpc.request({ ...heartbeat, memberId, instanceId }, 5_000)), "NOT_AUTHORIZED", memberId);
  }
  await secret.close();
  const { topics } = await rpc.request({ type: "metadata", topics: null }, 5_000);
  assert.equal(topics.map(({ name }) => name), ["orders"]);
  rpc.close();
});

rights("a topic that is made later is not read by who asked for its shard before", async () => {
  const rpc = await hostile();
  const { shard } = node.node.metadata.topics.get("orders")!.partitions[0]!;
  const next = node.node.metadata.nextShard;
  const fetch = { type: "fetch", session: 1, maxWaitMs: 100, bytesMin: 1, dropped: [] } as const;
  const parts = [{ shard, offset: 0, bytesMax: 1 }, { shard: next, offset: 0, bytesMax: 1_000_000 }];
  await rpc.request({ ...fetch, step: "open", bytesMax: 1, parts }, 5_000);
  await root.admin.createTopic("bonuses");
  assert.is(node.node.metadata.topics.get("bonuses")!.partitions[0]!.shard, next);
  await root.producer().send("bonuses", { value: "secret" });
  for (let i = 0; i < 3; i++) {
    const answer = await rpc.request({ ...fetch, step: "go on", bytesMax: 1_000_000, parts: [] }, 5_000);
    assert.not.ok(answer.parts.some((part) => part.shard === next && part.chunks.length > 0));
  }
  const refusal = await rpc.request({ type: "offsets", parts: [{ shard: next, at: "latest" }] }, 5_000).catch(String);
  assert.not.match(String(refusal), "bonuses");
  rpc.close();
  await root.admin.deleteTopic("bonuses");
});

rights("the admin API is for those who may do everything", async () => {
  const url = `http://127.0.0.1:${node.services[0]!.address.port}/v1/groups`;
  const ask = async (name: string) => {
    const response = await fetch(url, { headers: { authorization: `Basic ${btoa(`${name}:${secretOf(name)}`)}` } });
    return [response.status, (await response.json() as { code?: string }).code];
  };
  assert.equal(await ask("root"), [200, undefined], "its own client is one of them");
  assert.equal(await ask("stock"), [403, "FORBIDDEN"]);
  assert.equal(await ask("nobody"), [401, "NOT_AUTHORIZED"]);
});

rights.run();
