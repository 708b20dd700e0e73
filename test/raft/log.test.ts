/** The log's parts, against plain arrays. */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InflightWindow } from "../../src/raft/inflight.ts";
import { InvariantError } from "../../src/raft/invariant.ts";
import { RaftLog } from "../../src/raft/raft-log.ts";
import { placed, type TestEntry } from "./test-entry.ts";

const isBroken = (error: unknown) => error instanceof InvariantError;

const log = suite("the log");

type Act =
  | { readonly act: "append"; readonly newTerm: boolean; readonly count: number }
  | { readonly act: "truncate" | "compact" | "evict"; readonly at: number }
  | { readonly act: "take" | "restore" };

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    fc.record({ act: fc.constant("append" as const), newTerm: fc.boolean(), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({
      act: fc.constantFrom("truncate" as const, "compact" as const, "evict" as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({ act: fc.constantFrom("take" as const, "take" as const, "restore" as const) }),
  ),
  { maxLength: 60 },
);

log("behaves like an array of entries, of which a disk is told exactly what changed", () => {
  fc.assert(
    fc.property(acts, (list) => {
      const subject = new RaftLog<TestEntry>({ firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 });
      let first = 1;
      let previousTerm = 0;
      let term = 1;
      /** The log, and what the disk has been told of it; by index. */
      const model: TestEntry[] = [];
      const disk: TestEntry[] = [];
      const end = () => first + model.length - 1;
      for (const step of list) {
        if (step.act === "append") {
          if (step.newTerm) term += 1;
          for (let count = 0; count < step.count; count++) {
            const entry = placed(term, end() + 1);
            subject.append(entry);
            model.push(entry);
          }
        } else if (step.act === "truncate" && model.length > 0) {
          const index = first + Math.floor(step.at * (model.length - 1));
          subject.truncateFrom(index);
          model.length = index - first;
          term += 1;
        } else if (step.act === "take") {
          const { truncateFrom, entries } = subject.takeUnsaved();
          if (truncateFrom > 0) disk.length = truncateFrom;
          for (const entry of entries) disk[entry.index] = entry;
        } else if (step.act === "compact" && !subject.hasUnsaved) {
          const to = first + Math.floor(step.at * (model.length + 1));
          if (to <= end() + 1) {
            subject.compact(to);
            previousTerm = to === first ? previousTerm : model[to - first - 1]!.term;
            model.splice(0, to - first);
            first = to;
          }
        } else if (step.act === "evict") {
          subject.evictTo(first + Math.floor(step.at * model.length));
        } else if (step.act === "restore") {
          term += 1;
          first = end() + 4;
          model.length = 0;
          disk.length = 0;
          previousTerm = term;
          subject.restore(first - 1, term);
        }
        assert.is(subject.firstIndex, first);
        assert.is(subject.lastIndex, end());
        assert.is(subject.term(first - 1), previousTerm);
        assert.is(subject.term(first - 2), undefined);
        assert.is(subject.term(end() + 1), undefined);
        model.forEach((entry, at) => assert.is(subject.term(first + at), entry.term));
        const held = model.slice(subject.tailFirstIndex - first);
        if (model.length > 0) assert.is(subject.lastEntry() ?? model.at(-1), model.at(-1));
        const part = subject.slice(subject.tailFirstIndex, end(), Infinity);
        assert.equal(part?.map(({ index }) => index), held.map(({ index }) => index));
        assert.is(part?.reduce((sum, { byteLength }) => sum + byteLength, 0), held.length * 10);
        if (!subject.hasUnsaved) { for (const entry of model) assert.is(disk[entry.index]?.term, entry.term); }
      }
    }),
    { numRuns: 500 },
  );
});

log("finds the last place where a log with an entry of some term could agree", () => {
  const terms = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 30 }).map((steps) => {
    let term = 1;
    return steps.map((step) => term += step);
  });
  fc.assert(fc.property(terms, fc.nat(40), fc.integer({ min: 0, max: 60 }), (list, index, term) => {
    const subject = new RaftLog<TestEntry>({ firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 });
    list.forEach((entryTerm, at) => subject.append(placed(entryTerm, at + 1)));
    let expected = Math.min(index, list.length);
    while (expected > 0 && list[expected - 1]! > term) expected -= 1;
    assert.is(subject.lastAtMost(index, term), expected);
  }));
});

log("gives parts by bytes, at least one entry, and nothing it does not hold", () => {
  const subject = new RaftLog<TestEntry>({ firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 });
  for (let index = 1; index <= 5; index++) subject.append(placed(1, index));
  const indexes = (from: number, to: number, bytesMax: number) =>
    subject.slice(from, to, bytesMax)?.map((e) => e.index);
  assert.equal(indexes(2, 5, 25), [2, 3]);
  assert.equal(indexes(2, 5, 1), [2]);
  assert.equal(indexes(2, 3, 1000), [2, 3]);
  assert.is(indexes(2, 9, 1000), undefined);
  subject.takeUnsaved();
  subject.evictTo(3);
  assert.is(indexes(3, 5, 1000), undefined);
  assert.equal(indexes(4, 5, 1000), [4, 5]);
});

log("keeps what was not written", () => {
  const subject = new RaftLog<TestEntry>({ firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 });
  subject.append(placed(1, 1));
  subject.append(placed(1, 2));
  subject.evictTo(9);
  assert.is(subject.tailFirstIndex, 1);
  subject.takeUnsaved();
  subject.evictTo(9);
  assert.is(subject.tailFirstIndex, 3);
  assert.is(subject.lastEntry(), undefined);
  subject.append(placed(1, 3));
  assert.is(subject.lastEntry()?.index, 3);
});

log("refuses what cannot be: gaps, terms that fall, cuts outside of it", () => {
  const subject = new RaftLog<TestEntry>({ firstIndex: 1, lastIndex: 0, terms: [], previousTerm: 0 });
  subject.append(placed(2, 1));
  assert.throws(() => subject.append(placed(2, 3)), isBroken);
  assert.throws(() => subject.append(placed(1, 2)), isBroken);
  assert.throws(() => subject.truncateFrom(5), isBroken);
  assert.throws(() => subject.truncateFrom(0), isBroken);
  const bad = { firstIndex: 3, lastIndex: 5, terms: [], previousTerm: 1 };
  assert.throws(() => new RaftLog<TestEntry>(bad), isBroken);
});

log("starts from what was recovered, with or without entries in memory", () => {
  const terms = [[4, 2], [6, 3]] as const;
  const subject = new RaftLog<TestEntry>({ firstIndex: 4, lastIndex: 7, terms, previousTerm: 1, tail: [placed(3, 7)] });
  assert.equal([2, 3, 4, 5, 6, 7, 8].map((index) => subject.term(index)), [undefined, 1, 2, 2, 3, 3, undefined]);
  assert.is(subject.tailFirstIndex, 7);
  assert.is(subject.lastTerm, 3);
  const unknown = new RaftLog<TestEntry>({ firstIndex: 4, lastIndex: 7, terms, previousTerm: 0 });
  assert.is(unknown.term(3), undefined, "the term before the start is not known, and not 0");
});

log.run();

const inflight = suite("the in-flight window");

inflight("counts what was sent and not answered, never more and never less", () => {
  const steps = fc.array(fc.oneof(fc.record({ bytes: fc.nat(20) }), fc.record({ late: fc.nat(8) })), {
    maxLength: 200,
  });
  fc.assert(fc.property(steps, (list) => {
    const subject = new InflightWindow(5, 50);
    let model: [index: number, bytes: number][] = [];
    let index = 0;
    for (const step of list) {
      if ("bytes" in step) {
        index += 1;
        subject.add(index, step.bytes);
        model.push([index, step.bytes]);
      } else {
        subject.freeTo(index - step.late);
        model = model.filter(([sent]) => sent > index - step.late);
      }
      const bytes = model.reduce((sum, [, size]) => sum + size, 0);
      assert.equal([subject.count, subject.bytes], [model.length, bytes]);
      assert.is(subject.full, model.length >= 5 || bytes >= 50);
    }
  }));
});

inflight.run();
