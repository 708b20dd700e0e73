import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeCommand, type MetadataCommand } from "../../shards/metadata/commands.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { ConsumerView, TopicHistory } from "../../tools/simulator/history.ts";
import { Promises } from "../../tools/simulator/promises.ts";
import { TopicsHistory } from "../../tools/simulator/topics-history.ts";

const checkers = suite("the checkers");

/** What they find. */
function findings(check: (fail: (found: { invariant: string }) => void) => void): string[] {
  const found: string[] = [];
  check(({ invariant }) => found.push(invariant));
  return found;
}

function topicLog(story: (history: TopicHistory) => void): string[] {
  return findings((fail) => {
    const history = new TopicHistory(1, fail);
    ["a", "b", "c"].forEach((value, number) => history.invoked(value, 0, "key", number));
    story(history);
  });
}

checkers("a clean history is clean, whether a send without an answer was stored or not", () => {
  for (const stored of [true, false]) {
    const found = topicLog((history) => {
      history.acked("a", 0, 0);
      history.failed();
      history.read(0, 0, "a");
      if (stored) history.read(0, 1, "b");
      history.checkComplete([stored ? 2 : 1]);
    });
    assert.equal(found, []);
  }
});

checkers("a loss, a double, a gap, a wrong place, a wrong order and what was never sent are told apart", () => {
  const lost = topicLog((history) => {
    history.acked("a", 0, 0);
    history.checkComplete([0]);
  });
  assert.equal(lost, ["acknowledged and lost"]);
  const doubled = topicLog((history) => {
    history.read(0, 0, "a");
    history.read(0, 1, "a");
  });
  assert.equal(doubled, ["one value, two offsets"]);
  const twoValues = topicLog((history) => {
    history.read(0, 0, "a");
    history.read(0, 0, "b");
  });
  assert.equal(twoValues, ["one offset, two values"]);
  const elsewhere = topicLog((history) => {
    history.acked("a", 0, 5);
    history.read(0, 0, "a");
  });
  assert.equal(elsewhere, ["acknowledged elsewhere"]);
  const invented = topicLog((history) => history.read(0, 0, "z"));
  assert.equal(invented, ["read, never sent"]);
  const gap = topicLog((history) => {
    history.read(0, 1, "a");
    history.checkComplete([2]);
  });
  assert.equal(gap, ["a gap in the offsets"]);
  const reordered = topicLog((history) => {
    history.read(0, 0, "b");
    history.read(0, 1, "a");
    history.checkComplete([2]);
  });
  assert.equal(reordered, ["order within a key"]);
});

checkers("a consumer that skips or goes back is seen", () => {
  for (const offsets of [[0, 2], [0, 1, 1], [1]]) {
    const found = findings((fail) => {
      const view = new ConsumerView(1, new TopicHistory(1, fail), fail);
      for (const offset of offsets) view.read(0, offset);
    });
    assert.is(found[0], "a consumer skipped or went back", offsets.join());
  }
});

checkers("what was deleted may be missing, but no more than was asked, and it does not come back", () => {
  const clean = topicLog((history) => {
    history.acked("a", 0, 0);
    history.acked("b", 0, 1);
    history.trimming(0, 1);
    history.trimmed(0, 1);
    history.startsAt(0, 1);
    history.read(0, 1, "b");
    history.checkComplete([2]);
  });
  assert.equal(clean, []);
  const more = topicLog((history) => {
    history.trimming(0, 1);
    history.trimmed(0, 2);
  });
  assert.equal(more, ["deleted more than was asked"]);
  const lost = topicLog((history) => {
    history.acked("b", 0, 1);
    history.trimming(0, 1);
    history.checkComplete([2]);
  });
  assert.equal(lost, ["a gap in the offsets", "acknowledged and lost"]);
  const back = topicLog((history) => {
    history.trimming(0, 1);
    history.trimmed(0, 1);
    history.startsAt(0, 0);
  });
  assert.equal(back, ["deleted records came back"]);
  const skipped = findings((fail) => {
    const history = new TopicHistory(1, fail);
    history.trimming(0, 2);
    const view = new ConsumerView(1, history, fail);
    for (const offset of [0, 2, 4]) view.read(0, offset);
  });
  assert.is(skipped.length, 1, "from 0 to 2 is deleted, 3 is not");
});

function createTopic(name: string, mark: number): MetadataCommand {
  return { type: "createTopic", name, retention: {}, recordBytesMax: mark, placement: [[1]] };
}

/** "a" is created at revision 1 and deleted at revision 2. */
function metadata(story: (topics: TopicsHistory) => void): string[] {
  return findings((fail) => {
    const topics = new TopicsHistory(fail);
    [createTopic("a", 7), { type: "deleteTopic", name: "a" } as const].forEach((command, i) => {
      const entry = encodeCommand(command);
      entry.stamp(1, i + 1, 0);
      topics.committed(entry);
    });
    story(topics);
  });
}

checkers("a reply from before the question, or from no state there ever was, is not linearizable", () => {
  const sawIt = (topics: ReadonlyMap<string, { mark: number }>) => topics.get("a")?.mark === 7;
  assert.equal(metadata((topics) => topics.sawState("a", 0, sawIt)), []);
  assert.equal(metadata((topics) => topics.sawState("a", 1, sawIt)), []);
  assert.equal(metadata((topics) => topics.sawState("a", 2, sawIt)), ["metadata is not linearizable"]);
  const created = (command: MetadataCommand) => command.type === "createTopic";
  assert.equal(metadata((topics) => topics.sawChange("created", 0, created)), []);
  assert.equal(metadata((topics) => topics.sawChange("created", 1, created)), ["metadata is not linearizable"]);
});

function replica(term: number, lastIndex: number, vouched = true): Replica {
  return { group: 1, raft: { term, lastIndex, vouched } } as unknown as Replica;
}

checkers("a replica that returns without what it said was durable is seen, unless it says so itself", () => {
  const restarted = (term: number, lastIndex: number, vouched = true) =>
    findings((fail) => {
      const promises = new Promises(fail);
      const base = { from: 2, to: 1, term: 5, reject: false } as const;
      promises.sent(2, 1, {
        ...base,
        type: "append-response",
        index: 9,
        hintIndex: 0,
        hintTerm: 0,
        commit: 0,
        vouched: true,
      });
      promises.started(2, replica(term, lastIndex, vouched));
    });
  assert.equal(restarted(5, 9), []);
  assert.equal(restarted(5, 8), ["acknowledged entries are gone"]);
  assert.equal(restarted(6, 8), [], "a later leader may have cut them off");
  assert.equal(restarted(4, 9), ["a term that was said to be durable is gone"]);
  assert.equal(restarted(4, 3, false), []);
});

checkers("two votes in one term are seen", () => {
  const vote = {
    type: "vote-response",
    from: 2,
    term: 4,
    reject: false,
    preVote: false,
    commit: 0,
    commitTerm: 0,
  } as const;
  const found = findings((fail) => {
    const promises = new Promises(fail);
    for (const to of [1, 1, 3]) {
      promises.sent(2, 1, { ...vote, to });
    }
  });
  assert.equal(found, ["two votes in one term"]);
});

checkers.run();
