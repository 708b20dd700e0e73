import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Violation } from "../../tools/simulator/history.ts";
import { QueueHistory } from "../../tools/simulator/queue-history.ts";

const checkers = suite("the checker of queues");

/** What a history makes of it: the invariants it finds broken. */
function found(story: (history: QueueHistory) => void): string[] {
  const violations: Violation[] = [];
  story(new QueueHistory(1, 3, (violation) => violations.push(violation)));
  return violations.map(({ invariant }) => invariant);
}

checkers("a record delivered, put back, delivered again and acked is fine", () => {
  assert.equal(
    found((history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "a", 4, 2);
      history.acking(0, 0, 4);
      history.acked(0, 0, 4);
      history.checkDrained(0, 0, 1);
    }),
    [],
  );
});

checkers("an ack whose outcome is not known may or may not hold", () => {
  assert.equal(
    found((history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.acking(0, 0, 1);
      history.delivered(0, 0, "a", 2, 2);
      history.checkDrained(0, 0, 1);
    }),
    [],
  );
});

checkers("an ack that comes late, under an earlier lease, is told that the record is done", () => {
  assert.equal(
    found((history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "a", 2, 2);
      history.acked(0, 0, 2);
      history.acked(0, 0, 1);
      history.checkDrained(0, 0, 1);
    }),
    [],
  );
});

checkers("the refusal of one lease's ack says nothing of an ack under another", () => {
  assert.equal(
    found((history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "a", 2, 2);
      history.acking(0, 0, 2);
      history.acking(0, 0, 1);
      history.refused(0, 0, 1);
      history.checkDrained(0, 0, 1);
    }),
    [],
  );
});

checkers("a record whose time was over is a dead letter however often it was delivered", () => {
  assert.equal(found((history) => history.deadLettered(0, 0, "a", 0, true)), []);
});

checkers("each anomaly is found", () => {
  const stories: [string, (history: QueueHistory) => void][] = [
    ["delivered after its ack", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.acked(0, 0, 1);
      history.delivered(0, 0, "a", 2, 2);
    }],
    ["a stale lease was accepted", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "a", 2, 2);
      history.acked(0, 0, 1);
    }],
    ["acknowledged twice", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.acked(0, 0, 1);
      history.acked(0, 0, 2);
    }],
    ["delivery count does not rise", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "a", 2, 1);
    }],
    ["delivered too often", (history) => history.delivered(0, 0, "a", 9, 4)],
    ["one lease, two deliveries", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "a", 1, 2);
    }],
    ["a queue gave another value", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.delivered(0, 0, "b", 2, 2);
    }],
    ["a record was never delivered", (history) => history.checkDrained(0, 0, 1)],
    ["neither acked nor dead nor there", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.acking(0, 0, 1);
      history.refused(0, 0, 1);
      history.checkDrained(0, 0, 1);
    }],
    ["dead-lettered twice", (history) => {
      history.deadLettered(0, 0, "a", 3, false);
      history.deadLettered(0, 0, "a", 3, false);
    }],
    ["dead too early", (history) => history.deadLettered(0, 0, "a", 2, false)],
    ["acked and dead-lettered", (history) => {
      history.delivered(0, 0, "a", 1, 1);
      history.acked(0, 0, 1);
      history.deadLettered(0, 0, "a", 3, false);
    }],
  ];
  for (const [invariant, story] of stories) assert.ok(found(story).includes(invariant), invariant);
});

checkers.run();
