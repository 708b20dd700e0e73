/**
 * The partitions that a member of a group holds, brought to what its coordinator says: what is to go is finished,
 * committed and let go; what is new is claimed and read from where the group was. One change at a time, the newest wish
 * wins, and what neither comes nor goes is read on all the while.
 */
import type { Timer } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { Cluster } from "./cluster.ts";
import { claim, commit, type CursorStep, type OwnedPartition } from "./group-cursors.ts";
import { GroupMember } from "./group-member.ts";
import type { GroupSettings, TopicPartition } from "./group-options.ts";
import { HookError } from "./hooks.ts";
import { PartitionCursor } from "./partition-cursor.ts";
import { Signal } from "./signal.ts";
import type { Route, TopicView } from "./topic-view.ts";

/** What was done with is committed within this time. */
const COMMIT_MS = 100;
/** What could not be claimed or let go is tried again after this. */
const RETRY_MS = 250;

/** The consumer that reads what is held here. */
export interface GroupReader {
  /** Where new partitions begin that the group has no place in. */
  readonly startsOf: (cursors: readonly PartitionCursor[]) => Promise<number[]>;
  /** It can be asked about them, and told where to read them from. */
  readonly add: (cursors: readonly PartitionCursor[]) => void;
  /** They are fetched and given out. */
  readonly read: (cursors: readonly PartitionCursor[]) => void;
  /** Nothing more of it is given out. */
  readonly remove: (cursor: PartitionCursor) => void;
  /** Whether the record that was given out last, of this partition, is not done with. */
  readonly isInHand: (cursor: PartitionCursor) => boolean;
  /** Resolves when that changes. */
  readonly whenProcessed: () => Promise<void>;
  /** Runs a hook of the user's, in which the consumer may be closed. Rejects with a `HookError`. */
  readonly call: (hook: () => Promise<void> | void) => Promise<void>;
  readonly onFailed: (error: RaftlineError) => void;
}

interface Refusal {
  readonly generation: number;
  /** What the partition knows, above `generation`. */
  readonly known: number;
}

export class GroupPartitions {
  readonly #cluster: Cluster;
  readonly #settings: GroupSettings;
  readonly #reader: GroupReader;
  readonly #member: GroupMember;
  /** By shard. */
  readonly #owned = new Map<number, OwnedPartition>();
  /** Being taken over: said to be held, too, so that nobody else is given them in the meantime. */
  #coming: readonly OwnedPartition[] = [];
  /** What could not be claimed, by shard, until the coordinator wishes something else: a claim of it would fail again. */
  readonly #refused = new Map<number, Refusal>();
  #views: readonly TopicView[] = [];
  /** By shard. */
  #routes = new Map<number, Route>();
  #wanted: ReadonlyMap<number, number> = new Map();
  /** Changes asked for, and how many of them are done. */
  #asked = 0;
  #done = 0;
  /** Others may hold what is held here: it is dropped without a commit. */
  readonly #lost = new Set<OwnedPartition>();
  readonly #loss = new Signal();
  #changing: Promise<void> | undefined;
  #committing: Promise<void> | undefined;
  #commitTimer: Timer | undefined;
  #retry: Timer | undefined;
  #closing: Promise<void> | undefined;
  #hasLetGo = false;

  constructor(cluster: Cluster, settings: GroupSettings, topics: readonly string[], reader: GroupReader) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#reader = reader;
    const { group, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = settings;
    this.#member = new GroupMember(cluster, { group, instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs }, {
      owned: () => {
        const held = [...this.#owned.values(), ...this.#coming];
        return held.flatMap(({ cursor, generation }) => [cursor.route.shard, generation]);
      },
      refused: () => [...this.#refused].flatMap(([shard, { known }]) => [shard, known]),
      onAssigned: (assigned) => this.#want(assigned),
      onLost: () => this.#allLost(),
      onFailed: (error) => reader.onFailed(error),
    });
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Of all: there is nothing that could be committed. */
  get hasLetGo(): boolean {
    return this.#hasLetGo;
  }

  get memberId(): string {
    return this.#member.memberId;
  }

  /** Joins the group. */
  start(views: readonly TopicView[]): void {
    this.#views = views;
    this.#mapRoutes();
    if (!this.closed) this.#member.start();
  }

  #mapRoutes(): void {
    this.#routes = new Map(this.#views.flatMap(({ routes }) => routes.map((route) => [route.shard, route])));
  }

  /** The coordinator knows of partitions that were added since. What of a topic that was created anew is for its readers. */
  async #learnRoutes(wanted: ReadonlyMap<number, number>): Promise<void> {
    const isUnknown = () => [...wanted.keys()].some((shard) => !this.#routes.has(shard));
    this.#mapRoutes();
    if (!isUnknown()) return;
    const present = this.#views.filter(({ gone }) => !gone);
    await this.#cluster.look(present.map(({ name }) => name));
    this.#mapRoutes();
    // Of a topic that is gone, or was made anew, some stay unknown.
    if (!isUnknown() || this.#views.some(({ gone }) => gone)) return;
    throw new RaftlineError("NO_LEADER", "the node that was asked does not know all partitions yet");
  }

  /** Something was done with: it is committed soon, if that is wanted. */
  touch(): void {
    if (!this.#settings.autoCommit || this.#commitTimer !== undefined || this.closed) return;
    this.#commitTimer = this.#cluster.runtime.timers.after(COMMIT_MS, () => {
      this.#commitTimer = undefined;
      this.#commitProcessed([...this.#owned.values()]).catch((error: unknown) => this.#commitFailed(error));
    });
  }

  /** All that was done with, of all partitions held; `inHand` is to be among them. @throws {RaftlineError} `STALE_GENERATION`, `TIMED_OUT`, … */
  async commit(inHand: PartitionCursor | undefined): Promise<void> {
    const held = [...this.#owned.values()];
    const holds = (cursor: PartitionCursor) => held.some((owned) => owned.cursor === cursor && !this.#lost.has(owned));
    const before = held.filter(({ cursor }) => holds(cursor)).map(({ cursor }) => cursor);
    if (inHand !== undefined && !before.includes(inHand)) before.push(inHand);
    await this.#commitProcessed(held);
    const gone = before.find((cursor) => !holds(cursor));
    if (gone === undefined) return;
    const { topic, partition } = gone.route;
    throw new RaftlineError("STALE_GENERATION", `another member of the group has ${topic}/${partition}`);
  }

  /** Lets go of all, and leaves the group: others take over at once. A static member's place is kept for its session. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#member.stop();
    this.#commitTimer?.cancel();
    this.#retry?.cancel();
    this.#wanted = new Map();
    await this.#changing;
    try {
      await this.#letGo([...this.#owned.values()]).catch((error: unknown) => {
        this.#commitFailed(error);
        if (error instanceof HookError) throw error;
      });
    } finally {
      this.#hasLetGo = true;
      if (this.#settings.instanceId === "") await this.#member.leave();
    }
  }

  #want(assigned: ReadonlyMap<number, number>): void {
    this.#wanted = assigned;
    for (const [shard, { generation }] of this.#refused) {
      if (assigned.get(shard) !== generation) this.#refused.delete(shard);
    }
    this.#change();
  }

  async #allLost(): Promise<void> {
    const lost = [...this.#owned.values()];
    for (const owned of lost) this.#lost.add(owned);
    this.#loss.tell();
    this.#want(new Map());
    while (lost.some(({ cursor }) => this.#reader.isInHand(cursor))) await this.#reader.whenProcessed();
    await this.#changing;
  }

  #change(): void {
    this.#asked += 1;
    this.#startChanging();
  }

  #startChanging(): void {
    if (this.#changing !== undefined || this.closed) return;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#changing = this.#converge()
      .catch((error: unknown) => this.#changeFailed(error))
      .finally(() => {
        this.#changing = undefined;
        if (this.#retry === undefined && this.#done !== this.#asked) this.#startChanging();
      });
  }

  async #converge(): Promise<void> {
    while (this.#done !== this.#asked && !this.closed) {
      const asked = this.#asked;
      const wanted = this.#wanted;
      const going = [...this.#owned.values()].filter((owned) => {
        return this.#lost.has(owned) || wanted.get(owned.cursor.route.shard) !== owned.generation;
      });
      await this.#letGo(going);
      if (wanted === this.#wanted && !this.closed) await this.#takeOver(wanted);
      this.#done = asked;
    }
  }

  async #letGo(going: readonly OwnedPartition[]): Promise<void> {
    if (going.length === 0) return;
    for (const { cursor } of going) this.#reader.remove(cursor);
    while (going.some((owned) => !this.#lost.has(owned) && this.#reader.isInHand(owned.cursor))) {
      await Promise.race([this.#reader.whenProcessed(), this.#loss.next()]);
    }
    const lost = going.filter((owned) => this.#lost.has(owned));
    const revoked = going.filter((owned) => !this.#lost.has(owned));
    try {
      await this.#tellRevoked(lost, true);
      await this.#tellRevoked(revoked, false);
      if (this.#settings.autoCommit) await this.#commitProcessed(revoked);
    } finally {
      for (const owned of going) {
        this.#owned.delete(owned.cursor.route.shard);
        this.#lost.delete(owned);
      }
      this.#member.report();
    }
  }

  async #tellRevoked(partitions: readonly OwnedPartition[], lost: boolean): Promise<void> {
    if (partitions.length === 0) return;
    await this.#reader.call(() => this.#settings.onRevoked(partitions.map(placeOf), lost));
  }

  async #takeOver(wanted: ReadonlyMap<number, number>): Promise<void> {
    await this.#learnRoutes(wanted);
    const coming: OwnedPartition[] = [];
    for (const [shard, generation] of wanted) {
      const route = this.#routes.get(shard);
      const refused = this.#refused.get(shard)?.generation === generation;
      if (route !== undefined && !refused && !this.#owned.has(shard)) {
        coming.push({ cursor: new PartitionCursor(route), generation, committed: -1 });
      }
    }
    if (coming.length === 0) return this.#nothingComes();
    const taken: OwnedPartition[] = [];
    // If it fails it is tried again, and said to be held until then: the claim may have been taken.
    this.#coming = coming;
    const known = await claim(this.#cluster, this.#settings.group, this.#member.memberId, coming);
    coming.forEach((owned, i) => {
      const { cursor: { route: { shard } }, generation } = owned;
      if (known[i] === 0) taken.push(owned);
      else this.#refused.set(shard, { generation, known: known[i]! });
    });
    await this.#begin(taken.filter(({ committed }) => committed < 0));
    for (const owned of taken) this.#owned.set(owned.cursor.route.shard, owned);
    this.#coming = [];
    if (taken.length < coming.length) this.#member.report();
    for (const { cursor, committed } of taken) {
      cursor.seek(committed);
      cursor.processed = committed;
    }
    this.#reader.add(taken.map(({ cursor }) => cursor));
    if (taken.length > 0) await this.#reader.call(() => this.#settings.onAssigned(taken.map(placeOf)));
    this.#reader.read(taken.filter((owned) => !this.#lost.has(owned)).map(({ cursor }) => cursor));
  }

  /** What could not be taken over is not wanted any more. */
  #nothingComes(): void {
    if (this.#coming.length === 0) return;
    this.#coming = [];
    this.#member.report();
  }

  /** The group's first place in a partition is kept at once: "latest" must not mean another record the next time. */
  async #begin(fresh: readonly OwnedPartition[]): Promise<void> {
    if (fresh.length === 0) return;
    const starts = await this.#reader.startsOf(fresh.map(({ cursor }) => cursor));
    const steps = fresh.map((owned, i) => ({ owned, offset: starts[i]! }));
    const known = await commit(this.#cluster, this.#settings.group, steps);
    steps.forEach(({ owned, offset }, i) => {
      owned.committed = offset;
      if (known[i] === 0) return;
      // It is let go as soon as it was taken.
      this.#lost.add(owned);
      this.#asked += 1;
    });
  }

  /** One at a time: an earlier place must not overtake a later one. */
  async #commitProcessed(partitions: readonly OwnedPartition[]): Promise<void> {
    while (this.#committing !== undefined) await this.#committing.catch(() => {});
    const steps: CursorStep[] = [];
    for (const owned of partitions) {
      const { processed } = owned.cursor;
      if (processed >= 0 && processed !== owned.committed && !this.#lost.has(owned)) {
        steps.push({ owned, offset: processed });
      }
    }
    if (steps.length === 0) return;
    this.#committing = this.#sendCommit(steps).finally(() => {
      this.#committing = undefined;
    });
    await this.#committing;
  }

  async #sendCommit(steps: readonly CursorStep[]): Promise<void> {
    const known = await commit(this.#cluster, this.#settings.group, steps);
    const fenced = steps.filter((_, i) => known[i] !== 0).map(({ owned }) => owned);
    for (const owned of fenced) {
      this.#lost.add(owned);
      this.#reader.remove(owned.cursor);
    }
    if (fenced.length > 0) this.#change();
  }

  /** What was not committed is tried again with what comes after it, or by whoever has the partition then. */
  #commitFailed(error: unknown): void {
    if (!(error instanceof RaftlineError)) throw error;
    if (error.code === "CLOSED" || error.retriable) {
      const { group } = this.#settings;
      return this.#cluster.runtime.log.write("debug", "a commit failed", { group, code: error.code });
    }
    this.#reader.onFailed(error);
  }

  #changeFailed(error: unknown): void {
    if (this.closed && !(error instanceof HookError && !isClosed(error.cause))) return;
    if (!(error instanceof RaftlineError) || !error.retriable) {
      // All else that is not expected comes from the user's `from`.
      return this.#reader.onFailed(error instanceof RaftlineError ? error : new HookError("consumer", error));
    }
    this.#retry = this.#cluster.runtime.timers.after(RETRY_MS, () => {
      this.#retry = undefined;
      this.#startChanging();
    });
  }
}

function placeOf({ cursor: { route: { topic, partition } } }: OwnedPartition): TopicPartition {
  return { topic, partition };
}

/** What a hook is told that asks something of a consumer which was closed meanwhile. */
function isClosed(error: unknown): boolean {
  return error instanceof RaftlineError && error.code === "CLOSED";
}
