/**
 * The commands of a partition's log: entries of kind command, whose payload is the CBOR array `[type, ...fields]`. They
 * carry no records (count 0), so offsets have no gaps.
 */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { Entry, EntryKind } from "../../src/records/entry.ts";
import { fromFields, type GroupCommand, toFields } from "./groups/group-commands.ts";

const CommandType = { trim: 1, groups: 2 } as const;

/** By what records went. */
export type TrimReason = "time" | "size" | "request" | "consumed";
const TRIM_REASONS: readonly TrimReason[] = ["time", "size", "request", "consumed"];

/** Records below `offset` may go; each replica gives their bytes back when it can. */
export interface Trim {
  readonly type: "trim";
  readonly offset: number;
  readonly reason: TrimReason;
}

/** Changes of cursors and queues, in order: what came together goes as one entry. */
export interface GroupCommands {
  readonly type: "groups";
  readonly commands: readonly GroupCommand[];
}

export type PartitionCommand = Trim | GroupCommands;

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
    case CommandType.groups:
      return { type: "groups", commands: (fields[0] as unknown[][]).map(fromFields) };
    default:
      // Invariant: what is committed was made by a node of this version or an older one.
      throw new Error(`command ${type} of a partition is not known`);
  }
}

function fieldsOf(command: PartitionCommand): unknown[] {
  switch (command.type) {
    case "trim":
      return [CommandType.trim, command.offset, TRIM_REASONS.indexOf(command.reason)];
    case "groups":
      return [CommandType.groups, command.commands.map(toFields)];
  }
}
