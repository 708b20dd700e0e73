/** How the consensus core makes and places entries of our one byte format. */
import { decode } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { Configuration, EntryFactory } from "../../src/raft/types.ts";
import { Entry, EntryKind } from "../../src/records/entry.ts";

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });

/** `nextOffset` answers where the log continues when the entry before is not in memory. */
export function createEntryFactory(nextOffset: () => number): EntryFactory<Entry> {
  return {
    noOp: () => Entry.create({ kind: EntryKind.noOp, payload: new Uint8Array(0) }),
    configuration: (configuration) =>
      Entry.create({ kind: EntryKind.configuration, payload: encodeConfiguration(configuration) }),
    configurationOf: (entry) => decodeConfiguration(entry.payload),
    stamp(entry, term, index, last) {
      entry.stamp(term, index, last === undefined ? nextOffset() : last.nextOffset);
    },
  };
}

/** A configuration in a log entry: the CBOR array [voters, outgoing, learners, learnersNext]. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const { voters, outgoing, learners, learnersNext } = configuration;
  return encoder.encode([voters, outgoing, learners, learnersNext]);
}

/** Only for bytes that were written by {@link encodeConfiguration} and whose checksum matched. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const [voters, outgoing, learners, learnersNext] = decode(bytes) as number[][];
  return { voters: voters!, outgoing: outgoing!, learners: learners!, learnersNext: learnersNext! };
}
