import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { GroupLog } from "../../../src/log/types.ts";
import { LogError } from "../../../src/log/types.ts";
import { Entry, EntryKind } from "../../../src/records/entry.ts";
import { DiskError } from "../../../src/runtime/disk.ts";
import { loneHost, roomyLog } from "./lone-host.ts";

const loading = suite("what was committed before a restart is read back");

const GROUP = 7;
const COMMIT = 100;
const CONFIGURATION = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [] };
const tooManyFiles = new DiskError("IO_ERROR", "0000.log", "too many open files");

/** A replica whose log holds a hundred entries; the test answers its reads. */
function restarted() {
  const reads: { resolve: (entries: Entry[]) => void; reject: (error: unknown) => void }[] = [];
  const found = {
    group: GROUP,
    hardState: { term: 1, vote: 0, commit: COMMIT },
    checkpoint: undefined,
    firstIndex: 1,
    lastIndex: COMMIT,
    terms: [[1, 1]],
    previousTerm: 0,
    startOffset: 0,
    damage: [],
    suspect: false,
  } as unknown as GroupLog;
  const read = () => new Promise<Entry[]>((resolve, reject) => reads.push({ resolve, reject }));
  const made = loneHost({ log: Object.assign(roomyLog(), { group: () => found, read }) });
  const replica = made.add(GROUP, {});
  made.turn();
  return { ...made, replica, reads };
}

/** What was rejected is heard, and the turn that follows. */
async function settle({ turn }: { turn: () => void }): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  turn();
}

function entries(): Entry[] {
  return Array.from({ length: COMMIT }, (_, i) => {
    const entry = Entry.create({ kind: EntryKind.batch, payload: new Uint8Array(8), recordCount: 1 });
    entry.stamp(1, i + 1, i);
    return entry;
  });
}

loading("a read that fails because a snapshot took the log's place is no damage", async () => {
  const node = restarted();
  const snapshot = { index: 499, term: 2, configuration: CONFIGURATION };
  node.host.deliver(GROUP, { type: "snapshot", from: 1, to: 2, term: 3, snapshot }, {
    index: 499,
    nextOffset: 499,
    state: new Uint8Array(0),
  });
  node.turn();
  node.reads[0]!.reject(new LogError("TRIMMED", "entry 1 of group 7 is trimmed away"));
  await settle(node);
  assert.equal(node.damaged, []);
  assert.is(node.replica.raft.applied, 499);
  node.host.close();
});

loading("where the disk gives no answer it is asked again, and in the end given up", async () => {
  const node = restarted();
  node.reads[0]!.reject(tooManyFiles);
  await settle(node);
  assert.is(node.reads.length, 1, "not at once");
  node.time.advance(1_000);
  node.turn();
  assert.is(node.reads.length, 2);
  node.reads[1]!.resolve(entries());
  await settle(node);
  assert.is(node.replica.raft.applied, COMMIT);
  assert.equal(node.damaged, []);
  node.host.close();
  const other = restarted();
  for (let i = 0; i < 100 && other.damaged.length === 0; i++) {
    other.reads.at(-1)!.reject(tooManyFiles);
    await settle(other);
    other.time.advance(1_000);
    other.turn();
  }
  assert.equal(other.damaged, [String(tooManyFiles)]);
  assert.is(other.reads.length, 31);
  other.host.close();
});

for (
  const error of [
    new LogError("CORRUPT", "entry 1 of group 7 is damaged"),
    new LogError("TRIMMED", "entry 1 of group 7 is trimmed away"),
    new DiskError("NOT_FOUND", "0000.log", "no such file"),
  ]
) {
  loading(`what is not there is damage (${error.code})`, async () => {
    const node = restarted();
    node.reads[0]!.reject(error);
    await settle(node);
    assert.equal(node.damaged, [String(error)]);
    assert.ok(node.replica.closed);
    node.host.close();
  });
}

loading.run();
