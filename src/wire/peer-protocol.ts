/**
 * What nodes say to each other. Each node dials every other and sends only on the connection it dialled; a connection
 * begins with a hello, and carries nothing back but its answer. Message heads are `[type, …fields]`.
 */
import { Type } from "@sinclair/typebox";
import { WireError } from "./errors.ts";
import { NodeIdSchema, Text, U16, U32, U53, validator } from "./schemas.ts";

export const PEER_PROTOCOL_VERSION = 2;

/**
 * Runs that a node remembers of itself. If somebody has not met it for longer, it is taken to have forgotten: that is safe,
 * but a group whose members all did so can elect nobody, so it takes very many.
 */
export const RUNS_MAX = 1_024;

/** Stands on the wire for a disk that is full: to who does not know that it is a very slow one. */
const DISK_FULL_MS = 2 ** 32 - 1;

/** First item of a message's head. */
export const PeerMessageType = { raft: 1, heartbeat: 2, leadership: 3, forward: 4, reply: 5 } as const;

/** A run of a node's process, and those before it. */
export interface NodeRun {
  /** Number of this run on its data folder: rises with every start. */
  readonly incarnation: number;
  /** Numbers drawn by the runs on this folder that spoke to anyone, the present one last; the oldest are not kept. */
  readonly runs: readonly number[];
}

export interface PeerHello extends NodeRun {
  readonly protocolVersion: number;
  readonly clusterId: string;
  readonly from: number;
  readonly to: number;
  /** The node knows that its folder does not hold all that it promised in earlier runs. */
  readonly forgot: boolean;
  /** Proves that the sender belongs to the cluster; "" where none is configured. */
  readonly secret: string;
}

/**
 * Code "" or `UNSUPPORTED_VERSION`, `NOT_AUTHORIZED`, `INVALID_REQUEST`; `FORGOT`: the node was met in a run that is not
 * among those it remembers; `UNAVAILABLE`: that it was met cannot be made durable now.
 */
export interface PeerHelloAnswer {
  readonly code: string;
  readonly incarnation: number;
}

/** Keeps all groups that two nodes share alive with one small frame. */
export interface PeerHeartbeat {
  readonly incarnation: number;
  /** Rises with every heartbeat this run sends to this peer. */
  readonly sequence: number;
  /** Highest sequence received from the peer, of its run `echoIncarnation`; 0 for none. */
  readonly echo: number;
  readonly echoIncarnation: number;
  /** How long a write to the sender's disk takes just now; 0 when nothing is known, Infinity while the disk is full. */
  readonly diskWriteMs: number;
}

/** Who leads which shard, as told by the replicas themselves. */
export interface LeadershipClaim {
  readonly shard: number;
  readonly term: number;
  readonly leading: boolean;
}

/** A request passed on to the node that can answer it. */
export interface ForwardedRequest {
  readonly requestId: number;
  readonly command: string;
  readonly args: unknown;
}

export interface ForwardedReply {
  readonly requestId: number;
  /** "" or an error code. */
  readonly code: string;
  /** The failure's message, or "". */
  readonly message: string;
  readonly result: unknown;
}

const RunsSchema = Type.Array(U53, { minItems: 1, maxItems: RUNS_MAX });
const checkHello = validator(
  "peer hello",
  Type.Tuple([U16, Text, NodeIdSchema, NodeIdSchema, U53, RunsSchema, Type.Boolean(), Text]),
);
const checkAnswer = validator("peer hello answer", Type.Tuple([Text, U53]));
const checkHeartbeat = validator("heartbeat", Type.Tuple([Type.Literal(2), U53, U53, U53, U53, U32]));
const checkLeadership = validator(
  "leadership",
  Type.Tuple([Type.Literal(3), Type.Array(Type.Tuple([U32, U53, Type.Boolean()]))]),
);
const checkForward = validator("forward", Type.Tuple([Type.Literal(4), U53, Text, Type.Unknown()]));
const checkReply = validator("reply", Type.Tuple([Type.Literal(5), U53, Text, Type.String(), Type.Unknown()]));

/** A message's type: one of {@link PeerMessageType}. @throws {WireError} `INVALID_MESSAGE` */
export function peerMessageType(head: readonly unknown[]): number {
  const type = head[0];
  if (typeof type === "number" && type >= 1 && type <= 5) return type;
  throw new WireError("INVALID_MESSAGE", `peer message type ${String(type)} is not known`);
}

export function encodePeerHello(hello: PeerHello): unknown[] {
  const { protocolVersion, clusterId, from, to, incarnation, runs, forgot, secret } = hello;
  return [protocolVersion, clusterId, from, to, incarnation, runs, forgot, secret];
}

/** @throws {WireError} `INVALID_MESSAGE`, as all decoders here */
export function decodePeerHello(head: unknown[]): PeerHello {
  const [protocolVersion, clusterId, from, to, incarnation, runs, forgot, secret] = checkHello(head);
  return { protocolVersion, clusterId, from, to, incarnation, runs, forgot, secret };
}

export function encodePeerHelloAnswer({ code, incarnation }: PeerHelloAnswer): unknown[] {
  return [code, incarnation];
}

export function decodePeerHelloAnswer(head: unknown[]): PeerHelloAnswer {
  const [code, incarnation] = checkAnswer(head);
  return { code, incarnation };
}

export function encodeHeartbeat(heartbeat: PeerHeartbeat): unknown[] {
  const { incarnation, sequence, echo, echoIncarnation, diskWriteMs } = heartbeat;
  return [PeerMessageType.heartbeat, incarnation, sequence, echo, echoIncarnation, Math.min(diskWriteMs, DISK_FULL_MS)];
}

export function decodeHeartbeat(head: unknown[]): PeerHeartbeat {
  const [, incarnation, sequence, echo, echoIncarnation, writeMs] = checkHeartbeat(head);
  const diskWriteMs = writeMs === DISK_FULL_MS ? Infinity : writeMs;
  return { incarnation, sequence, echo, echoIncarnation, diskWriteMs };
}

export function encodeLeadership(claims: readonly LeadershipClaim[]): unknown[] {
  return [PeerMessageType.leadership, claims.map(({ shard, term, leading }) => [shard, term, leading])];
}

export function decodeLeadership(head: unknown[]): LeadershipClaim[] {
  return checkLeadership(head)[1].map(([shard, term, leading]) => ({ shard, term, leading }));
}

export function encodeForward({ requestId, command, args }: ForwardedRequest): unknown[] {
  return [PeerMessageType.forward, requestId, command, args];
}

export function decodeForward(head: unknown[]): ForwardedRequest {
  const [, requestId, command, args] = checkForward(head);
  return { requestId, command, args };
}

export function encodeReply({ requestId, code, message, result }: ForwardedReply): unknown[] {
  return [PeerMessageType.reply, requestId, code, message, result];
}

export function decodeReply(head: unknown[]): ForwardedReply {
  const [, requestId, code, message, result] = checkReply(head);
  return { requestId, code, message, result };
}
