import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeCommand } from "../../shards/coordinator/commands.ts";
import { FIRST_PARTITION_SHARD } from "../../shards/metadata/state.ts";
import { encodePartitionCommand } from "../../shards/partition/commands.ts";
import type { GroupCommand } from "../../shards/partition/groups/group-commands.ts";
import { GroupHistory } from "../../tools/simulator/group-history.ts";
import type { Violation } from "../../tools/simulator/history.ts";

const checkers = suite("the checker of consumer groups");

const END = 100;

/** One partition, as its log and its members tell of it. */
class Story {
  readonly violations: Violation[] = [];
  readonly #history = new GroupHistory("g", 1, (violation) => this.violations.push(violation));
  #index = 0;

  claim(generation: number, memberId: string): this {
    return this.#logged({ op: "claim", group: "g", generation, memberId });
  }

  commit(generation: number, offset: number): this {
    return this.#logged({ op: "commit", group: "g", generation, offset, metadata: "" });
  }

  holds(memberId: string): this {
    this.#history.held(memberId, 0);
    return this;
  }

  letsGo(memberId: string): this {
    this.#history.letGo(memberId, 0);
    return this;
  }

  given(memberId: string, ...offsets: number[]): this {
    for (const offset of offsets) this.#history.given(memberId, 0, offset);
    return this;
  }

  left(memberId: string): this {
    this.#history.coordinated(encodeCommand({ type: "leave", group: "g", memberIds: [memberId] }));
    return this;
  }

  ends(committed: number, end: number): this {
    this.#history.checkEnd(0, committed, end);
    return this;
  }

  get found(): string[] {
    return this.violations.map(({ invariant }) => invariant);
  }

  #logged(command: GroupCommand): this {
    const entry = encodePartitionCommand({ type: "groups", commands: [command] });
    entry.stamp(1, ++this.#index, END);
    this.#history.committed(FIRST_PARTITION_SHARD, entry);
    return this;
  }
}

/** A member that begins at 0 and reads three records. */
function begun(): Story {
  return new Story().claim(1, "a").commit(1, 0).holds("a").given("a", 0, 1, 2);
}

checkers("a partition handed over, and one taken from a member that died, are fine", () => {
  assert.equal(begun().commit(1, 3).letsGo("a").claim(2, "b").holds("b").given("b", 3, 4).commit(2, 5).found, []);
  const died = begun().commit(1, 2).left("a").claim(2, "b").holds("b").given("b", 2).given("a", 3).commit(2, 3);
  assert.equal(died.ends(3, 3).found, []);
});

checkers("a zombie's commit that is refused is fine; a place that only it can explain is not", () => {
  const story = begun().commit(1, 2).left("a").claim(2, "b").commit(1, 3);
  assert.equal(story.ends(2, 2).found, []);
  assert.equal(story.ends(3, 3).found, ["a commit was taken or refused against the log"]);
});

checkers("each anomaly is found", () => {
  assert.equal(begun().commit(1, 5).found, ["committed and never given"]);
  assert.equal(begun().given("a", 2).found, ["given twice to one member"]);
  assert.equal(begun().given("b", 3).found, ["given without a claim"]);
  assert.equal(begun().commit(1, 3).letsGo("a").claim(2, "b").given("b", 1).found, [
    "given below the committed offset",
  ]);
  assert.equal(begun().claim(2, "b").found, ["given away before it was let go"]);
  const late = new Story().claim(1, "a").claim(2, "b").holds("a");
  assert.equal(late.found, ["given away before it was taken"]);
  assert.equal(begun().letsGo("a").claim(1, "b").found, ["one generation, two members"]);
  assert.equal(begun().commit(1, 3).ends(3, 4).found, ["a group is not at the end"]);
});

checkers.run();
