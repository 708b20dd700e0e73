/**
 * What the members of a consumer group were given, held against what the logs say: who claimed which partition, what was
 * committed, and who had left. The logs are followed as they are committed, and so need no clock.
 */
import { type CoordinatorCommand, decodeCommand } from "../../shards/coordinator/commands.ts";
import { FIRST_PARTITION_SHARD } from "../../shards/metadata/state.ts";
import { decodePartitionCommand } from "../../shards/partition/commands.ts";
import { CursorState } from "../../shards/partition/groups/cursor-state.ts";
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { Violation } from "./history.ts";

/** One partition as its log has it: the simulated topic is the first that is created. */
class Followed {
  lastIndex = 0;
  /** False once a part of its log was not seen: then nothing can be said of it. */
  isWhole = true;
  readonly cursor = new CursorState();
  /** By member: where the group was when it claimed last. */
  readonly startedAt = new Map<string, number>();
  /** By generation: who claimed with it. */
  readonly claimedBy = new Map<number, string>();
  /** By member: the record given to it last, since it claimed. */
  readonly lastGiven = new Map<string, number>();
  /** Members that read it, as far as they know. */
  readonly heldBy = new Set<string>();
  readonly given = new Set<number>();
  /** All before was given to somebody, or is gone. */
  givenTo = 0;
}

export class GroupHistory {
  readonly #group: string;
  readonly #partitions: Followed[];
  /** Members that left or were put out, by the coordinator's log. */
  readonly #left = new Set<string>();
  readonly #fail: (violation: Violation) => void;
  readonly #partitionOf: (shard: number) => number | undefined;
  deliveries = 0;

  /** `partitionOf`: of the topic that the group reads; undefined of others. */
  constructor(
    group: string,
    partitions: number,
    fail: (violation: Violation) => void,
    partitionOf: (shard: number) => number | undefined = (shard) => shard - FIRST_PARTITION_SHARD,
  ) {
    this.#partitionOf = partitionOf;
    this.#group = group;
    this.#partitions = Array.from({ length: partitions }, () => new Followed());
    this.#fail = fail;
  }

  /** With each entry of a coordinator when it is applied anywhere for the first time. */
  coordinated(entry: Entry): void {
    if (entry.kind !== EntryKind.command) return;
    const command: CoordinatorCommand = decodeCommand(entry);
    if (command.group !== this.#group || command.type !== "leave") return;
    for (const memberId of command.memberIds) this.#left.add(memberId);
  }

  /** With each entry of a partition when it is applied anywhere for the first time. */
  committed(shard: number, entry: Entry): void {
    const partition = this.#partitionOf(shard);
    const followed = partition === undefined ? undefined : this.#partitions[partition];
    if (partition === undefined || followed === undefined) return;
    if (entry.index !== followed.lastIndex + 1) followed.isWhole = false;
    followed.lastIndex = entry.index;
    if (entry.kind !== EntryKind.command || !followed.isWhole) return;
    const command = decodePartitionCommand(entry);
    if (command.type === "trim") return this.gone(partition, 0, command.offset);
    for (const one of command.commands) {
      if (!("group" in one) || one.group !== this.#group) continue;
      if (one.op === "claim") this.#claimed(partition, followed, one.generation, one.memberId);
      if (one.op !== "commit") continue;
      if (followed.cursor.commit(one.generation, one.offset, "", entry.nextOffset) === "") {
        this.#committedTo(partition, followed, one.offset);
      }
    }
  }

  held(memberId: string, partition: number): void {
    const { cursor, heldBy, isWhole } = this.#partitions[partition]!;
    heldBy.add(memberId);
    if (!isWhole || cursor.memberId === memberId || this.#left.has(memberId)) return;
    this.#broken("given away before it was taken", `partition ${partition}: ${memberId}, and then ${cursor.memberId}`);
  }

  letGo(memberId: string, partition: number): void {
    this.#partitions[partition]!.heldBy.delete(memberId);
  }

  given(memberId: string, partition: number, offset: number): void {
    this.deliveries += 1;
    const followed = this.#partitions[partition]!;
    followed.given.add(offset);
    if (!followed.isWhole) return;
    const place = `${partition}/${offset} to ${memberId}`;
    const startedAt = followed.startedAt.get(memberId);
    if (startedAt === undefined) return this.#broken("given without a claim", place);
    if (offset < startedAt) this.#broken("given below the committed offset", `${place}, which was ${startedAt}`);
    const last = followed.lastGiven.get(memberId) ?? -1;
    if (offset <= last) this.#broken("given twice to one member", `${place}, after ${last}`);
    followed.lastGiven.set(memberId, offset);
  }

  /** Records that nobody can be given any more. */
  gone(partition: number, fromOffset: number, toOffset: number): void {
    const { given } = this.#partitions[partition]!;
    for (let offset = fromOffset; offset < toOffset; offset++) given.add(offset);
  }

  /** After the end: the partitions say where the group is. */
  checkEnd(partition: number, committed: number, end: number): void {
    const { cursor, isWhole } = this.#partitions[partition]!;
    if (isWhole && cursor.committed !== committed) {
      const detail = `partition ${partition} says ${committed}, and its log ${cursor.committed}`;
      this.#broken("a commit was taken or refused against the log", detail);
    }
    if (committed !== end) this.#broken("a group is not at the end", `partition ${partition}: ${committed} of ${end}`);
  }

  #claimed(partition: number, followed: Followed, generation: number, memberId: string): void {
    const { cursor, claimedBy, heldBy, startedAt, lastGiven } = followed;
    if (cursor.claim(generation, memberId) !== "") return;
    const place = `partition ${partition}, generation ${generation}`;
    const other = claimedBy.get(generation);
    if (other !== undefined && other !== memberId) {
      this.#broken("one generation, two members", `${place}: ${other} and ${memberId}`);
    }
    claimedBy.set(generation, memberId);
    startedAt.set(memberId, cursor.committed);
    lastGiven.delete(memberId);
    for (const holder of heldBy) {
      if (holder === memberId || this.#left.has(holder)) continue;
      this.#broken("given away before it was let go", `${place}: ${holder} has it, ${memberId} claimed it`);
    }
  }

  #committedTo(partition: number, followed: Followed, offset: number): void {
    // A group's first place is where it begins; whatever is before is not its own.
    if (followed.startedAt.size === 1 && followed.given.size === 0) this.gone(partition, 0, offset);
    while (followed.given.has(followed.givenTo)) followed.givenTo += 1;
    if (offset <= followed.givenTo) return;
    this.#broken(
      "committed and never given",
      `partition ${partition}: ${offset}, and ${followed.givenTo} was not given`,
    );
  }

  #broken(invariant: string, detail: string): void {
    this.#fail({ invariant, detail });
  }
}
