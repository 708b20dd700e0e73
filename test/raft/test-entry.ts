/** A log entry for tests: a word, or a configuration. */
import type { Configuration, EntryFactory, RaftEntry } from "../../src/raft/types.ts";

export class TestEntry implements RaftEntry {
  readonly value: string;
  readonly configuration: Configuration | undefined;
  readonly byteLength: number;
  term = 0;
  index = 0;

  constructor(value: string, configuration?: Configuration, byteLength = 10) {
    this.value = value;
    this.configuration = configuration;
    this.byteLength = byteLength;
  }

  get isConfiguration(): boolean {
    return this.configuration !== undefined;
  }

  detached(): this {
    return this;
  }
}

export const testEntries: EntryFactory<TestEntry> = {
  noOp: () => new TestEntry("", undefined, 1),
  configuration: (configuration) =>
    new TestEntry(`configuration ${describeConfiguration(configuration)}`, configuration),
  configurationOf: (entry) => entry.configuration!,
  stamp(entry, term, index) {
    entry.term = term;
    entry.index = index;
  },
};

export function placed(term: number, index: number, value = `${term}.${index}`): TestEntry {
  const entry = new TestEntry(value);
  testEntries.stamp(entry, term, index, undefined);
  return entry;
}

/** `1 2 3`, a joint one `2 3 4 & 1 2 3`, with learners `1 2 3 + 4`. */
export function describeConfiguration({ voters, outgoing, learners, learnersNext }: Configuration): string {
  const half = outgoing.length > 0 ? ` & ${outgoing.join(" ")}` : "";
  const more = learners.length > 0 ? ` + ${learners.join(" ")}` : "";
  return `${voters.join(" ")}${half}${more}${learnersNext.length > 0 ? ` then + ${learnersNext.join(" ")}` : ""}`;
}

export function group(...voters: number[]): Configuration {
  return { voters, outgoing: [], learners: [], learnersNext: [] };
}
