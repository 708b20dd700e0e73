import https from "node:https";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../mod.ts";
import { adminService } from "../../src/admin/app.ts";
import { type Cluster, startCluster } from "../../src/node/cluster.ts";
import { createNodeNetwork } from "../../src/runtime/node-network.ts";
import { createNodeRuntime } from "../../src/runtime/node-runtime.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { encodeFrame } from "../../src/wire/frames.ts";
import { encodePeerHello, PEER_PROTOCOL_VERSION } from "../../src/wire/peer-protocol.ts";
import { material, textOf } from "../certificates/read.ts";
import { codeOf, until } from "./test-cluster.ts";

const tls = suite("a cluster under TLS");

const TRUSTING = { authority: textOf("authority.pem") };
let cluster: Cluster;
let client: Client;

tls.before(async () => {
  const folder = makeTemporaryFolder("raftline-tls-");
  const runtime = createNodeRuntime({ logLevel: "error", tls: material("node") });
  cluster = await startCluster({ runtime, folder, services: [adminService] }, () => removeFolder(folder));
  client = await connect(cluster.bootstrap, { tls: TRUSTING });
});

tls.after(async () => {
  await client.close();
  await cluster.stop();
});

tls("takes records, and gives them back", async () => {
  await client.admin.createTopic("orders", { partitions: 4, replicas: 3 });
  const values = Array.from({ length: 5_000 }, (_, i) => `${i} ${"x".repeat(i % 500)}`);
  await client.producer().sendAll("orders", values.map((value, i) => ({ key: `${i}`, value })));
  const seen = new Set<string>();
  for await (const record of client.consumer({ topics: ["orders"], from: "earliest", until: "end" })) {
    seen.add(record.text());
  }
  assert.equal([...seen].sort(), values.toSorted());
});

tls("is told from one that should not be believed, and is not spoken to without TLS", async () => {
  const stranger = { tls: { authority: textOf("stranger.pem") } };
  assert.is(await codeOf(connect(cluster.bootstrap, stranger)), "UNTRUSTED");
  assert.is(await codeOf(connect(cluster.bootstrap, { tls: true })), "UNTRUSTED");
  assert.is(await codeOf(connect(cluster.bootstrap, { connectTimeoutMs: 300 })), "UNAVAILABLE");
  const half = { tls: { certificate: textOf("node.pem") } };
  assert.is(await codeOf(connect(cluster.bootstrap, half)), "INVALID_REQUEST");
});

tls("its nodes listen to nobody who shows no certificate of theirs", async () => {
  const { peerAddress } = cluster.nodes[0]!;
  const hello = encodePeerHello({
    protocolVersion: PEER_PROTOCOL_VERSION,
    clusterId: "another",
    from: 2,
    to: 1,
    incarnation: 1,
    runs: [1],
    forgot: false,
    secret: "",
  });
  const answerTo = async (shown: Parameters<typeof createNodeNetwork>[0]) => {
    const connection = await createNodeNetwork(shown).connect(peerAddress, 2_000);
    const answer = new Promise<string>((resolve) => {
      connection.onData = () => resolve("an answer");
      connection.onClose = () => resolve("closed");
    });
    connection.write(encodeFrame(hello));
    const found = await answer;
    connection.destroy();
    return found;
  };
  assert.is(await answerTo(TRUSTING), "closed");
  assert.is(await answerTo(material("client")), "an answer", "that it is of another cluster");
});

tls("its admin API is HTTPS", async () => {
  const [admin] = cluster.adminAddresses;
  const { status, body } = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const options = { host: admin!.host, port: admin!.port, path: "/v1/topics/orders", ca: TRUSTING.authority };
    https.get(options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => body += text);
      response.on("end", () => resolve({ status: response.statusCode, body }));
    }).on("error", reject);
  });
  assert.is(status, 200);
  assert.is(JSON.parse(body).name, "orders");
  await fetch(`http://${admin!.host}:${admin!.port}/v1/health`).then(
    () => assert.unreachable("plain HTTP was answered"),
    () => {},
  );
});

tls("a node that joins speaks it, too", async () => {
  const fourth = await cluster.addNode();
  await client.admin.createTopic("wide", { partitions: 4, replicas: 4 });
  await client.producer().sendAll("wide", Array.from({ length: 100 }, (_, i) => ({ key: `${i}`, value: `${i}` })));
  await until("it has its records", () => {
    const held = [...fourth.partitions.all()].map(({ highWatermark }) => highWatermark);
    return held.reduce((sum, count) => sum + count, 0) === 100;
  });
});

tls.run();
