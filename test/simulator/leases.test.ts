import { suite } from "uvu";
import * as assert from "uvu/assert";
import { METADATA_SHARD } from "../../shards/metadata/state.ts";
import { sleep } from "../../src/runtime/sleep.ts";
import { Testbed } from "../../tools/simulator/testbed.ts";

const leases = suite("reads under leases, by configuration");

/** A cluster without faults in which something is done, inside the simulation. */
async function inCluster(driftMax: number | undefined, story: (bed: Testbed) => Promise<void>): Promise<void> {
  const bed = new Testbed({ seed: 3, nodes: 3, faults: [], clocks: { rateMax: driftMax ?? 1, driftMax } });
  try {
    bed.startNodes();
    const running = new Promise<void>((resolve) => void bed.scheduler.after(0, () => resolve(story(bed))));
    await bed.until("the story ends", 60_000, running);
    assert.is(bed.violation, undefined);
  } finally {
    bed.close();
  }
}

/** Rounds that the metadata's leader asks for when it reads `reads` times, a millisecond apart. */
async function roundsOf(driftMax: number | undefined, reads: number): Promise<number> {
  const rounds = new Set<number>();
  await inCluster(driftMax, async ({ cluster, random }) => {
    const { runtime } = cluster.client(random.fork());
    await sleep(runtime, 5_000);
    const { host, peers } = cluster.ids.map((id) => cluster.nodeOf(id)!)
      .find((node) => node.host.replica(METADATA_SHARD)!.isLeading)!;
    const replica = host.replica(METADATA_SHARD)!;
    assert.ok(await replica.readBarrier());
    const queue = peers.queue.bind(peers);
    peers.queue = (group, message, state) => {
      if (group === METADATA_SHARD && message.type === "heartbeat" && message.readRound > 0) {
        rounds.add(message.readRound);
      }
      queue(group, message, state);
    };
    for (let read = 0; read < reads; read++) {
      assert.ok(await replica.readBarrier());
      await sleep(runtime, 1);
    }
  });
  return rounds.size;
}

leases(
  "a leader that is given a bound for the drift asks its followers seldom; without one, for each read",
  async () => {
    assert.is(await roundsOf(undefined, 100), 100);
    assert.is(await roundsOf(1.2, 100), 0, "100 ms are less than half a lease");
  },
);

leases("a node that promised votes in an earlier run says so to its groups, whatever its configuration", async () => {
  const known = async (driftMax: number | undefined) => {
    let found: boolean | undefined;
    await inCluster(driftMax, async ({ cluster, random }) => {
      const { runtime } = cluster.client(random.fork());
      await sleep(runtime, 1_000);
      assert.not.ok(cluster.nodeOf(1)!.host.leases.mayHavePromised);
      cluster.kill(1);
      cluster.start(1);
      await sleep(runtime, 1_000);
      found = cluster.nodeOf(1)!.host.leases.mayHavePromised;
    });
    return found;
  };
  assert.is(await known(undefined), false);
  assert.is(await known(1.2), true);
});

leases.run();
