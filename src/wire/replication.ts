/**
 * Many groups' raft messages in one frame: head `[1, [item, …]]`, an item `[shard, kind, term, …fields]`, the entries'
 * bytes by reference in the body, in the items' order. `from` and `to` are the connection's own two nodes: a message
 * cannot claim another sender.
 */
import { Type } from "@sinclair/typebox";
import type { AppendRequest, Configuration, Message, NodeId, SnapshotRequest } from "../raft/types.ts";
import { Entry } from "../records/entry.ts";
import { RecordsError } from "../records/errors.ts";
import { WireError } from "./errors.ts";
import { PEER_FRAME_BYTES_TARGET } from "./limits.ts";
import { PeerMessageType } from "./peer-protocol.ts";
import { NodeIdSchema, U32, U53, validator } from "./schemas.ts";

/** One group's message; a snapshot request carries the state with it. */
export interface RaftItem {
  readonly shard: number;
  readonly message: Message<Entry>;
  readonly state?: SnapshotState;
}

export interface SnapshotState {
  /** Offset of the first record after the snapshot's index. */
  readonly nextOffset: number;
  readonly bytes: Uint8Array;
}

/** For `encodeFrame` or `PeerLink.send`. */
export interface OutgoingFrame {
  readonly head: unknown[];
  readonly body: Uint8Array[];
}

const Kind = {
  append: 1,
  appendResponse: 2,
  vote: 3,
  voteResponse: 4,
  heartbeat: 5,
  heartbeatResponse: 6,
  snapshot: 7,
  transfer: 8,
  timeoutNow: 9,
} as const;

/**
 * Frames of about `bytesMax`, in the items' order; an item is never cut. One frame unless there is more.
 * Entries must not change afterwards.
 */
export function packRaft(items: readonly RaftItem[], bytesMax = PEER_FRAME_BYTES_TARGET): OutgoingFrame[] {
  const frames: OutgoingFrame[] = [];
  let encoded: unknown[][] = [];
  let body: Uint8Array[] = [];
  let bytes = 0;
  for (const item of items) {
    if (bytes > bytesMax) {
      frames.push({ head: [PeerMessageType.raft, encoded], body });
      encoded = [];
      body = [];
      bytes = 0;
    }
    const chunksBefore = body.length;
    encoded.push(encodeItem(item, body));
    for (let i = chunksBefore; i < body.length; i++) bytes += body[i]!.length;
    bytes += ITEM_BYTES;
  }
  if (encoded.length > 0) frames.push({ head: [PeerMessageType.raft, encoded], body });
  return frames;
}

/** Whether the two are the same appends of the same leader, as those for two followers are: one frame is good for both. */
export function areSameAppends(some: readonly RaftItem[], others: readonly RaftItem[]): boolean {
  if (some.length !== others.length || some.length === 0) return false;
  for (let i = 0; i < some.length; i++) if (!isSameAppend(some[i]!, others[i]!)) return false;
  return true;
}

function isSameAppend(some: RaftItem, other: RaftItem): boolean {
  const { message } = some;
  const { message: known } = other;
  return message.type === "append" && known.type === "append" && message.entries === known.entries &&
    some.shard === other.shard && message.term === known.term && message.previousIndex === known.previousIndex &&
    message.previousTerm === known.previousTerm && message.commit === known.commit;
}

/** Rough size of an item in the head. */
const ITEM_BYTES = 40;

function encodeItem({ shard, message, state }: RaftItem, body: Uint8Array[]): unknown[] {
  const { term } = message;
  switch (message.type) {
    case "append": {
      for (const entry of message.entries) body.push(entry.bytes);
      const { previousIndex, previousTerm, commit, entries } = message;
      return [shard, Kind.append, term, previousIndex, previousTerm, commit, entries.length];
    }
    case "append-response":
      return [
        shard,
        Kind.appendResponse,
        term,
        message.index,
        (message.reject ? 1 : 0) | (message.vouched ? 2 : 0),
        message.hintIndex,
        message.hintTerm,
        message.commit,
      ];
    case "vote": {
      const flags = (message.preVote ? 1 : 0) | (message.transfer ? 2 : 0);
      return [shard, Kind.vote, term, flags, message.lastIndex, message.lastTerm];
    }
    case "vote-response": {
      const flags = (message.preVote ? 1 : 0) | (message.reject ? 2 : 0);
      return [shard, Kind.voteResponse, term, flags, message.commit, message.commitTerm];
    }
    case "heartbeat":
      return [shard, Kind.heartbeat, term, message.commit, message.readRound, message.vouch];
    case "heartbeat-response":
      return [shard, Kind.heartbeatResponse, term, message.readRound, message.holdMs];
    case "snapshot": {
      if (state === undefined) throw new TypeError(`a snapshot of shard ${shard} is sent without its state`);
      if (state.bytes.length > 0) body.push(state.bytes);
      const { index, term: snapshotTerm, configuration } = message.snapshot;
      const { voters, outgoing, learners, learnersNext } = configuration;
      const members = [voters, outgoing, learners, learnersNext];
      return [shard, Kind.snapshot, term, index, snapshotTerm, members, state.nextOffset, state.bytes.length];
    }
    case "transfer":
      return [shard, Kind.transfer, term, message.target];
    case "timeout-now":
      return [shard, Kind.timeoutNow, term];
  }
}

const NodeIds = Type.Array(NodeIdSchema, { maxItems: 64 });
const Flags = Type.Integer({ minimum: 0, maximum: 3 });
const checks = {
  append: validator("append", Type.Tuple([U32, Type.Literal(Kind.append), U53, U53, U53, U53, U32])),
  appendResponse: validator(
    "append response",
    Type.Tuple([U32, Type.Literal(Kind.appendResponse), U53, U53, Flags, U53, U53, U53]),
  ),
  vote: validator("vote", Type.Tuple([U32, Type.Literal(Kind.vote), U53, Flags, U53, U53])),
  voteResponse: validator("vote response", Type.Tuple([U32, Type.Literal(Kind.voteResponse), U53, Flags, U53, U53])),
  heartbeat: validator("heartbeat", Type.Tuple([U32, Type.Literal(Kind.heartbeat), U53, U53, U53, Type.Boolean()])),
  heartbeatResponse: validator(
    "heartbeat response",
    Type.Tuple([U32, Type.Literal(Kind.heartbeatResponse), U53, U53, U32]),
  ),
  snapshot: validator(
    "snapshot",
    Type.Tuple([
      U32,
      Type.Literal(Kind.snapshot),
      U53,
      U53,
      U53,
      Type.Tuple([NodeIds, NodeIds, NodeIds, NodeIds]),
      U53,
      U32,
    ]),
  ),
  transfer: validator("transfer", Type.Tuple([U32, Type.Literal(Kind.transfer), U53, NodeIdSchema])),
  timeoutNow: validator("timeout now", Type.Tuple([U32, Type.Literal(Kind.timeoutNow), U53])),
};

/**
 * The items of a frame, as from `from` to `to`. Entries are views of the body, checksums verified: header and payload.
 * @throws {WireError} `INVALID_MESSAGE`
 * @throws {RecordsError} `CORRUPT`, `TRUNCATED`, `UNSUPPORTED_VERSION`: the bytes were damaged on the way
 */
export function unpackRaft(head: readonly unknown[], body: Uint8Array, from: NodeId, to: NodeId): RaftItem[] {
  const items = head[1];
  if (!Array.isArray(items)) throw new WireError("INVALID_MESSAGE", "a raft frame has no items");
  const cursor: Cursor = { body, at: 0, from, to };
  const decoded = items.map((item) => decodeItem(item, cursor));
  if (cursor.at !== body.length) throw new WireError("INVALID_MESSAGE", "the body is longer than its items");
  return decoded;
}

interface Cursor {
  readonly body: Uint8Array;
  at: number;
  readonly from: NodeId;
  readonly to: NodeId;
}

function decodeItem(item: unknown, cursor: Cursor): RaftItem {
  const kind = Array.isArray(item) ? item[1] as unknown : undefined;
  const { from, to } = cursor;
  switch (kind) {
    case Kind.append:
      return decodeAppend(item, cursor);
    case Kind.appendResponse: {
      const [shard, , term, index, flags, hintIndex, hintTerm, commit] = checks.appendResponse(item);
      const reject = (flags & 1) !== 0;
      const vouched = flags > 1;
      return {
        shard,
        message: { type: "append-response", from, to, term, index, hintIndex, hintTerm, commit, reject, vouched },
      };
    }
    case Kind.vote: {
      const [shard, , term, flags, lastIndex, lastTerm] = checks.vote(item);
      const preVote = (flags & 1) !== 0;
      return { shard, message: { type: "vote", from, to, term, preVote, transfer: flags > 1, lastIndex, lastTerm } };
    }
    case Kind.voteResponse: {
      const [shard, , term, flags, commit, commitTerm] = checks.voteResponse(item);
      const preVote = (flags & 1) !== 0;
      const reject = flags > 1;
      return { shard, message: { type: "vote-response", from, to, term, preVote, reject, commit, commitTerm } };
    }
    case Kind.heartbeat: {
      const [shard, , term, commit, readRound, vouch] = checks.heartbeat(item);
      return { shard, message: { type: "heartbeat", from, to, term, commit, readRound, vouch } };
    }
    case Kind.heartbeatResponse: {
      const [shard, , term, readRound, holdMs] = checks.heartbeatResponse(item);
      return { shard, message: { type: "heartbeat-response", from, to, term, readRound, holdMs } };
    }
    case Kind.snapshot:
      return decodeSnapshot(item, cursor);
    case Kind.transfer: {
      const [shard, , term, target] = checks.transfer(item);
      return { shard, message: { type: "transfer", from, to, term, target } };
    }
    case Kind.timeoutNow: {
      const [shard, , term] = checks.timeoutNow(item);
      return { shard, message: { type: "timeout-now", from, to, term } };
    }
    default:
      throw new WireError("INVALID_MESSAGE", `raft message kind ${String(kind)} is not known`);
  }
}

function decodeAppend(item: unknown, cursor: Cursor): RaftItem {
  const [shard, , term, previousIndex, previousTerm, commit, count] = checks.append(item);
  const { from, to } = cursor;
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    const entry = Entry.parse(cursor.body, cursor.at);
    entry.verifyPayload();
    if (entry.index !== previousIndex + 1 + i) {
      throw new RecordsError(
        "CORRUPT",
        `entry ${entry.index} of shard ${shard} where ${previousIndex + 1 + i} belongs`,
      );
    }
    entries.push(entry);
    cursor.at += entry.byteLength;
  }
  const message: AppendRequest<Entry> = {
    type: "append",
    from,
    to,
    term,
    previousIndex,
    previousTerm,
    commit,
    entries,
  };
  return { shard, message };
}

function decodeSnapshot(item: unknown, cursor: Cursor): RaftItem {
  const [shard, , term, index, snapshotTerm, members, nextOffset, byteLength] = checks.snapshot(item);
  const end = cursor.at + byteLength;
  if (end > cursor.body.length) throw new WireError("INVALID_MESSAGE", "a snapshot's state is cut off");
  const [voters, outgoing, learners, learnersNext] = members;
  const configuration: Configuration = { voters, outgoing, learners, learnersNext };
  const { from, to } = cursor;
  const snapshot = { index, term: snapshotTerm, configuration };
  const message: SnapshotRequest = { type: "snapshot", from, to, term, snapshot };
  const bytes = cursor.body.subarray(cursor.at, end);
  cursor.at = end;
  return { shard, message, state: { nextOffset, bytes } };
}
