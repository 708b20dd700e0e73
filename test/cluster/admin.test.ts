import http from "node:http";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, startCluster, startNode } from "../../mod.ts";
import { createAdminApp } from "../../src/admin/app.ts";
import type { OwnClient } from "../../src/admin/own-client.ts";
import { until } from "./test-cluster.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";

const admin = suite("the HTTP API");

let cluster: Awaited<ReturnType<typeof startCluster>>;
let url: string;

admin.before(async () => {
  cluster = await startCluster({ nodes: 3 });
  url = `http://127.0.0.1:${cluster.adminAddresses[1]!.port}`;
});

admin.after(() => cluster.stop());

async function call(path: string, method = "GET", body?: unknown): Promise<{ status: number; body: Json }> {
  const sent = body === undefined
    ? {}
    : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url + path, { method, ...sent });
  return { status: response.status, body: await response.json() as Json };
}

interface Operation {
  readonly responses: object;
  readonly requestBody?: { readonly required: boolean };
}

type Json = Record<string, unknown> & Record<string, unknown>[];

admin("tells that it lives and that it serves", async () => {
  assert.equal(await call("/v1/health"), { status: 200, body: { status: "ok", nodeId: 2 } } as never);
  assert.equal(await call("/v1/ready"), { status: 200, body: { ready: true, nodeId: 2 } } as never);
});

admin("a topic's life: created, listed, described, changed, deleted", async () => {
  const created = await call("/v1/topics", "POST", { name: "life", partitions: 3, replicas: 3 });
  assert.is(created.status, 201);
  assert.is((created.body.partitions as unknown as unknown[]).length, 3);
  const listed = await call("/v1/topics");
  assert.equal(listed.body.map(({ name, partitions }) => [name, partitions]), [["life", 3]]);
  const changed = await call("/v1/topics/life", "PATCH", { retention: { ms: 1_000 } });
  assert.equal(changed.body.retention, { ms: 1_000 });
  const described = await call("/v1/topics/life");
  assert.equal(described.body, changed.body);
  const { body: partitions } = await call("/v1/topics/life/partitions");
  for (const { leader, replicas, highWatermark, startOffset } of partitions) {
    assert.ok([1, 2, 3].includes(leader as number));
    assert.is((replicas as number[]).length, 3);
    assert.equal([highWatermark, startOffset], [0, 0]);
  }
  assert.is((await call("/v1/topics/life", "DELETE")).status, 200);
  assert.is((await call("/v1/topics/life")).status, 404);
});

admin("a move to a partition that is no number, or with a field that nobody knows, is refused", async () => {
  await call("/v1/topics", "POST", { name: "still", partitions: 1, replicas: 3 });
  const move = async (partition: string, body: unknown) => {
    const { status, body: { code } } = await call(`/v1/topics/still/partitions/${partition}/replicas`, "PUT", body);
    return [status, code];
  };
  const replicas = [1, 2];
  for (const partition of ["%20", "0x0", "-0", "0.0", "1e0"]) {
    assert.equal(await move(partition, { replicas }), [400, "INVALID_REQUEST"], partition);
  }
  assert.equal(await move("0", { replicas, leader: 1 }), [400, "INVALID_REQUEST"]);
  assert.equal(await move("0", [1, 2]), [400, "INVALID_REQUEST"]);
  const { body } = await call("/v1/topics/still/partitions");
  assert.equal(body.map(({ target }) => target), [[]]);
});

/** By `node:http`: fetch sets Host and Origin itself. */
function ask(method: string, path: string, headers: Record<string, string>, body = ""): Promise<[number, string]> {
  const { port } = cluster.adminAddresses[1]!;
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
      response.on("end", () => resolve([response.statusCode!, /"code":"(\w+)"/.exec(text)?.[1] ?? ""]));
    });
    request.on("error", reject).end(body);
  });
}

admin("a web page that is open on this machine cannot ask anything", async () => {
  const { host } = new URL(url);
  const json = { "content-type": "application/json" };
  const topic = JSON.stringify({ name: "forged", partitions: 1 });
  const create = (headers: Record<string, string>) => ask("POST", "/v1/topics", headers, topic);
  assert.equal(await create({ "content-type": "text/plain" }), [415, "UNSUPPORTED_MEDIA_TYPE"]);
  assert.equal(await create({}), [415, "UNSUPPORTED_MEDIA_TYPE"]);
  for (const origin of ["https://evil.example", "null", "http://127.0.0.1:3000", `https://${host}`]) {
    assert.equal(await create({ ...json, origin }), [403, "FOREIGN_ORIGIN"], origin);
  }
  for (const name of ["evil.example", "127.0.0.1.evil.example", `localhost.evil.example:${new URL(url).port}`]) {
    assert.equal(await create({ ...json, host: name }), [403, "FOREIGN_HOST"], name);
    assert.equal(await ask("GET", "/v1/health", { host: name }), [403, "FOREIGN_HOST"], name);
  }
  assert.is((await call("/v1/topics/forged")).status, 404);
  for (const name of [host, "localhost", "[::1]:7601", "LOCALHOST:80"]) {
    assert.equal(await ask("GET", "/metrics", { host: name }), [200, ""], name);
  }
  assert.equal(await create({ "content-type": "application/json; charset=utf-8", origin: url }), [201, ""]);
});

admin("the groups of a topic, and how far they are", async () => {
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("watched", { partitions: 2 });
  await client.producer().sendAll("watched", Array.from({ length: 10 }, () => ({ value: "x", partition: 1 })));
  await client.cursors("watched", "log").commit([{ partition: 1, offset: 4 }]);
  await using queue = client.queue("watched", { group: "mail" });
  const { value: message } = await queue[Symbol.asyncIterator]().next();
  await message!.ack();
  const { body: groups } = await call("/v1/groups?topic=watched");
  assert.equal(groups.map(({ group, kind, lag, leased }) => [group, kind, lag, leased]), [
    ["log", "cursor", 6, 0],
    ["mail", "queue", 9, 9],
  ]);
  const { body: places } = await call("/v1/groups/log");
  assert.equal(places.map(({ partition, floor, highWatermark }) => [partition, floor, highWatermark]), [[1, 4, 10]]);
  assert.is((await call("/v1/groups/nobody")).status, 404);
  let lag = 0;
  for (const { host, port } of cluster.adminAddresses) {
    const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
    lag += Number(/^raftline_group_lag_records\{topic="watched",group="log"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
  }
  assert.is(lag, 6);
  await queue.close();
  const reset = await client.admin.resetGroup("watched", "mail", { to: "earliest" });
  assert.equal(reset, [{ partition: 0, offset: 0 }, { partition: 1, offset: 0 }]);
  assert.is((await client.admin.describeGroup("watched", "mail"))[1]?.waiting, 10);
  await client.admin.removeGroup("watched", "mail");
  assert.equal((await client.admin.listGroups("watched")).map(({ group }) => group), ["log"]);
});

admin("the cluster and its nodes", async () => {
  const { body } = await call("/v1/cluster");
  assert.ok((body.metadataLeader as unknown as number) > 0);
  const nodes = (await call("/v1/nodes")).body;
  assert.equal(nodes.map(({ id, alive }) => [id, alive]), [[1, true], [2, true], [3, true]]);
});

admin("nodes are added, drained and removed over HTTP", async () => {
  const codes = [
    await call("/v1/nodes/4", "PUT", { host: "127.0.0.1" }),
    await call("/v1/nodes/four", "PUT", { host: "127.0.0.1", port: 1 }),
    await call("/v1/nodes/3", "PUT", { host: "127.0.0.1", port: 1 }),
    await call("/v1/nodes/4", "PATCH", { draining: true }),
    await call("/v1/nodes/4", "PATCH", { drain: true }),
    await call("/v1/nodes/4", "DELETE"),
    await call("/v1/nodes/spread", "POST", { all: true }),
  ].map(({ status, body }) => [status, body.code as unknown as string]);
  assert.equal(codes, [
    [400, "INVALID_REQUEST"],
    [400, "INVALID_REQUEST"],
    [409, "ALREADY_EXISTS"],
    [404, "UNKNOWN_NODE"],
    [400, "INVALID_REQUEST"],
    [404, "UNKNOWN_NODE"],
    [400, "INVALID_REQUEST"],
  ]);
  assert.is((await call("/v1/nodes/4", "PUT", { host: "127.0.0.1", port: 1 })).status, 200);
  const fourth = (await call("/v1/nodes")).body[3] as unknown as object;
  assert.equal(fourth, { id: 4, host: "127.0.0.1", port: 0, alive: false, added: true, draining: false });
  assert.is((await call("/v1/nodes/4", "DELETE")).status, 409);
  assert.is((await call("/v1/nodes/4", "PATCH", { draining: true })).status, 200);
  assert.is((await call("/v1/nodes/4", "DELETE")).status, 200);
  assert.is((await call("/v1/nodes")).body.length, 3);
  assert.type((await call("/v1/nodes/spread", "POST", {})).body.moves, "number");
});

admin("metrics for Prometheus, and an OpenAPI document that has every route", async () => {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  for (
    const name of [
      "raftline_ready 1",
      "raftline_partitions ",
      "raftline_log_pending_bytes ",
      "# TYPE raftline_log_compacted_bytes_total counter\nraftline_log_compacted_bytes_total 0\n",
      "raftline_replicas_damaged_total 0\n",
      "raftline_replicas_repaired_total 0\n",
      "raftline_partitions_under_replicated ",
      "raftline_partitions_leaderless 0\n",
      "raftline_partitions_moving ",
      "raftline_nodes_away 0\n",
      "raftline_client_connections_refused_total 0\n",
      "process_resident_memory_bytes ",
    ]
  ) {
    assert.ok(metrics.includes(name), name);
  }
  const { body } = await call("/v1/openapi.json");
  assert.is(body.openapi as unknown as string, "3.1.0");
  const paths = Object.keys(body.paths as unknown as object).sort();
  assert.equal(paths, [
    "/v1/cluster",
    "/v1/groups",
    "/v1/groups/{group}",
    "/v1/health",
    "/v1/nodes",
    "/v1/nodes/spread",
    "/v1/nodes/{id}",
    "/v1/ready",
    "/v1/topics",
    "/v1/topics/{topic}",
    "/v1/topics/{topic}/partitions",
    "/v1/topics/{topic}/partitions/{partition}/records",
    "/v1/topics/{topic}/partitions/{partition}/replicas",
  ]);
});

admin("metrics count what is produced and read, and tell of a replica that is away", async () => {
  await using small = await startCluster({ nodes: 3 });
  await using client = await connect(small.bootstrap);
  await client.admin.createTopic("busy", { partitions: 2, replicas: 3 });
  await client.producer().sendAll("busy", Array.from({ length: 500 }, (_, i) => ({ key: `${i}`, value: "x" })));
  let seen = 0;
  for await (const _ of client.consumer({ topics: ["busy"], from: "earliest", until: "end" })) seen += 1;
  assert.is(seen, 500);
  const sum = async (name: string) => {
    let total = 0;
    for (const { host, port } of small.adminAddresses) {
      const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
      total += Number(new RegExp(`^raftline_${name} ([0-9]+)$`, "m").exec(text)![1]);
    }
    return total;
  };
  assert.is(await sum('topic_produced_records_total{topic="busy"}'), 500);
  const bytes = await sum('topic_produced_bytes_total{topic="busy"}');
  assert.ok(bytes > 1_000);
  assert.ok(await sum('topic_read_bytes_total{topic="busy"}') >= bytes);
  assert.ok(await sum("client_connections") > 0);
  assert.ok(await sum("leader_changes_total") >= 3);
  await until("all replicas have begun", async () => await sum("partitions_under_replicated") === 0);
  await small.nodes[2]!.stop();
  await until(
    "it is noticed",
    async () => await sum("partitions_under_replicated") > 0 && await sum("nodes_away") >= 2,
  );
});

admin("the OpenAPI document says what is answered", async () => {
  const { body } = await call("/v1/openapi.json");
  const paths = body.paths as unknown as Record<string, Record<string, Operation>>;
  const statuses = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses }]) => `${method} ${path} ${Object.keys(responses).join()}`)
  );
  const special = ["get /v1/ready 200,503,default", "post /v1/topics 201,default"];
  const move = "put /v1/topics/{topic}/partitions/{partition}/replicas 202,default";
  assert.equal(statuses.filter((line) => !line.endsWith(" 200,default")), [...special, move]);
  for (const methods of Object.values(paths)) {
    for (const [method, { requestBody }] of Object.entries(methods)) {
      const takesBody = ["post", "put", "patch"].includes(method);
      assert.is(requestBody?.required, takesBody ? true : undefined, method);
    }
  }
  assert.is((body as unknown as { security?: unknown }).security, undefined);
});

admin("a method that a path does not take is told those that it does", async () => {
  const allowOf = async (method: string, path: string) => {
    const response = await fetch(url + path, { method });
    const { code } = await response.json() as { code: string };
    return [response.status, code, response.headers.get("allow")];
  };
  assert.equal(await allowOf("PUT", "/v1/topics"), [405, "METHOD_NOT_ALLOWED", "HEAD, GET, POST"]);
  assert.equal(await allowOf("POST", "/v1/topics/x"), [405, "METHOD_NOT_ALLOWED", "HEAD, GET, PATCH, DELETE"]);
  assert.equal(await allowOf("OPTIONS", "/v1/groups/g"), [405, "METHOD_NOT_ALLOWED", "HEAD, GET"]);
  assert.equal(await allowOf("POST", "/metrics"), [405, "METHOD_NOT_ALLOWED", "HEAD, GET"]);
  assert.equal(await allowOf("POST", "/v1/nothing"), [404, "NOT_FOUND", null]);
});

admin("with credentials configured everything but health asks for them, and they appear nowhere", async () => {
  const folder = makeTemporaryFolder("raftline-test-");
  const secret = "a-secret-of-some-length";
  const started = await startNode({
    clusterId: "test",
    nodeId: 1,
    dataFolder: folder,
    nodes: [{ id: 1, host: "127.0.0.1", port: 0 }],
    credentials: [{ name: "shop", secret }],
    logLevel: "error",
  });
  const own = `http://127.0.0.1:${started.services[0]!.address.port}`;
  const ask = async (path: string, password?: string) => {
    const headers = password === undefined ? {} : { authorization: `Basic ${btoa(`shop:${password}`)}` };
    const response = await fetch(own + path, { headers: headers as Record<string, string> });
    const text = await response.text();
    assert.not.ok(text.includes(secret));
    return response.status;
  };
  assert.is(await ask("/v1/health"), 200);
  for (const path of ["/v1/topics", "/v1//topics", "/metrics", "/v1/openapi.json", "/v1/health/../topics"]) {
    assert.is(await ask(path), 401, path);
    assert.is(await ask(path, "wrong"), 401, path);
  }
  await started.node.whenReady();
  assert.is(await ask("/v1/topics", secret), 200);
  const headers = { authorization: `Basic ${btoa(`shop:${secret}`)}` };
  const document = await (await fetch(`${own}/v1/openapi.json`, { headers })).json() as Json;
  assert.equal(document.security as unknown, [{ basic: [] }]);
  const { basic } = (document.components as unknown as { securitySchemes: { basic: object } }).securitySchemes;
  assert.equal(basic, { type: "http", scheme: "basic" });
  const paths = document.paths as unknown as Record<string, { get: { security?: unknown } }>;
  assert.equal(paths["/v1/health"]!.get.security, []);
  assert.is(paths["/v1/topics"]!.get.security, undefined);
  await started.stop();
  await removeFolder(folder);
});

admin("the log has what was unexpected, and nothing that a client did wrong", async () => {
  const node = cluster.nodes[1]!;
  const { log } = node.runtime;
  const { write } = log;
  const lines: unknown[] = [];
  log.write = (level, message, fields) => lines.push([level, message, fields?.["path"]]);
  await call("/v1/topics/nowhere");
  await call("/v1/topics", "POST", { name: "no name" });
  await ask("GET", "/v1/topics", { origin: "http://evil.example" });
  assert.equal(lines, []);
  const broken = { get: () => Promise.reject(new Error("broken")) } as unknown as OwnClient;
  const response = await createAdminApp(node, broken).request("/v1/groups");
  log.write = write;
  assert.is(response.status, 500);
  assert.equal(lines, [["warn", "an admin request failed", "/v1/groups"]]);
});

admin("a node that is advertised elsewhere still reaches itself", async () => {
  const folder = makeTemporaryFolder("raftline-test-");
  const secret = "a-secret-of-some-length";
  const started = await startNode({
    clusterId: "test",
    nodeId: 1,
    dataFolder: folder,
    host: "0.0.0.0",
    advertisedHost: "nowhere.invalid",
    peerSecret: secret,
    nodes: [{ id: 1, host: "127.0.0.1", port: 0 }],
    credentials: [{ name: "shop", secret }],
    logLevel: "error",
  });
  await started.node.whenReady();
  const own = `http://127.0.0.1:${started.services[0]!.address.port}/v1`;
  const headers = { authorization: `Basic ${btoa(`shop:${secret}`)}`, "content-type": "application/json" };
  const made = await fetch(`${own}/topics`, { method: "POST", headers, body: '{"name":"far","partitions":1}' });
  assert.is(made.status, 201);
  const groups = await fetch(`${own}/groups?topic=far`, { headers });
  assert.equal([groups.status, await groups.json()], [200, []]);
  await started.stop();
  await removeFolder(folder);
});

admin.run();
