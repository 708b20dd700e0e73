/**
 * The commands of a partition's log: entries of kind command, whose payload is the CBOR array `[type, ...fields]`. They
 * carry no records (count 0), so offsets have no gaps.
 */
import { Decoder, Encoder } from "cbor-x";
import { Entry, EntryKind } from "../../src/records/entry.ts";

const CommandType = { trim: 1 } as const;

/** By what records went. */
export type TrimReason = "time" | "size" | "request";
const TRIM_REASONS: readonly TrimReason[] = ["time", "size", "request"];

/** Records below `offset` may go; each replica gives their bytes back when it can. */
export interface Trim {
  readonly type: "trim";
  readonly offset: number;
  readonly reason: TrimReason;
}

export type PartitionCommand = Trim;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

export function encodePartitionCommand(command: PartitionCommand): Entry {
  return Entry.create({ kind: EntryKind.command, payload: encoder.encode(fieldsOf(command)) });
}

/** Only for entries that a leader made by {@link encodePartitionCommand} and whose checksum matched. */
export function decodePartitionCommand(entry: Entry): PartitionCommand {
  const [type, ...fields] = decoder.decode(entry.payload) as [number, ...unknown[]];
  switch (type) {
    case CommandType.trim: {
      const [offset, reason] = fields as [number, number];
      return { type: "trim", offset, reason: TRIM_REASONS[reason]! };
    }
    default:
      // Invariant: what is committed was made by a node of this version or an older one.
      throw new Error(`command ${type} of a partition is not known`);
  }
}

function fieldsOf(command: PartitionCommand): unknown[] {
  switch (command.type) {
    case "trim":
      return [CommandType.trim, command.offset, TRIM_REASONS.indexOf(command.reason)];
  }
}
