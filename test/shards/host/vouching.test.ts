import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loneHost, roomyLog } from "./lone-host.ts";

const vouching = suite("who is vouched for");

const GROUP = 7;

function host() {
  const { add, ...rest } = loneHost({ mayHavePromised: true });
  return { ...rest, add: (vouched: boolean) => add(GROUP, { vouched }) };
}

// Found by seed 85900: the empty replica was taken for whole, and voted without what it had acknowledged.
vouching("a replica that was retired before its turn vouches for none that began anew in its place", () => {
  const { host: made, vouched, add, turn } = host();
  add(true);
  assert.ok(made.retire(GROUP));
  add(false);
  turn();
  assert.equal(vouched, []);
  assert.is(made.unvouched, 1);
  made.close();
});

vouching("a replica whose leader vouches for it takes part again, and that is said once", () => {
  const { host: made, vouched, add, turn } = host();
  const replica = add(false);
  turn();
  assert.equal(vouched, []);
  const heartbeat = { type: "heartbeat", from: 1, to: 2, term: 1, commit: 0, readRound: 0, vouch: true } as const;
  // The first makes the term durable here, the second is believed.
  for (let i = 0; i < 2; i++) {
    made.deliver(GROUP, heartbeat, undefined);
    turn();
  }
  made.wake(replica);
  turn();
  assert.equal(vouched, [GROUP]);
  assert.is(made.unvouched, 0);
  made.close();
});

vouching("a vote that is being written is not given by a replica that comes to doubt what it knows", () => {
  const log = roomyLog();
  const written: (() => void)[] = [];
  log.write = (_writes, onDurable) => void written.push(onDurable);
  for (const doubts of [false, true]) {
    const sent: string[] = [];
    const { host: made, add, turn } = loneHost({
      log,
      sink: { queue: (_group, { type }) => void sent.push(type) },
    });
    add(GROUP, {});
    turn();
    const request = { term: 1, preVote: false, lastIndex: 0, lastTerm: 0, transfer: false } as const;
    made.deliver(GROUP, { type: "vote", from: 1, to: 2, ...request }, undefined);
    turn();
    if (doubts) made.doubtAll();
    for (const done of written.splice(0)) done();
    turn();
    assert.equal(sent.filter((type) => type === "vote-response"), doubts ? [] : ["vote-response"]);
    made.close();
  }
});

vouching.run();
