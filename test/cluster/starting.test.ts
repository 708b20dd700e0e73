import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, startCluster, startNode } from "../../mod.ts";

const starting = suite("starting and stopping");

function folder(): string {
  return fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
}

function single(dataFolder: string, more: object = {}): Parameters<typeof startNode>[0] {
  const nodes = [{ id: 1, host: "127.0.0.1", port: 0 }];
  return { clusterId: "test", nodeId: 1, dataFolder, nodes, logLevel: "error", ...more };
}

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

starting("what was acknowledged is there after all nodes were stopped and started again", async () => {
  const data = folder();
  for (let round = 0; round < 3; round++) {
    const cluster = await startCluster({ nodes: 3, folder: data });
    const client = await connect(cluster.bootstrap);
    if (round === 0) await client.admin.createTopic("kept", { partitions: 4 });
    const producer = client.producer();
    await producer.sendAll("kept", Array.from({ length: 1_000 }, (_, i) => ({ key: `${i}`, value: `${round}:${i}` })));
    const seen = new Set<string>();
    for await (const record of client.consumer({ topics: ["kept"], from: "earliest", until: "end" })) {
      seen.add(record.text());
    }
    assert.is(seen.size, (round + 1) * 1_000);
    await client.close();
    await cluster.stop();
  }
  fs.rmSync(data, { recursive: true });
});

starting("a number of nodes that is none of 1 to 7 is refused, and leaves no folder behind", async () => {
  const { TMPDIR = "/tmp" } = process.env;
  const own = folder();
  process.env.TMPDIR = own;
  for (const nodes of [0, 8, NaN, 1.5, -1, 1e9]) {
    assert.is(await codeOf(() => startCluster({ nodes })), "INVALID_CONFIG", `${nodes} nodes`);
  }
  process.env.TMPDIR = TMPDIR;
  assert.equal(fs.readdirSync(own), []);
  fs.rmdirSync(own);
});

starting("a single node serves, too", async () => {
  const data = folder();
  const started = await startNode(single(data));
  await started.node.whenReady();
  const { host, port } = started.node.clientAddress;
  const client = await connect(`${host}:${port}`);
  await client.admin.createTopic("alone");
  await client.producer().send("alone", { value: "x" });
  await client.close();
  await started.stop();
  fs.rmSync(data, { recursive: true });
});

starting("a second node on the same folder is refused, and the first goes on", async () => {
  const data = folder();
  const first = await startNode(single(data));
  assert.is(await codeOf(() => startNode(single(data))), "LOCKED");
  await first.node.whenReady();
  await first.stop();
  const again = await startNode(single(data));
  await again.stop();
  fs.rmSync(data, { recursive: true });
});

starting("other nodes than those that the cluster was made with are refused; an address may change", async () => {
  const data = folder();
  await (await startNode(single(data))).stop();
  const nodes = [1, 2].map((id) => ({ id, host: "127.0.0.1", port: 0 }));
  assert.is(await codeOf(() => startNode(single(data, { nodes }))), "INVALID_CONFIG");
  const moved = await startNode(single(data, { nodes: [{ id: 1, host: "localhost", port: 1 }] }));
  await moved.node.whenReady();
  await moved.stop();
  fs.rmSync(data, { recursive: true });
});

starting("a folder of another node, or of another cluster, is refused and left as it is", async () => {
  const data = folder();
  await (await startNode(single(data))).stop();
  const before = fs.readFileSync(`${data}/node.json`, "utf8");
  const other = { nodeId: 2, nodes: [{ id: 2, host: "127.0.0.1", port: 0 }] };
  assert.is(await codeOf(() => startNode(single(data, other))), "FOREIGN_DATA_FOLDER");
  assert.is(await codeOf(() => startNode(single(data, { clusterId: "elsewhere" }))), "FOREIGN_DATA_FOLDER");
  assert.is(fs.readFileSync(`${data}/node.json`, "utf8"), before);
  for (const name of ["node.json", "node.json.copy"]) fs.writeFileSync(`${data}/${name}`, "{");
  assert.is(await codeOf(() => startNode(single(data))), "CORRUPT");
  fs.rmSync(data, { recursive: true });
});

starting("a port in use is said so, and nothing stays behind", async () => {
  const data = folder();
  const other = folder();
  const first = await startNode(single(data));
  const taken = first.node.clientAddress.port;
  const admin = first.services[0]!.address.port;
  for (const ports of [{ clientPort: taken }, { peerPort: taken }, { adminPort: admin }]) {
    assert.is(await codeOf(() => startNode(single(other, ports))), "ADDRESS_IN_USE");
  }
  const second = await startNode(single(other));
  await second.stop();
  await first.stop();
  for (const path of [data, other]) fs.rmSync(path, { recursive: true });
});

starting("a configuration with an unknown field names it", async () => {
  assert.is(await codeOf(() => startNode(single("/nowhere", { clientPrt: 1 }))), "INVALID_CONFIG");
});

starting.run();
