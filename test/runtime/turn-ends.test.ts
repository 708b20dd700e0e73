/** The end of a turn: at once where it is quiet, after what waits where it is not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TurnEnds } from "../../src/runtime/turn-ends.ts";

const turns = suite("ends of turns");
let nowMs = 0;
const clockMs = () => nowMs;
const immediate = () => new Promise<void>((resolve) => setImmediate(resolve));

turns("what comes alone is called before the loop goes on, and not before its caller has ended", async () => {
  const ends = new TurnEnds(clockMs);
  const order: string[] = [];
  setImmediate(() => order.push("loop"));
  ends.call(() => order.push("end"));
  order.push("caller");
  await immediate();
  assert.equal(order, ["caller", "end", "loop"]);
});

turns("what follows soon waits for the events that have come already, and is called in order", async () => {
  const ends = new TurnEnds(clockMs);
  const order: string[] = [];
  ends.call(() => order.push("first"));
  await Promise.resolve();
  setImmediate(() => order.push("loop"));
  for (const name of ["second", "third"]) ends.call(() => order.push(name));
  await Promise.resolve();
  order.push("caller");
  await immediate();
  assert.equal(order, ["first", "caller", "loop", "second", "third"]);
});

turns("turns that call for turns let others in, however long each takes", async () => {
  const ends = new TurnEnds(clockMs);
  let left = 20;
  let betweens = 0;
  const turn = () => {
    nowMs += 1;
    if (left-- > 0) ends.call(turn);
  };
  ends.call(turn);
  for (; left >= 0; betweens++) await immediate();
  assert.ok(betweens >= 10, `${betweens} times`);
});

turns("it is quiet again after a while", async () => {
  const ends = new TurnEnds(clockMs);
  const order: string[] = [];
  ends.call(() => order.push("first"));
  await immediate();
  nowMs += 0.2;
  ends.call(() => order.push("soon"));
  await Promise.resolve();
  assert.equal(order, ["first"]);
  await immediate();
  nowMs += 0.4;
  setImmediate(() => order.push("loop"));
  ends.call(() => order.push("second"));
  await immediate();
  assert.equal(order, ["first", "soon", "second", "loop"]);
});

turns.run();
