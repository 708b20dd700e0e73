/**
 * What clients saw of the metadata, held against what was committed (linearizability by revision: Herlihy and Wing
 * 1990; the commit index gives the order, so that no search is needed). An operation took effect at some revision
 * between the newest that was applied anywhere when it was asked for and the newest when its answer came.
 */
import { decodeCommand, type MetadataCommand } from "../../shards/metadata/commands.ts";
import { type Entry, EntryKind } from "../../src/records/entry.ts";
import type { Violation } from "./history.ts";

/** A topic as the model knows it; `mark` is the setting that every change gives a new value. */
export interface ModelTopic {
  readonly topicId: number;
  readonly mark: number;
}

interface Revision {
  readonly index: number;
  readonly topics: ReadonlyMap<string, ModelTopic>;
  readonly command: MetadataCommand | undefined;
}

export type Topics = ReadonlyMap<string, ModelTopic>;

export class TopicsHistory {
  readonly #fail: (violation: Violation) => void;
  readonly #revisions: Revision[] = [{ index: 0, topics: new Map(), command: undefined }];
  #nextTopicId = 1;
  /** An entry was not seen: nothing can be said any more. */
  #blind = false;
  checked = 0;

  constructor(fail: (violation: Violation) => void) {
    this.#fail = fail;
  }

  /** An entry of the metadata's log was applied for the first time anywhere. */
  committed(entry: Entry): void {
    const last = this.#revisions.at(-1)!;
    if (entry.index !== last.index + 1) this.#blind = true;
    const command = entry.kind === EntryKind.command ? decodeCommand(entry) : undefined;
    const topics = command ? this.#after(last.topics, command) : last.topics;
    this.#revisions.push({ index: entry.index, topics, command });
  }

  /** To be asked when an operation begins; what it took effect at comes later, or is this. */
  now(): number {
    return this.#revisions.length - 1;
  }

  /** The operation that began at `from` ended now; at some revision between this must have been so. */
  sawState(what: string, from: number, holds: (topics: Topics) => boolean): void {
    this.#require(what, this.#revisions.slice(from).some(({ topics }) => holds(topics)));
  }

  /** The operation that began at `from` and ended now succeeded: such a command was committed between. */
  sawChange(what: string, from: number, isIt: (command: MetadataCommand) => boolean): void {
    const found = this.#revisions.slice(from + 1).some(({ command }) => command !== undefined && isIt(command));
    this.#require(what, found);
  }

  #require(what: string, isSo: boolean): void {
    if (this.#blind) return;
    this.checked += 1;
    if (!isSo) this.#fail({ invariant: "metadata is not linearizable", detail: what });
  }

  #after(before: Topics, command: MetadataCommand): Topics {
    const topics = new Map(before);
    if (command.type === "createTopic" && !topics.has(command.name)) {
      topics.set(command.name, { topicId: this.#nextTopicId++, mark: command.recordBytesMax });
    } else if (command.type === "deleteTopic") {
      topics.delete(command.name);
    } else if (command.type === "alterTopic") {
      const topic = topics.get(command.name);
      if (topic) topics.set(command.name, { ...topic, mark: command.changes.recordBytesMax ?? topic.mark });
    }
    return topics;
  }
}
