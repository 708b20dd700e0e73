import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../mod.ts";
import { commandOf, configure, start, type Started } from "./one-node.ts";

const descriptors = suite("a node that may open few files");

const folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);

let node: Started | undefined;

descriptors.after(async () => {
  await node?.kill();
  fs.rmSync(folder, { recursive: true });
});

descriptors(
  "goes on writing while strangers hold all connections that its ports give, and lets others in again",
  async () => {
    node = start(["sh", "-c", `ulimit -n 300; exec "$@"`, "sh", ...commandOf(configure(folder, "few"))]);
    const [, clients = "", peers = "", admin = ""] = await node.said(
      /clients \S+?:(\d+), peers \S+?:(\d+), admin \S+:(\d+)/,
    );
    const client = await connect(`127.0.0.1:${clients}`);
    await client.admin.createTopic("t", { partitions: 4 });
    const producer = client.producer();
    const value = new Uint8Array(100_000);
    await producer.sendAll("t", [{ value }]);
    const strangers = [admin, clients, peers].flatMap((port) =>
      Array.from({ length: 600 }, () => silent(Number(port)))
    );
    await delay(500);
    assert.ok(strangers.filter(({ destroyed }) => !destroyed).length < 100, "they are closed, but for a few");
    // More than two files of the log: none of these could be opened by who has no descriptor left.
    for (let round = 0; round < 15; round++) {
      await producer.sendAll("t", Array.from({ length: 200 }, () => ({ value })));
    }
    assert.ok(fs.readdirSync(`${folder}/few/log`).length >= 3);
    for (const stranger of strangers) stranger.destroy();
    const response = await fetch(`http://127.0.0.1:${admin}/v1/health`);
    assert.is(response.status, 200);
    await response.arrayBuffer();
    await client.close();
  },
);

function silent(port: number): net.Socket {
  return net.connect(port, "127.0.0.1").on("error", () => {});
}

descriptors.run();
