/**
 * What changes the groups of a partition: many of these travel in one log entry. Each is a positional array whose first
 * item is its number; offsets go packed (see packed-offsets.ts).
 */
import type { OffsetSet } from "../../../src/records/offset-set.ts";
import { packOffsets } from "../../../src/records/packed-offsets.ts";
import { unpackCommitted } from "./committed-offsets.ts";
import type { QueueSettings } from "./queue-state.ts";

const OpCode = {
  claim: 1,
  commit: 2,
  resetCursor: 3,
  open: 4,
  lease: 5,
  ack: 6,
  nack: 7,
  release: 8,
  extend: 9,
  expire: 10,
  leave: 11,
  due: 12,
  park: 13,
  drop: 14,
  deadProducer: 15,
  forwarded: 16,
  resetQueue: 17,
  remove: 18,
} as const;

/** What names a lease: its number, and who was given it. */
interface OfLease {
  readonly group: string;
  readonly leaseId: number;
  readonly consumer: string;
}

export type GroupCommand =
  | { readonly op: "claim"; readonly group: string; readonly generation: number; readonly memberId: string }
  | {
    readonly op: "commit";
    readonly group: string;
    readonly generation: number;
    readonly offset: number;
    readonly metadata: string;
  }
  | { readonly op: "resetCursor"; readonly group: string; readonly offset: number }
  /** `from`: an offset, or -1 for the end as of this command. */
  | { readonly op: "open"; readonly group: string; readonly settings: QueueSettings; readonly from: number }
  | {
    readonly op: "lease";
    readonly group: string;
    readonly consumer: string;
    readonly leaseMs: number;
    readonly offsets: OffsetSet;
  }
  | { readonly op: "ack" | "release" } & OfLease & { readonly offsets: OffsetSet }
  | { readonly op: "nack" } & OfLease & {
    readonly offsets: OffsetSet;
    /** 0: at once. */
    readonly parcelId: number;
    readonly delayMs: number;
  }
  | { readonly op: "extend" } & OfLease & { readonly leaseMs: number }
  | { readonly op: "expire"; readonly group: string; readonly leaseId: number }
  | { readonly op: "leave"; readonly group: string; readonly consumer: string; readonly counts: boolean }
  | { readonly op: "due"; readonly group: string; readonly parcelId: number }
  | {
    readonly op: "park";
    readonly group: string;
    readonly parcelId: number;
    readonly atMs: number;
    readonly offsets: OffsetSet;
  }
  | { readonly op: "drop"; readonly group: string; readonly offsets: OffsetSet }
  | { readonly op: "deadProducer"; readonly group: string; readonly producerId: number }
  | { readonly op: "forwarded"; readonly group: string; readonly producerId: number; readonly sequence: number }
  | { readonly op: "resetQueue"; readonly group: string; readonly offset: number; readonly force: boolean }
  | { readonly op: "remove"; readonly group: string; readonly force: boolean };

export function toFields(command: GroupCommand): unknown[] {
  const { op, group } = command;
  const code = OpCode[op];
  switch (op) {
    case "claim":
      return [code, group, command.generation, command.memberId];
    case "commit":
      return [code, group, command.generation, command.offset, command.metadata];
    case "resetCursor":
      return [code, group, command.offset];
    case "open": {
      const { leaseMs, deliveriesMax, deadLetter, keyOrdered } = command.settings;
      return [code, group, leaseMs, deliveriesMax, deadLetter, keyOrdered, command.from];
    }
    case "lease":
      return [code, group, command.consumer, command.leaseMs, packOffsets(command.offsets)];
    case "ack":
    case "release":
      return [code, group, command.leaseId, command.consumer, packOffsets(command.offsets)];
    case "nack": {
      const { leaseId, consumer, offsets, parcelId, delayMs } = command;
      return [code, group, leaseId, consumer, packOffsets(offsets), parcelId, delayMs];
    }
    case "extend":
      return [code, group, command.leaseId, command.consumer, command.leaseMs];
    case "expire":
      return [code, group, command.leaseId];
    case "leave":
      return [code, group, command.consumer, command.counts];
    case "due":
      return [code, group, command.parcelId];
    case "park":
      return [code, group, command.parcelId, command.atMs, packOffsets(command.offsets)];
    case "drop":
      return [code, group, packOffsets(command.offsets)];
    case "deadProducer":
      return [code, group, command.producerId];
    case "forwarded":
      return [code, group, command.producerId, command.sequence];
    case "resetQueue":
      return [code, group, command.offset, command.force];
    case "remove":
      return [code, group, command.force];
  }
}

/** The types of the fields by their command: they were written by {@link toFields}. */
type Numbers = [number, number, number, number];

/** Only for what {@link toFields} gave. */
export function fromFields([code, name, ...fields]: unknown[]): GroupCommand {
  const group = name as string;
  const [first, second, third, fourth] = fields as Numbers;
  const text = fields as string[];
  const flags = fields as boolean[];
  switch (code) {
    case OpCode.claim:
      return { op: "claim", group, generation: first, memberId: text[1]! };
    case OpCode.commit:
      return { op: "commit", group, generation: first, offset: second, metadata: text[2]! };
    case OpCode.resetCursor:
      return { op: "resetCursor", group, offset: first };
    case OpCode.open: {
      const settings = { leaseMs: first, deliveriesMax: second, deadLetter: text[2]!, keyOrdered: flags[3]! };
      return { op: "open", group, settings, from: fields[4] as number };
    }
    case OpCode.lease:
      return { op: "lease", group, consumer: text[0]!, leaseMs: second, offsets: unpackCommitted(fields[2]) };
    case OpCode.ack:
      return { op: "ack", group, leaseId: first, consumer: text[1]!, offsets: unpackCommitted(fields[2]) };
    case OpCode.release:
      return { op: "release", group, leaseId: first, consumer: text[1]!, offsets: unpackCommitted(fields[2]) };
    case OpCode.nack: {
      const lease = { leaseId: first, consumer: text[1]! };
      return {
        op: "nack",
        group,
        ...lease,
        offsets: unpackCommitted(fields[2]),
        parcelId: fourth,
        delayMs: fields[4] as number,
      };
    }
    case OpCode.extend:
      return { op: "extend", group, leaseId: first, consumer: text[1]!, leaseMs: third };
    case OpCode.expire:
      return { op: "expire", group, leaseId: first };
    case OpCode.leave:
      return { op: "leave", group, consumer: text[0]!, counts: flags[1]! };
    case OpCode.due:
      return { op: "due", group, parcelId: first };
    case OpCode.park:
      return { op: "park", group, parcelId: first, atMs: second, offsets: unpackCommitted(fields[2]) };
    case OpCode.drop:
      return { op: "drop", group, offsets: unpackCommitted(fields[0]) };
    case OpCode.deadProducer:
      return { op: "deadProducer", group, producerId: first };
    case OpCode.forwarded:
      return { op: "forwarded", group, producerId: first, sequence: second };
    case OpCode.resetQueue:
      return { op: "resetQueue", group, offset: first, force: flags[1]! };
    case OpCode.remove:
      return { op: "remove", group, force: flags[0]! };
    default:
      // Invariant: what is committed was made by a node of this version or an older one.
      throw new Error(`operation ${String(code)} on groups is not known`);
  }
}
