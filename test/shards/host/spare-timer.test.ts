import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Replica } from "../../../shards/host/replica.ts";
import { SpareTimer } from "../../../shards/host/spare-timer.ts";
import { fakeTime } from "./fake-time.ts";

const timer = suite("the timer for spares");

/** Of a replica, what the timer reads. */
function waiting(untilMs: number): { replica: Replica; raft: { sparesUntilMs: number } } {
  const raft = { sparesUntilMs: untilMs };
  return { replica: { raft } as unknown as Replica, raft };
}

timer("calls when they have waited long enough, not before", () => {
  const time = fakeTime();
  const due: number[] = [];
  const one = waiting(1_001.5);
  const spares = new SpareTimer(time.runtime, (_, nowMs) => {
    due.push(nowMs);
    one.raft.sparesUntilMs = Infinity;
  });
  spares.look(one.replica);
  time.advance(1);
  assert.equal(due, []);
  time.advance(1);
  assert.equal(due, [1_002]);
  assert.is(time.waiting(), 0);
});

timer("is one for all, and waits for the first", () => {
  const time = fakeTime();
  const due: Replica[] = [];
  const [late, soon] = [waiting(1_010), waiting(1_005)];
  const spares = new SpareTimer(time.runtime, (replica) => {
    due.push(replica);
    (replica.raft as unknown as { sparesUntilMs: number }).sparesUntilMs = Infinity;
  });
  spares.look(late.replica);
  spares.look(soon.replica);
  assert.is(time.waiting(), 1);
  time.advance(5);
  assert.equal(due, [soon.replica]);
  time.advance(5);
  assert.equal(due, [soon.replica, late.replica]);
});

timer("is given up when nobody waits any more, when the replica goes, and when the host ends", () => {
  const time = fakeTime();
  const spares = new SpareTimer(time.runtime, () => assert.unreachable());
  const one = waiting(1_005);
  const ends = [
    () => {
      one.raft.sparesUntilMs = Infinity;
      spares.look(one.replica);
    },
    () => spares.remove(one.replica),
    () => spares.close(),
  ];
  for (const end of ends) {
    one.raft.sparesUntilMs = 1_005;
    spares.look(one.replica);
    assert.is(time.waiting(), 1);
    end();
    assert.is(time.waiting(), 0);
  }
});

timer.run();
