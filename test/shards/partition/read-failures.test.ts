import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LogError } from "../../../src/log/types.ts";
import { BatchWriter } from "../../../src/records/batch-writer.ts";
import type { Entry } from "../../../src/records/entry.ts";
import { DiskError } from "../../../src/runtime/disk.ts";
import { errorCodes, isErrorCode } from "../../../src/wire/errors.ts";
import { GroupProposals } from "../../../shards/partition/group-proposals.ts";
import { QueueState } from "../../../shards/partition/groups/queue-state.ts";
import { type LeaseAnswer, QueueLeader } from "../../../shards/partition/queue-leader.ts";
import { codeOfReadFailure } from "../../../shards/partition/read-failures.ts";
import { fakeTime } from "../host/fake-time.ts";

const failures = suite("a log that cannot be read");

const END = 10;

/** What one who asks for a lease is told when the read goes wrong; `leads`: as the partition is afterwards. */
async function told(error: Error, leads: boolean): Promise<LeaseAnswer> {
  const time = fakeTime();
  const runtime = { ...time.runtime, log: { write: () => {} } };
  const settings = { leaseMs: 100, deliveriesMax: 0, deadLetter: "", keyOrdered: false };
  let reads = 0;
  const batch = () => {
    const writer = new BatchWriter({ bytesMax: 1_000 });
    for (let i = 0; i < END; i++) writer.append(1, null, "value", null);
    const entry = writer.finish();
    entry.stamp(1, 1, 0);
    return entry;
  };
  const queue = new QueueLeader("g", new QueueState(settings, 0), {
    runtime,
    source: {
      startOffset: 0,
      highWatermark: END,
      leads,
      read: (): Promise<Entry[]> => reads++ === 0 ? Promise.reject(error) : Promise.resolve([batch()]),
    },
    proposals: new GroupProposals(time.runtime.timers, (_entry, waiter) => waiter.settled("NOT_LEADER", batch(), [])),
    submit: () => {},
    onDeadline: () => {},
  });
  return await new Promise((resolve) => queue.lease({ consumer: "c", recordsMax: 10, bytesMax: 1_000 }, resolve));
}

failures("who asks for a lease is told to ask another node, where another one has what was lost", async () => {
  assert.is((await told(new LogError("CORRUPT", "bit rot"), false)).code, "NO_LEADER");
  assert.is((await told(new LogError("CLOSED", "stopping"), false)).code, "NO_LEADER");
  assert.is((await told(new DiskError("IO_ERROR", "wal-1", "too many open files"), true)).code, "UNAVAILABLE");
});

failures("what nobody else has is told to be lost, and what retention took is nothing", async () => {
  assert.is((await told(new LogError("CORRUPT", "bit rot"), true)).code, "CORRUPT");
  const { code, lease } = await told(new LogError("TRIMMED", "gone"), true);
  assert.equal([code, lease], ["", undefined]);
});

failures("each code is one that clients know, and what another node can mend is retriable", () => {
  for (const leads of [true, false]) {
    const errors = [
      new LogError("CORRUPT", ""),
      new LogError("TRIMMED", ""),
      new LogError("OUT_OF_RANGE", ""),
      new LogError("CLOSED", ""),
      new LogError("MISSING_FILE", ""),
      new DiskError("IO_ERROR", "", ""),
      new TypeError("a bug"),
    ];
    for (const error of errors) {
      const code = codeOfReadFailure(error, { leads });
      assert.ok(isErrorCode(code), code);
      if (code === "NO_LEADER" || code === "UNAVAILABLE") assert.ok(errorCodes[code].retriable);
    }
  }
});

failures.run();
