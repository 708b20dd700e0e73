import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OffsetSet } from "../../../src/records/offset-set.ts";
import { QueueState } from "../../../shards/partition/groups/queue-state.ts";
import { QueueDeadlines } from "../../../shards/partition/queue-deadlines.ts";
import { fakeTime } from "../host/fake-time.ts";

const deadlines = suite("the deadlines of a queue");

const END = 1_000;

function queue(): { state: QueueState; time: ReturnType<typeof fakeTime>; lead: () => QueueDeadlines } {
  const time = fakeTime();
  const state = new QueueState({ leaseMs: 100, deliveriesMax: 0, deadLetter: "", keyOrdered: false }, 0);
  return { state, time, lead: () => new QueueDeadlines(time.runtime.clock, state) };
}

deadlines("a lease ends when its time is over, and with a new leader it runs anew in full", () => {
  const { state, time, lead } = queue();
  state.lease(1, "a", 100, OffsetSet.of(0, 1), END);
  const first = lead();
  time.advance(99);
  assert.equal(first.take().leaseIds, []);
  const second = lead();
  time.advance(99);
  assert.equal(second.take().leaseIds, [], "99 ms with the second leader");
  time.advance(1);
  assert.equal(second.take().leaseIds, [1]);
  assert.equal(second.take().leaseIds, [], "told once");
});

deadlines("a lease does not end while its extension is on its way", () => {
  const { state, time, lead } = queue();
  state.lease(1, "a", 100, OffsetSet.of(0, 1), END);
  const leader = lead();
  time.advance(99);
  leader.extending(1);
  leader.extending(1);
  time.advance(500);
  assert.equal(leader.take().leaseIds, []);
  leader.extended(1);
  time.advance(200);
  assert.equal(leader.take().leaseIds, [], "another one is");
  leader.extended(1);
  time.advance(200);
  assert.equal(leader.take().leaseIds, [1]);
});

deadlines("a delay that is over before its nack is in the state is told of again", () => {
  const { state, time, lead } = queue();
  state.lease(1, "a", 100, OffsetSet.of(0, 1), END);
  const leader = lead();
  const { parcelId, delayMs } = leader.parcelFor(10);
  time.advance(50);
  assert.equal(leader.take().parcelIds, [parcelId]);
  leader.again({ leaseIds: [], parcelIds: [parcelId] });
  state.nack(1, "a", OffsetSet.of(0, 1), parcelId, delayMs);
  time.advance(200);
  assert.equal(leader.take().parcelIds, [parcelId]);
});

deadlines("a lease that was settled is not told of", () => {
  const { state, time, lead } = queue();
  state.lease(1, "a", 100, OffsetSet.of(0, 1), END);
  const leader = lead();
  state.ack(1, "a", OffsetSet.of(0, 1));
  time.advance(200);
  assert.equal(leader.take().leaseIds, []);
  assert.is(leader.nextDueMs, Infinity);
});

deadlines("records put off by the same at about the same time share a parcel, and none is early", () => {
  const { state, time, lead } = queue();
  const leader = lead();
  state.lease(1, "a", 100, OffsetSet.of(0, 2), END);
  const one = leader.parcelFor(1_000);
  state.nack(1, "a", OffsetSet.of(0, 1), one.parcelId, one.delayMs);
  time.advance(50);
  const other = leader.parcelFor(1_000);
  assert.is(other.parcelId, one.parcelId);
  state.nack(1, "a", OffsetSet.of(1, 2), other.parcelId, other.delayMs);
  time.advance(999);
  assert.equal(leader.take().parcelIds, [], "the second one has waited for 999 ms");
  time.advance(126);
  assert.equal(leader.take().parcelIds, [one.parcelId], "and neither waits an eighth longer");
});

deadlines("few parcels live at once, whatever the delays", () => {
  const { time, lead } = queue();
  const leader = lead();
  const parcels = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    parcels.add(leader.parcelFor(60_000 + (i % 5_000)).parcelId);
    time.advance(1);
  }
  assert.ok(parcels.size < 20, `${parcels.size} parcels`);
});

deadlines("what waits for the wall clock comes due by then, far times by coarse steps", () => {
  const { state, time, lead } = queue();
  const leader = lead();
  const atMs = 1_000 + 10 * 60_000;
  let looks = 0;
  for (;; looks++) {
    const { parcelId, atMs: dueMs } = leader.wallParcelFor(atMs);
    assert.ok(dueMs <= atMs);
    state.park(parcelId, dueMs, OffsetSet.of(0, 1), END);
    leader.wallParcelRuns(dueMs);
    while (leader.take().parcelIds.length === 0) {
      time.advance(leader.nextDueMs - time.runtime.clock.monotonicMs());
      assert.ok(time.runtime.clock.wallMs() <= atMs);
    }
    state.due(parcelId);
    if (time.runtime.clock.wallMs() >= atMs) break;
  }
  assert.ok(looks < 20, `${looks} looks`);
});

deadlines.run();
