/**
 * The cursors and queues of one partition while this node leads it: takes changes, gives leases, and says when a lease
 * or a delay is over. Nothing ticks here while no lease lives and nothing is put off.
 */
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { GroupResult } from "./groups/apply-group-command.ts";
import type { GroupCommand } from "./groups/group-commands.ts";
import type { GroupTable } from "./groups/group-table.ts";
import { DeadLetterForwarder, type DeadLetterOffice } from "./dead-letter-forwarder.ts";
import { type GroupDone, GroupProposals, type Propose } from "./group-proposals.ts";
import type { QueueState } from "./groups/queue-state.ts";
import type { Due } from "./queue-deadlines.ts";
import { QueueLeader } from "./queue-leader.ts";
import type { QueueSource } from "./queue-window.ts";

/** Leases that end within this are ended together. */
const SWEEP_MS_MIN = 5;

export interface GroupLeaderOptions {
  readonly runtime: Runtime;
  readonly groups: GroupTable;
  readonly source: QueueSource;
  readonly propose: Propose;
  readonly office: DeadLetterOffice;
}

/** One who waits for records to lease. */
export interface LeaseWatcher {
  readonly group: string;
  readonly consumer: string;
  /** There may be something to lease. */
  readonly wake: () => void;
  /** The consumer is leaving: it must not be given anything any more. */
  readonly left: () => void;
}

interface LedQueue {
  readonly leader: QueueLeader;
  readonly forwarder: DeadLetterForwarder;
}

export class GroupLeader {
  readonly #options: GroupLeaderOptions;
  readonly #proposals: GroupProposals;
  readonly #queues = new Map<string, LedQueue>();
  readonly #watchers = new Set<LeaseWatcher>();
  #sweep: Timer | undefined;
  #sweepAtMs = Infinity;
  #closed = false;

  constructor(options: GroupLeaderOptions) {
    this.#options = options;
    this.#proposals = new GroupProposals(options.runtime.timers, options.propose);
    for (const group of options.groups.queues.keys()) this.queue(group);
    this.#armSweep();
  }

  /** Undefined where no such queue was opened. */
  queue(group: string): QueueLeader | undefined {
    const state = this.#options.groups.queues.get(group);
    const known = this.#queues.get(group);
    if (known?.leader.state === state) return known?.leader;
    this.#closeQueue(group);
    return state === undefined ? undefined : this.#lead(group, state);
  }

  /** Why the queue's dead records are not in their topic yet, as a code; "": nothing is known to be in their way. */
  deadCode(group: string): string {
    return this.#queues.get(group)?.forwarder.trouble ?? "";
  }

  #lead(group: string, state: QueueState): QueueLeader {
    const { runtime, source, office } = this.#options;
    const leader = new QueueLeader(group, state, {
      runtime,
      source,
      proposals: this.#proposals,
      submit: (command, done) => this.submit(command, done),
      onDeadline: () => this.#armSweep(),
    });
    const submit = (command: GroupCommand) =>
      new Promise<GroupResult>((resolve) => this.#proposals.submit(command, resolve));
    const forwarder = new DeadLetterForwarder({ runtime, group, state, source, office, submit });
    this.#queues.set(group, { leader, forwarder });
    forwarder.wake();
    return leader;
  }

  #closeQueue(group: string): void {
    const queue = this.#queues.get(group);
    queue?.leader.close();
    queue?.forwarder.close();
    this.#queues.delete(group);
  }

  /** Replicates one change; hears once. */
  submit(command: GroupCommand, done: GroupDone): void {
    // What is on its way for one who leaves comes before this in the log, and is given back by it.
    if (command.op === "leave") {
      for (const watcher of [...this.#watchers]) {
        if (watcher.consumer === command.consumer && watcher.group === command.group) watcher.left();
      }
    }
    this.#proposals.submit(command, (result) => {
      this.#changed(command, result);
      done(result);
    });
  }

  /** Puts a nack's delay into a parcel, and replicates it. */
  nack(command: Omit<Extract<GroupCommand, { op: "nack" }>, "op" | "parcelId">, done: GroupDone): void {
    const queue = this.queue(command.group);
    if (queue === undefined) return done({ code: "UNKNOWN_GROUP" });
    this.submit({ op: "nack", ...command, ...queue.deadlines.parcelFor(command.delayMs) }, done);
    this.#armSweep();
  }

  /** Lets a lease run anew, with this length. It does not end while that is on its way into the log. */
  extend(command: Omit<Extract<GroupCommand, { op: "extend" }>, "op">, done: GroupDone): void {
    const queue = this.queue(command.group);
    if (queue === undefined) return done({ code: "UNKNOWN_GROUP" });
    const { deadlines } = queue;
    const { leaseId, leaseMs } = command;
    deadlines.extending(leaseId);
    this.submit({ op: "extend", ...command }, (result) => {
      deadlines.extended(leaseId);
      if (result.code === "") deadlines.leaseRuns(leaseId, leaseMs);
      this.#armSweep();
      done(result);
    });
  }

  /** Returns how to stop. */
  watch(watcher: LeaseWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The partition has new records, or something was given back. */
  wake(): void {
    for (const { wake } of this.#watchers) wake();
  }

  /** This node leads no more. */
  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    this.#proposals.failAll("NOT_LEADER");
    for (const group of [...this.#queues.keys()]) this.#closeQueue(group);
    this.wake();
  }

  #changed({ op, group }: GroupCommand, { code }: GroupResult): void {
    if (code !== "" || op === "commit") return;
    const queue = this.#queues.get(group)?.leader;
    if (op === "leave" && queue?.state.leased === 0) queue.rest();
    // An ack brings nothing to lease, but where the next record of a key waited for it.
    if (op === "ack" && queue?.state.settings.keyOrdered !== true) return;
    this.#queues.get(group)?.forwarder.wake();
    if (op === "park") return;
    this.wake();
  }

  #armSweep(): void {
    const { clock, timers } = this.#options.runtime;
    let nextMs = Infinity;
    for (const { leader } of this.#queues.values()) nextMs = Math.min(nextMs, leader.deadlines.nextDueMs);
    const nowMs = clock.monotonicMs();
    const atMs = Math.max(nowMs + SWEEP_MS_MIN, nextMs);
    if (nextMs === Infinity || this.#closed || (this.#sweep !== undefined && this.#sweepAtMs <= atMs)) return;
    this.#sweep?.cancel();
    this.#sweepAtMs = atMs;
    this.#sweep = timers.after(atMs - nowMs, () => {
      this.#sweep = undefined;
      this.#endWhatIsDue();
      this.#armSweep();
    });
  }

  #endWhatIsDue(): void {
    const nowMs = this.#options.runtime.clock.monotonicMs();
    for (const { leader: queue } of this.#queues.values()) {
      if (queue.deadlines.nextDueMs > nowMs) continue;
      const { leaseIds, parcelIds } = queue.deadlines.take();
      for (const leaseId of leaseIds) this.#end(queue, { leaseIds: [leaseId], parcelIds: [] });
      for (const parcelId of parcelIds) this.#end(queue, { leaseIds: [], parcelIds: [parcelId] });
      if (queue.state.leased === 0) queue.rest();
    }
  }

  #end({ group, deadlines }: QueueLeader, due: Due): void {
    const [leaseId] = due.leaseIds;
    const [parcelId = 0] = due.parcelIds;
    const command = leaseId === undefined
      ? { op: "due", group, parcelId } as const
      : { op: "expire", group, leaseId } as const;
    this.submit(command, ({ code }) => {
      if (code === "") return;
      deadlines.again(due);
      this.#armSweep();
    });
  }
}
