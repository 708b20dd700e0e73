import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PeerRequests } from "../../../shards/host/peer-requests.ts";
import { RaftlineError } from "../../../src/wire/errors.ts";
import type { ForwardedReply } from "../../../src/wire/peer-protocol.ts";
import { fakeTime } from "./fake-time.ts";

const requests = suite("requests between nodes");

/** Two nodes, each the other's only peer; `cut` drops what is sent. */
function pair() {
  const time = fakeTime();
  const state = { cut: false, reachable: true };
  const nodes: PeerRequests[] = [];
  const make = (self: number, other: number) =>
    new PeerRequests(time.runtime, {
      forward(_peer, request) {
        if (!state.reachable) return false;
        if (!state.cut) nodes[other]!.onRequest(self, request);
        return true;
      },
      answer: (_peer, reply) => nodes[other]!.onReply(self, reply),
    });
  nodes.push(make(0, 1), make(1, 0));
  return { asking: nodes[0]!, asked: nodes[1]!, state, time };
}

requests("what the other does comes back, and so does its refusal", async () => {
  const { asking, asked } = pair();
  asked.handle("double", (args) => Promise.resolve((args as number) * 2));
  asked.handle("refuse", () => Promise.reject(new RaftlineError("THROTTLED", "not now")));
  assert.is((await asking.ask(1, "double", 21, 1_000)).result, 42);
  const refused = await asking.ask(1, "refuse", null, 1_000);
  assert.equal([refused.code, refused.message], ["THROTTLED", "not now"]);
  assert.is((await asking.ask(1, "unheard of", null, 1_000)).code, "UNKNOWN_COMMAND");
});

requests("nothing sent is told from no answer", async () => {
  const { asking, state, time } = pair();
  state.reachable = false;
  assert.is((await asking.ask(1, "x", null, 1_000)).code, "NOT_LEADER");
  state.reachable = true;
  state.cut = true;
  const silent = asking.ask(1, "x", null, 1_000);
  time.advance(1_001);
  assert.is((await silent).code, "TIMED_OUT");
});

requests("closing ends what waits, and a reply of somebody else is none", async () => {
  const { asking, state } = pair();
  state.cut = true;
  const waiting = asking.ask(1, "x", null, 1_000);
  asking.onReply(7, { requestId: 1, code: "", message: "", result: "forged" });
  asking.close();
  assert.is((await waiting).code, "UNAVAILABLE");
});

requests("what the run before asked is not answered to this one", async () => {
  const { runtime } = fakeTime();
  let draws = 0;
  const random = { ...runtime.random, integer: (limit: number) => Math.floor((limit / 8) * ++draws) };
  let node: PeerRequests;
  const answers: ForwardedReply[] = [];
  const other: PeerRequests = new PeerRequests(runtime, {
    forward: () => false,
    answer: (_peer, reply) => answers.push(reply),
  });
  other.handle("write", (args) => Promise.resolve(args));
  const run = () =>
    new PeerRequests({ ...runtime, random }, {
      forward: (_peer, request) => {
        other.onRequest(1, request);
        return true;
      },
      answer: () => {},
    });
  node = run();
  void node.ask(2, "write", "of the first run", 5_000);
  node = run();
  const second = node.ask(2, "write", "of the second run", 5_000);
  await Promise.resolve();
  for (const reply of answers) node.onReply(2, reply);
  assert.is((await second).result, "of the second run");
});

requests.run();
