import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FAULT_NAMES, simulateCluster, SimulationError } from "raftline/testing";

const testing = suite("raftline/testing");

testing("runs a user's producer and consumer under faults: the example of tools/simulator/README.md", async () => {
  const received: string[] = [];
  const run = await simulateCluster({ seed: 8, faults: ["crash", "partition", "chaseLeader"] }, async (world) => {
    const client = await world.connect();
    await client.admin.createTopic("orders", { partitions: 2, replicas: 3 });
    const producer = client.producer();
    for (let order = 0; order < 50; order++) {
      await producer.send("orders", { key: `customer-${order % 5}`, value: `order ${order}` });
      await world.sleep(200);
    }
    await world.healed();
    for await (const record of client.consumer({ topics: ["orders"], from: "earliest", until: "end" })) {
      received.push(record.text());
    }
    await client.close();
  });
  assert.is(received.length, 50, "nothing lost, nothing twice");
  assert.is(new Set(received).size, 50);
  assert.ok(run.simulatedSeconds >= 30);
  assert.ok(Object.keys(run.faults).length > 0, "faults struck");
});

testing("the same seed and code give the same run, another seed another", async () => {
  const run = async (seed: number) => {
    const { hash } = await simulateCluster({ seed, faults: ["crash"], faultSeconds: 3 }, async (world) => {
      const client = await world.connect();
      await client.admin.createTopic("t", { partitions: 1, replicas: 3 });
      await client.producer().send("t", { value: `${world.random()}` });
      await client.close();
    });
    return hash;
  };
  const first = await run(1);
  assert.is(await run(1), first);
  assert.is.not(await run(2), first);
});

async function failureOf(run: Parameters<typeof simulateCluster>[1], seconds = 300): Promise<SimulationError> {
  try {
    await simulateCluster({ seed: 3, faults: [], seconds }, run);
  } catch (error) {
    if (error instanceof SimulationError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

testing("what the code under test throws comes out with the seed, the cause and the story", async () => {
  const bug = new Error("the total is wrong");
  const failure = await failureOf(async (world) => {
    await world.sleep(500);
    throw bug;
  });
  assert.is(failure.cause, bug);
  assert.is(failure.seed, 3);
  assert.match(failure.message, "seed 3");
  assert.match(failure.timeline.join("\n"), "node 1 starts");
});

testing("code that reaches for the real clock is told", async () => {
  const failure = await failureOf(async (world) => {
    await world.sleep(10);
    setTimeout(() => {}, 5);
  });
  assert.is((failure.cause as { code?: string }).code, "REAL_WORLD");
});

testing("code that never ends is ended, with the reason", async () => {
  const failure = await failureOf(() => new Promise<void>(() => {}), 20);
  assert.match(failure.message, "no progress");
});

testing("options that make no sense are refused", async () => {
  const refused = async (options: Record<string, unknown>) => {
    try {
      await simulateCluster({ seed: 1, ...options }, async () => {});
    } catch (error) {
      return error instanceof RangeError;
    }
    return false;
  };
  assert.ok(await refused({ seed: NaN }));
  assert.ok(await refused({ seed: -1 }));
  assert.ok(await refused({ nodes: 9 }));
  assert.ok(await refused({ faults: ["earthquake"] }));
  assert.ok(FAULT_NAMES.length > 10);
});

testing.run();
