/** A node that is silent is asked about, again and again, until it answers or nobody waits any more. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Cluster } from "../../src/client/cluster.ts";
import { SilenceWatch } from "../../src/client/silence-watch.ts";
import { FakeWorld } from "../wire/fake-world.ts";

const silence = suite("requests that wait for a silent node");

function watch(): { world: FakeWorld; silent: SilenceWatch; asked: (() => void)[] } {
  const world = new FakeWorld();
  const asked: (() => void)[] = [];
  const checkSilent = () => new Promise<void>((done) => asked.push(done));
  const cluster = { runtime: world.runtime("c"), checkSilent } as unknown as Cluster;
  return { world, silent: new SilenceWatch(cluster), asked };
}

silence("asks about a request until it is answered", async () => {
  const { world, silent, asked } = watch();
  const unanswered = silent.sent(1, world.nowMs, () => []);
  await world.pass(1_000);
  assert.is(asked.length, 1, "once, while the others are being asked");
  asked[0]!();
  await world.pass(1_000);
  assert.is(asked.length, 2);
  silent.answered(unanswered);
  asked[1]!();
  await world.pass(5_000);
  assert.is(asked.length, 2);
});

silence("asks no more when it is closed, whatever was being asked", async () => {
  const { world, silent, asked } = watch();
  silent.sent(1, world.nowMs, () => []);
  await world.pass(1_000);
  silent.close();
  asked[0]!();
  await world.pass(5_000);
  assert.is(asked.length, 1);
});

silence.run();
