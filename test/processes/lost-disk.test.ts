import fs from "node:fs";
import os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect } from "../../mod.ts";
import { compareReplicas } from "../../tools/demo/replicas.ts";
import { NodeProcesses } from "../../tools/processes/node-processes.ts";

const lost = suite("a node's disk is not what it was");

const TOPIC = "orders";
const PATIENCE_MS_MAX = 30_000;
/** Several election timeouts: whoever could lead would. */
const QUIET_MS = 3_000;

let folder: string;
let nodes: NodeProcesses;
let sent: number;

lost.before.each(async () => {
  folder = fs.mkdtempSync(`${os.tmpdir()}/raftline-test-`);
  nodes = await NodeProcesses.start({ folder, logLevel: "error" });
  sent = 0;
  const client = await connect(nodes.bootstrap());
  await client.admin.createTopic(TOPIC, { partitions: 4, replicas: 3 });
  await client.close();
});

lost.after.each(async () => {
  await nodes.stop();
  fs.rmSync(folder, { recursive: true });
});

async function send(count: number): Promise<void> {
  const client = await connect(nodes.bootstrap());
  await client.producer().sendAll(
    TOPIC,
    Array.from({ length: count }, () => ({ key: `${sent}`, value: `${sent++}` })),
  );
  await client.close();
}

async function readAll(): Promise<number[]> {
  const client = await connect(nodes.bootstrap());
  const seen: number[] = [];
  for await (const record of client.consumer({ topics: [TOPIC], from: "earliest", until: "end" })) {
    seen.push(Number(record.text()));
  }
  await client.close();
  return seen.sort((a, b) => a - b);
}

/** What the node itself says of its past; undefined before it has begun, and while it writes it. */
function pastOf(id: number): string | undefined {
  try {
    return JSON.parse(fs.readFileSync(`${nodes.dataFolder(id)}/node.json`, "utf8")).past;
  } catch {
    return undefined;
  }
}

async function untilItIs(id: number, past: "whole" | "lost"): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS_MAX;
  while (pastOf(id) !== past) {
    assert.ok(performance.now() < deadlineMs, `node ${id} is still ${pastOf(id)}`);
    await delay(20);
  }
}

async function isReady(id: number): Promise<boolean> {
  const response = await fetch(`${nodes.adminUrl(id)}/v1/ready`).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.ok === true;
}

/** A node that was just started may lack the newest when all are stopped: it gets that, but never other records. */
async function nothingIsLostAndReplicasAgree(): Promise<void> {
  assert.equal(await readAll(), Array.from({ length: sent }, (_, i) => i));
  const deadlineMs = performance.now() + PATIENCE_MS_MAX;
  for (;;) {
    await nodes.stop();
    const { differences, groups } = await compareReplicas(nodes.ids.map((id) => nodes.dataFolder(id)));
    assert.is(groups, 4);
    const isBehind = differences.length > 0 &&
      differences.every((difference) => difference.endsWith("has more records"));
    if (!isBehind || performance.now() > deadlineMs) return assert.equal(differences, []);
    await Promise.all(nodes.ids.map((id) => nodes.restart(id)));
    await delay(QUIET_MS);
  }
}

for (
  const [what, lostFolder] of [
    ["with an empty folder", (data: string) => data],
    ["without its log, but with what it remembers of the others,", (data: string) => `${data}/log`],
  ] as const
) {
  lost(
    `${what} it gives nobody a vote that could undo what it acknowledged before; then it has all again`,
    async () => {
      await send(200);
      await nodes.kill(3);
      await send(200);
      await nodes.kill(1);
      await nodes.kill(2);
      fs.rmSync(lostFolder(nodes.dataFolder(2)), { recursive: true });
      // Node 3 lacks what 1 and 2 acknowledged: with the vote of 2 it would lead.
      const back = Promise.all([nodes.restart(3), nodes.restart(2)]);
      back.catch(() => {});
      await untilItIs(2, "lost");
      await delay(QUIET_MS);
      assert.equal([await isReady(2), await isReady(3), pastOf(2)], [false, false, "lost"]);
      await nodes.restart(1);
      await back;
      await untilItIs(2, "whole");
      // Now it counts again: with it alone beside node 3 everything goes on.
      await nodes.kill(1);
      await send(200);
      await nodes.restart(1);
      await nothingIsLostAndReplicasAgree();
    },
  );
}

lost("with an old copy of its folder it is found out, and is given what it lacks", async () => {
  await send(200);
  await nodes.kill(2);
  fs.cpSync(nodes.dataFolder(2), `${folder}/copy`, {
    recursive: true,
    // The socket of the killed process, which this does not copy.
    filter: (path) => !fs.lstatSync(path).isSocket(),
  });
  await nodes.restart(2);
  await send(200);
  await nodes.kill(2);
  fs.rmSync(nodes.dataFolder(2), { recursive: true });
  fs.renameSync(`${folder}/copy`, nodes.dataFolder(2));
  await nodes.restart(2);
  await send(200);
  await untilItIs(2, "whole");
  await nothingIsLostAndReplicasAgree();
});

lost.run();
