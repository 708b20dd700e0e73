/** The host of node 2 of three, over an empty log; the test plays the other nodes, and says when a turn ends. */
import { Host, type MessageSink } from "../../../shards/host/host.ts";
import { DEFAULT_HOST_LIMITS } from "../../../shards/host/limits.ts";
import type { Replica } from "../../../shards/host/replica.ts";
import type { StateMachine } from "../../../shards/host/state-machine.ts";
import type { Log } from "../../../src/log/types.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { type FakeTime, fakeTime } from "./fake-time.ts";

const CONFIGURATION = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [] };

const machine: StateMachine = {
  apply: () => undefined,
  capture: () => new Uint8Array(0),
  restore: () => {},
  onLeading: () => {},
  onFollowing: () => {},
};

/** As much of a log as a host asks for; without a past if it has no groups. */
export interface TestLog extends Pick<Log, "write">, Partial<Pick<Log, "group" | "read">> {
  full: boolean;
  spareBytes: number;
  pendingBytes: number;
}

export interface LoneHostOptions {
  /** Whatever differs from a sink that nobody listens to, whose peers are alive and have room. */
  readonly sink?: Partial<MessageSink>;
  /** Default: one that makes everything durable at once. */
  readonly log?: TestLog;
  readonly mayHavePromised?: boolean;
}

export interface LoneHost {
  readonly host: Host;
  /** Groups that were vouched for, in order. */
  readonly vouched: number[];
  /** Why replicas are damaged, in order. */
  readonly damaged: string[];
  readonly time: FakeTime;
  add(group: number, options: { readonly vouched?: boolean; readonly trimAtCheckpoint?: boolean }): Replica;
  turn(): void;
}

/** A log with room, where everything is durable at once. */
export function roomyLog(): TestLog {
  return { write: (_writes, onDurable) => onDurable(), full: false, spareBytes: Infinity, pendingBytes: 0 };
}

export function loneHost({ sink, log = roomyLog(), mayHavePromised = false }: LoneHostOptions = {}): LoneHost {
  const turns: (() => void)[] = [];
  const vouched: number[] = [];
  const damaged: string[] = [];
  const time = fakeTime();
  const { runtime } = time;
  log.group ??= () => undefined;
  const timers = { ...runtime.timers, endTurn: (turn: () => void) => void turns.push(turn) };
  const host = new Host({
    runtime: { ...runtime, timers, log: { write: () => {} } } as Runtime,
    nodeId: 2,
    log: log as unknown as Log,
    limits: DEFAULT_HOST_LIMITS,
    leases: { clockDriftMax: undefined, mayHavePromised },
    sink: {
      queue: () => {},
      flush: () => {},
      heardMs: () => -Infinity,
      isAlive: () => true,
      full: new Set(),
      ...sink,
    },
    tails: new Map(),
    onLeader: () => {},
    onVouched: (group) => vouched.push(group),
    onDamaged: (_group, reason) => damaged.push(reason),
  });
  return {
    host,
    vouched,
    damaged,
    time,
    add: (group, { vouched: isVouched = true, trimAtCheckpoint = false }) =>
      host.add({
        group,
        configuration: CONFIGURATION,
        machine,
        vouched: isVouched,
        campaign: false,
        trimAtCheckpoint,
        commitNoticeMs: 10,
      }),
    turn: () => turns.splice(0).forEach((turn) => turn()),
  };
}
