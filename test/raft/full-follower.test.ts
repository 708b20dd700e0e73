/** A follower whose disk is full: the group goes on without it, and costs little for what it cannot take. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { accepted, rejected } from "./messages.ts";
import { Solo } from "./solo.ts";
import { TestEntry } from "./test-entry.ts";

const full = suite("a follower whose disk is full");

const TERM = { term: 1 };

/** A leader, to whose follower 3 as much as `room.bytes` may be sent at a time. */
function leading(bytes: number): { solo: Solo; room: { bytes: number }; to3: (lines: string[]) => string[] } {
  const room = { bytes };
  const limits = { appendBytesMax: 40, commitNoticeMs: 10 };
  const solo: Solo = new Solo({
    limits,
    heardMs: () => solo.nowMs,
    takesBytes: (peer) => peer === 3 ? room.bytes : Infinity,
  });
  solo.lead();
  return { solo, room, to3: (lines) => lines.filter((line) => line.startsWith("1>3")) };
}

full("is sent one append at a time, and no more than it takes", () => {
  const { solo, to3 } = leading(20);
  solo.propose("a", "b", "c", "d", "e");
  assert.equal(to3(solo.sent()), ["1>3 append t1 after 1@1: 2@1 3@1, commit 1"]);
  assert.equal(to3(solo.receive(accepted({ from: 2, ...TERM }, 6))), []);
  assert.is(solo.raft.commit, 6);
  solo.propose("f");
  assert.equal(to3(solo.sent()), [], "it has not answered");
  assert.equal(to3(solo.receive(accepted({ from: 3, ...TERM }, 3))), ["1>3 append t1 after 3@1: 4@1 5@1, commit 6"]);
});

full("is sent nothing that is larger, and asked again every two seconds", () => {
  const { solo, to3 } = leading(20);
  solo.raft.propose([new TestEntry("large", undefined, 21)], 0);
  assert.equal(to3(solo.sent()), []);
  solo.receive(accepted({ from: 2, ...TERM }, 2));
  const asked: number[] = [];
  for (let ms = 0; ms < 10_000; ms += 10) {
    const lines = to3(solo.wait(10));
    for (const line of lines) assert.is(line, "1>3 append t1 after 1@1: nothing, commit 2");
    if (lines.length > 0) asked.push(solo.nowMs);
    for (const _ of lines) solo.receive(accepted({ from: 3, ...TERM }, 1, 1));
  }
  assert.ok(asked.length >= 4 && asked.length <= 5 && asked[0]! >= 2_000, `${asked}`);
});

full("what it leaves out is not sent again at once, nor does a gap that it tells of bring more", () => {
  const { solo, to3 } = leading(20);
  solo.propose("a", "b", "c");
  solo.sent();
  solo.receive(accepted({ from: 2, ...TERM }, 4));
  let sent = 0;
  for (let ms = 0; ms < 10_000; ms += 10) {
    for (const line of to3(solo.wait(10))) {
      sent += 1;
      assert.not.match(line, "4@1");
      const after = Number(/after (\d+)@/.exec(line)![1]);
      if (after > 1) solo.receive(rejected({ from: 3, ...TERM }, after, [1, 1]));
      else if (line.includes("nothing")) solo.receive(accepted({ from: 3, ...TERM }, 1, 1));
    }
  }
  assert.ok(sent <= 12, `${sent} messages in ten seconds`);
});

full("is given the log's start when that is behind it", () => {
  const { solo, to3 } = leading(20);
  solo.raft.propose([new TestEntry("large", undefined, 21), new TestEntry("larger", undefined, 30)], 0);
  solo.sent();
  solo.receive(accepted({ from: 2, ...TERM }, 3));
  solo.member.checkpoint();
  solo.propose("a");
  assert.equal(to3(solo.sent()), ["1>3 snapshot t1 3@1"]);
});

full("is sent the large entries that cannot be committed without it", () => {
  const { solo, to3 } = leading(40);
  solo.raft.propose([new TestEntry("large", undefined, 100), new TestEntry("b")], 0);
  assert.equal(to3(solo.sent()), ["1>3 append t1 after 1@1: 2@1, commit 1"]);
  assert.equal(to3(solo.receive(accepted({ from: 3, ...TERM }, 2))), ["1>3 append t1 after 2@1: 3@1, commit 2"]);
});

full("is sent all of it when it has room again", () => {
  const { solo, room, to3 } = leading(5);
  solo.propose("a", "b", "c", "d", "e", "f");
  assert.equal(to3(solo.sent()), []);
  room.bytes = Infinity;
  solo.propose("g");
  assert.equal(to3(solo.sent()), [
    "1>3 append t1 after 1@1: 2@1 3@1 4@1 5@1, commit 1",
    "1>3 append t1 after 5@1: 6@1 7@1 8@1, commit 1",
  ]);
});

full.run();
