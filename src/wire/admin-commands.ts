/** The commands of an ADMIN request: what each takes and gives. The HTTP API and the command line use the same schemas. */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { RaftlineError, WireError } from "./errors.ts";
import { isName, Name, U32, U53, validator } from "./schemas.ts";

export const PARTITIONS_MAX = 10_000;
export const REPLICAS_MAX = 7;

/** Null: without bound. */
export const RetentionSchema = Type.Object({
  /** Records may go when they are older. */
  ms: Type.Optional(Type.Union([U53, Type.Null()])),
  /** Per partition: the oldest may go above it. */
  bytes: Type.Optional(Type.Union([U53, Type.Null()])),
  /** Records may go when every group known to their partition has acknowledged them. */
  consumed: Type.Optional(Type.Boolean()),
}, { additionalProperties: false });
export type Retention = Static<typeof RetentionSchema>;

const RecordBytesMax = Type.Integer({ minimum: 1, maximum: 0x7fff_ffff });

export const TopicOptionsSchema = Type.Object({
  partitions: Type.Optional(Type.Integer({ minimum: 1, maximum: PARTITIONS_MAX })),
  replicas: Type.Optional(Type.Integer({ minimum: 1, maximum: REPLICAS_MAX })),
  retention: Type.Optional(RetentionSchema),
  recordBytesMax: Type.Optional(RecordBytesMax),
}, { additionalProperties: false });
/** What a new topic may be given; the rest is the cluster's default. */
export type TopicOptions = Static<typeof TopicOptionsSchema>;

export const TopicChangesSchema = Type.Object({
  /** So many from now on; never fewer than there are. */
  partitions: Type.Optional(Type.Integer({ minimum: 1, maximum: PARTITIONS_MAX })),
  retention: Type.Optional(RetentionSchema),
  recordBytesMax: Type.Optional(RecordBytesMax),
}, { additionalProperties: false });
/** What can be changed later. */
export type TopicChanges = Static<typeof TopicChangesSchema>;

export const PartitionDescriptionSchema = Type.Object({
  partition: U32,
  shard: U32,
  /** 0: not known. */
  leader: U32,
  leaderTerm: U53,
  replicas: Type.Array(U32),
  /** Where they are on their way to; empty when they stay. */
  target: Type.Array(U32),
  /** Earlier targets of a move that was redirected: they keep what they have until it is done. */
  passed: Type.Optional(Type.Array(U32)),
});
export type PartitionDescription = Static<typeof PartitionDescriptionSchema>;

const NodeNumber = Type.Integer({ minimum: 1, maximum: 0xffff_ffff });

/** Nodes that hold a partition, the one that should lead first. */
const ReplicaNodes = Type.Array(NodeNumber, {
  minItems: 1,
  maxItems: REPLICAS_MAX,
  uniqueItems: true,
});

/** The body of a move, over HTTP. */
export const MoveReplicasSchema = Type.Object({ replicas: ReplicaNodes }, { additionalProperties: false });

export const TopicDescriptionSchema = Type.Object({
  name: Type.String(),
  topicId: U32,
  replicas: U32,
  retention: RetentionSchema,
  recordBytesMax: U32,
  partitions: Type.Array(PartitionDescriptionSchema),
});
export type TopicDescription = Static<typeof TopicDescriptionSchema>;

export const TopicSummarySchema = Type.Object({
  name: Type.String(),
  topicId: U32,
  partitions: U32,
  replicas: U32,
});
export type TopicSummary = Static<typeof TopicSummarySchema>;

export const NodeDescriptionSchema = Type.Object({
  id: U32,
  host: Type.String(),
  /** 0: it has not been here yet. */
  port: U32,
  alive: Type.Boolean(),
  /** It was added to the cluster, and has no vote on the metadata. */
  added: Type.Optional(Type.Boolean()),
  /** What it holds goes elsewhere, and it is given nothing. */
  draining: Type.Optional(Type.Boolean()),
});
export type NodeDescription = Static<typeof NodeDescriptionSchema>;

export const ClusterDescriptionSchema = Type.Object({
  clusterId: Type.String(),
  /** Node that leads the metadata shard, 0 if not known. */
  metadataLeader: U32,
  nodes: Type.Array(NodeDescriptionSchema),
  topics: U32,
  partitions: U32,
});
export type ClusterDescription = Static<typeof ClusterDescriptionSchema>;

const PeerHost = Type.String({ minLength: 1, maxLength: 255 });
const PeerPort = Type.Integer({ minimum: 1, maximum: 65_535 });
/** Where the other nodes reach one. The body of an addition, over HTTP. */
export const PeerAddressSchema = Type.Object({ host: PeerHost, port: PeerPort }, { additionalProperties: false });
/** How many partitions are on their way now that were not before. */
export const SpreadSchema = Type.Object({ moves: U32 });

const none = Type.Object({}, { additionalProperties: false });
const byNode = Type.Object({ id: NodeNumber }, { additionalProperties: false });
const byName = Type.Object({ name: Name }, { additionalProperties: false });

/** Arguments and result of every command. */
export const adminCommands = {
  createTopic: {
    args: Type.Object({ name: Name, options: TopicOptionsSchema }, { additionalProperties: false }),
    result: TopicDescriptionSchema,
  },
  deleteTopic: { args: byName, result: none },
  alterTopic: {
    args: Type.Object({ name: Name, changes: TopicChangesSchema }, { additionalProperties: false }),
    result: TopicDescriptionSchema,
  },
  moveReplicas: {
    args: Type.Object({ name: Name, partition: U32, replicas: ReplicaNodes }, { additionalProperties: false }),
    result: TopicDescriptionSchema,
  },
  describeTopic: { args: byName, result: TopicDescriptionSchema },
  listTopics: { args: none, result: Type.Array(TopicSummarySchema) },
  describeCluster: { args: none, result: ClusterDescriptionSchema },
  addNode: {
    args: Type.Object({ id: NodeNumber, host: PeerHost, port: PeerPort }, { additionalProperties: false }),
    result: none,
  },
  removeNode: { args: byNode, result: none },
  drainNode: {
    args: Type.Object({ id: NodeNumber, drain: Type.Boolean() }, { additionalProperties: false }),
    result: none,
  },
  spreadReplicas: { args: none, result: SpreadSchema },
} as const satisfies Record<string, { readonly args: TSchema; readonly result: TSchema }>;

export type AdminCommandName = keyof typeof adminCommands;
export type AdminArgs<C extends AdminCommandName> = Static<typeof adminCommands[C]["args"]>;
export type AdminResult<C extends AdminCommandName> = Static<typeof adminCommands[C]["result"]>;

/** A checked command, to switch over. */
export type AdminCommand = { [C in AdminCommandName]: { readonly command: C; readonly args: AdminArgs<C> } }[
  AdminCommandName
];

interface Checks {
  readonly args: (value: unknown) => unknown;
  readonly result: (value: unknown) => unknown;
}

const checks = new Map<string, Checks>(
  Object.entries(adminCommands).map(([command, { args, result }]) => [
    command,
    { args: validator(command, args), result: validator(`${command} result`, result) },
  ]),
);

/** @throws {RaftlineError} `UNKNOWN_COMMAND`, `INVALID_NAME`, `INVALID_REQUEST` */
export function decodeAdminCommand(command: string, args: Readonly<Record<string, unknown>>): AdminCommand {
  const check = checks.get(command);
  if (check === undefined) throw new RaftlineError("UNKNOWN_COMMAND", `there is no admin command "${command}"`);
  if (typeof args.name === "string" && !isName(args.name)) {
    throw new RaftlineError(
      "INVALID_NAME",
      `"${args.name.slice(0, 260)}" is not a name: 1 to 249 of A-Z a-z 0-9 . _ - but not "." or ".."`,
    );
  }
  try {
    check.args(args);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new RaftlineError("INVALID_REQUEST", error.message, { cause: error });
  }
  return { command, args } as AdminCommand;
}

/** A node's answer to `command`, checked. @throws {WireError} `INVALID_MESSAGE` */
export function decodeAdminResult<C extends AdminCommandName>(command: C, result: unknown): AdminResult<C> {
  return checks.get(command)!.result(result) as AdminResult<C>;
}
