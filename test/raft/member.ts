/** One simulated replica: the core under test, a disk whose writes take effect when the test says so, a state machine. */
import { Raft, type RaftOptions } from "../../src/raft/raft.ts";
import type {
  Configuration,
  HardState,
  LoadRequest,
  LogEnd,
  Message,
  NodeId,
  ReadState,
  Ready,
  SnapshotMeta,
} from "../../src/raft/types.ts";
import { testEntries, TestEntry } from "./test-entry.ts";

/** A message on its way; a snapshot travels with the state it stands for. */
export interface Letter {
  readonly message: Message<TestEntry>;
  readonly state: readonly Applied[] | undefined;
}

export interface Applied {
  readonly index: number;
  readonly term: number;
  readonly value: string;
}

/** What survives a crash. */
export interface TestDisk {
  hardState: HardState;
  /** The log starts after it. */
  start: { readonly index: number; readonly term: number };
  entries: TestEntry[];
  checkpoint: SnapshotMeta & { readonly state: readonly Applied[] };
  /** It replaces one that was lost, and its replica was not yet vouched for. */
  forgot: boolean;
  /** Where the log ended that it dropped knowingly. */
  had?: LogEnd | undefined;
}

export function emptyDisk(configuration: Configuration): TestDisk {
  return {
    hardState: { term: 0, vote: 0, commit: 0 },
    start: { index: 0, term: 0 },
    entries: [],
    checkpoint: { index: 0, term: 0, configuration, state: [] },
    forgot: false,
  };
}

function hadOf({ had }: TestDisk): { had?: LogEnd } {
  return had ? { had } : {};
}

export type MemberSettings = Pick<
  RaftOptions<TestEntry>,
  "electionTimeoutMs" | "random" | "peerHeardMs" | "limits" | "snapshotAt" | "clockDriftMax" | "fanOut"
>;

interface Write {
  readonly ready: Ready<TestEntry>;
  readonly state: readonly Applied[] | undefined;
}

export class Member {
  readonly id: NodeId;
  readonly disk: TestDisk;
  raft: Raft<TestEntry>;
  /** Everything the state machine has applied, from the very first entry on. */
  applied: Applied[] = [];
  reads: ReadState[] = [];
  loads: LoadRequest[] = [];
  /** Handed to the disk, not yet durable. */
  writes: Write[] = [];
  readonly #send: (letter: Letter) => void;
  /** Called whenever the commit index may have moved, before the configuration may have. */
  readonly #watch: (member: Member) => void;
  /** Received with snapshot messages, by index. */
  readonly #states = new Map<number, readonly Applied[]>();
  #committed = 0;
  #applies = true;

  constructor(
    id: NodeId,
    disk: TestDisk,
    settings: MemberSettings,
    nowMs: number,
    world: { send: (letter: Letter) => void; watch: (member: Member) => void },
  ) {
    this.id = id;
    this.disk = disk;
    this.#send = world.send;
    this.#watch = world.watch;
    const vouched = !disk.forgot;
    this.raft = new Raft<TestEntry>({
      ...settings,
      ...startOf(disk),
      id,
      entries: testEntries,
      nowMs,
      vouched,
      ...hadOf(disk),
    });
    this.applied = [...disk.checkpoint.state];
    this.#committed = disk.checkpoint.index;
  }

  /** When its core wants to be ticked. */
  get deadlineMs(): number {
    return Math.min(this.raft.deadlineMs, this.raft.sparesUntilMs);
  }

  /** While false, committed entries wait. */
  set applies(applies: boolean) {
    this.#applies = applies;
  }

  step(letter: Letter, nowMs: number): void {
    const { message, state } = letter;
    if (message.type === "snapshot" && state) this.#states.set(message.snapshot.index, state);
    this.raft.step(message, nowMs);
  }

  /** Takes what the core has ready, as a host does. Returns whether there was anything. */
  pump(nowMs: number): boolean {
    let busy = false;
    this.#watch(this);
    while (this.raft.hasReady()) {
      busy = true;
      const ready = this.raft.takeReady();
      for (const message of ready.messages) this.#post(message);
      this.reads.push(...ready.reads);
      this.loads.push(...ready.loads);
      this.#committed = Math.max(this.#committed, ready.committedIndex);
      this.writes.push({ ready, state: this.#takeOver(ready) });
      this.#finish(nowMs);
    }
    if (this.raft.vouched) this.disk.forgot = false;
    return this.apply() || busy;
  }

  /** The oldest `count` writes that need the disk become durable. */
  persist(nowMs: number, count = Infinity): boolean {
    let done = 0;
    while (done < count && this.writes.length > 0) {
      const write = this.writes.shift()!;
      if (write.ready.mustPersist) done += 1;
      this.#write(write);
      this.#release(write.ready, nowMs);
      this.#finish(nowMs);
    }
    return done > 0;
  }

  /** Writes without telling anybody: what a crash right after the disk's work leaves behind. */
  persistSilently(count = Infinity): void {
    for (const write of this.writes.splice(0, count)) this.#write(write);
  }

  load(nowMs: number): boolean {
    const requests = this.loads.splice(0);
    for (const request of requests) this.raft.loaded(request, this.#read(request), nowMs);
    return requests.length > 0;
  }

  /** The state machine's state goes to disk; `firstIndex`: the log before it goes. */
  checkpoint(firstIndex = this.raft.applied + 1): void {
    const { raft, disk } = this;
    // A checkpoint is a write like any other: it cannot overtake that of a snapshot, or of the entries that it covers.
    if (this.writes.some(({ state }) => state !== undefined)) return;
    if (raft.applied > disk.start.index + disk.entries.length) return;
    const meta = { index: raft.applied, term: raft.log.term(raft.applied) ?? 0, configuration: raft.configuration };
    disk.checkpoint = { ...meta, state: [...this.applied] };
    const previous = firstIndex - 1;
    const gone = previous - disk.start.index;
    if (gone > 0) {
      disk.start = { index: previous, term: raft.log.term(previous) ?? 0 };
      disk.entries.splice(0, gone);
    }
    raft.compacted(firstIndex, meta);
  }

  apply(): boolean {
    const from = this.raft.applied;
    if (!this.#applies || this.#committed <= from) return false;
    const entries = this.raft.log.slice(from + 1, this.#committed, Infinity) ??
      this.#readDisk(from + 1, this.#committed);
    let configuration: Configuration | undefined;
    for (const { index, term, value, configuration: changed } of entries) {
      this.applied.push({ index, term, value });
      configuration = changed ?? configuration;
    }
    this.raft.appliedTo(from + entries.length, configuration);
    this.#watch(this);
    return true;
  }

  #takeOver(ready: Ready<TestEntry>): readonly Applied[] | undefined {
    if (!ready.snapshot) return undefined;
    const state = this.#states.get(ready.snapshot.index);
    if (!state) throw new Error(`member ${this.id} was given no state for the snapshot at ${ready.snapshot.index}`);
    this.applied = [...state];
    this.#committed = ready.snapshot.index;
    return state;
  }

  #finish(nowMs: number): void {
    while (this.writes.length > 0 && !this.writes[0]!.ready.mustPersist) {
      this.#release(this.writes.shift()!.ready, nowMs);
    }
  }

  #release(ready: Ready<TestEntry>, nowMs: number): void {
    for (const message of ready.messagesAfterPersist) this.#post(message);
    this.raft.persisted(ready.sequence, nowMs);
    this.#watch(this);
  }

  #write({ ready, state }: Write): void {
    const { disk } = this;
    const { hardState, snapshot, truncateFrom, entries } = ready;
    if (hardState) disk.hardState = hardState;
    if (snapshot && state) {
      disk.start = { index: snapshot.index, term: snapshot.term };
      disk.entries = [];
      disk.checkpoint = { ...snapshot, state };
    }
    if (truncateFrom > 0) disk.entries.splice(truncateFrom - disk.start.index - 1);
    for (const entry of entries) {
      const due = disk.start.index + disk.entries.length + 1;
      // A checkpoint may have cut the front off before the write arrived.
      if (entry.index < due) continue;
      if (entry.index !== due) throw new Error(`member ${this.id} writes entry ${entry.index} where ${due} is due`);
      disk.entries.push(entry);
    }
  }

  #read({ fromIndex, bytesMax }: LoadRequest): TestEntry[] {
    const found: TestEntry[] = [];
    let bytes = 0;
    for (const entry of this.#readDisk(fromIndex, Infinity)) {
      bytes += entry.byteLength;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push(entry);
    }
    return found;
  }

  #readDisk(from: number, to: number): TestEntry[] {
    return this.disk.entries.filter(({ index }) => index >= from && index <= to && from > this.disk.start.index);
  }

  #post(message: Message<TestEntry>): void {
    this.#send({ message, state: this.#stateFor(message) });
  }

  #stateFor(message: Message<TestEntry>): readonly Applied[] | undefined {
    if (message.type !== "snapshot") return undefined;
    return this.applied.filter(({ index }) => index <= message.snapshot.index);
  }
}

function startOf({ hardState, start, entries, checkpoint }: TestDisk) {
  const terms: [number, number][] = [];
  for (const { index, term } of entries) if (terms.at(-1)?.[1] !== term) terms.push([index, term]);
  return {
    hardState,
    configuration: checkpoint.configuration,
    applied: checkpoint.index,
    log: {
      firstIndex: start.index + 1,
      lastIndex: start.index + entries.length,
      terms,
      previousTerm: start.term,
    },
  };
}
