import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Host, type MessageSink } from "../../../shards/host/host.ts";
import { DEFAULT_HOST_LIMITS } from "../../../shards/host/limits.ts";
import type { StateMachine } from "../../../shards/host/state-machine.ts";
import type { Log } from "../../../src/log/types.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { fakeTime } from "./fake-time.ts";

const vouching = suite("who is vouched for");

const GROUP = 7;
const CONFIGURATION = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [] };
const machine: StateMachine = {
  apply: () => undefined,
  capture: () => new Uint8Array(0),
  restore: () => {},
  onLeading: () => {},
  onFollowing: () => {},
};

/** A host over an empty log, whose turns come when told. */
function host() {
  const turns: (() => void)[] = [];
  const vouched: number[] = [];
  const { runtime } = fakeTime();
  const timers = { ...runtime.timers, endTurn: (turn: () => void) => void turns.push(turn) };
  const sink: MessageSink = {
    queue: () => {},
    flush: () => {},
    heardMs: () => -Infinity,
    isAlive: () => true,
    full: new Set(),
  };
  const log = {
    group: () => undefined,
    write: (_writes: unknown, onDurable: () => void) => onDurable(),
    full: false,
    pendingBytes: 0,
  } as unknown as Log;
  const made = new Host({
    runtime: { ...runtime, timers } as Runtime,
    nodeId: 2,
    log,
    limits: DEFAULT_HOST_LIMITS,
    leases: { clockDriftMax: undefined, mayHavePromised: true },
    sink,
    tails: new Map(),
    onLeader: () => {},
    onVouched: (group) => vouched.push(group),
    onDamaged: () => {},
  });
  const add = (isVouched: boolean) =>
    made.add({
      group: GROUP,
      configuration: CONFIGURATION,
      machine,
      vouched: isVouched,
      campaign: false,
      trimAtCheckpoint: false,
      commitNoticeMs: 10,
    });
  return { host: made, vouched, add, turn: () => turns.splice(0).forEach((turn) => turn()) };
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

vouching.run();
