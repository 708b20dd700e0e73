import fs from "node:fs";
import process from "node:process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { stringify } from "yaml";
import { type Client, connect } from "../../mod.ts";
import { makeTemporaryFolder, removeFolder } from "../../src/runtime/temporary-folder.ts";
import { pathOf, textOf } from "../certificates/read.ts";
import { codeOf, until } from "../cluster/test-cluster.ts";
import { commandOf, start, type Started } from "./one-node.ts";

const reload = suite("a configuration that is read again");

const folder = makeTemporaryFolder("raftline-reload-");
const path = `${folder}/node.yaml`;
const OPERATOR = { name: "operator", secret: "the-secret-of-the-operator" };
const SHOP = { name: "shop", secret: "the-secret-of-the-shop" };
let node: Started;
let port = 0;

function configure(credentials: object[], certificate: string, more: object = {}): void {
  const tls = {
    certificateFile: certificate.startsWith("/") ? `${certificate}.pem` : pathOf(`${certificate}.pem`),
    keyFile: certificate.startsWith("/") ? `${certificate}.key` : pathOf(`${certificate}.key`),
    authorityFile: pathOf("authority.pem"),
  };
  const nodes = [{ id: 1, host: "127.0.0.1", port: 0 }];
  fs.writeFileSync(path, stringify({ nodeId: 1, dataFolder: `${folder}/node`, nodes, credentials, tls, ...more }));
}

/** Resolves when the node has said so. */
async function hangUp(said: RegExp): Promise<void> {
  process.kill(node.pid, "SIGHUP");
  await node.said(said);
}

function as(credentials: { name: string; secret: string }): Promise<Client> {
  return connect([`127.0.0.1:${port}`], { credentials, tls: { authority: textOf("authority.pem") } });
}

reload.before(async () => {
  configure([OPERATOR, SHOP], "elsewhere");
  node = start(commandOf(path));
  port = Number((await node.said(/clients 127\.0\.0\.1:(\d+)/))[1]);
  await node.said(/serving/);
});

reload.after(async () => {
  await node.kill();
  removeFolder(folder);
});

reload("another certificate is shown to those who come from then on", async () => {
  assert.is(await codeOf(as(OPERATOR)), "UNTRUSTED", "it is for another host");
  configure([OPERATOR, SHOP], "node");
  await hangUp(/read again renewed=\["tls"\]/);
  await using client = await as(OPERATOR);
  await client.admin.createTopic("orders");
});

reload("who is not known any more, or may do less, comes in no more with what it had", async () => {
  await using shop = await as(SHOP);
  await using operator = await as(OPERATOR);
  const producer = shop.producer({ deliveryTimeoutMs: 5_000 });
  await producer.send("orders", { value: "1" });
  configure([OPERATOR, { ...SHOP, rights: [{ topics: "orders", may: ["consume"] }] }], "node");
  await hangUp(/read again renewed=\["credentials"\]/);
  await until(
    "it may not produce",
    async () => await codeOf(producer.send("orders", { value: "2" })) === "NOT_AUTHORIZED",
  );
  await operator.producer().send("orders", { value: "3" });
  configure([OPERATOR], "node");
  await hangUp(/(?:read again renewed=\["credentials"\][\s\S]*){2}/);
  assert.is(await codeOf(as(SHOP)), "NOT_AUTHORIZED");
  await operator.producer().send("orders", { value: "4" });
});

reload("what is not valid changes nothing, and what waits for the next start is named", async () => {
  fs.writeFileSync(path, "nodeId: [");
  await hangUp(/not valid: nothing changes/);
  const second = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  fs.writeFileSync(`${folder}/broken.pem`, textOf("node.pem") + second);
  fs.copyFileSync(pathOf("node.key"), `${folder}/broken.key`);
  configure([OPERATOR, SHOP], `${folder}/broken`);
  await hangUp(/do not make a certificate/);
  configure([OPERATOR, SHOP], "nowhere");
  await hangUp(/cannot read .*nowhere/);
  assert.is(await codeOf(as(SHOP)), "NOT_AUTHORIZED");
  configure([OPERATOR, SHOP], "node", { logLevel: "debug" });
  await hangUp(/taken at the next start only fields=\["logLevel"\]/);
  await (await as(SHOP)).close();
});

reload.run();
