/** What the HTTP API takes and gives, beside what it shares with the client protocol. */
import { type TSchema, Type } from "@sinclair/typebox";
import { TopicOptionsSchema } from "../wire/admin-commands.ts";
import { Name, U32, U53 } from "../wire/schemas.ts";

export const HealthSchema = Type.Object({ status: Type.Literal("ok"), nodeId: U32 });
export const ReadySchema = Type.Object({ ready: Type.Boolean(), nodeId: U32 });
export const ProblemSchema = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
});
export const CreateTopicSchema = Type.Composite([Type.Object({ name: Name }), TopicOptionsSchema], {
  additionalProperties: false,
});
export const PartitionStatusSchema = Type.Object({
  partition: U32,
  shard: U32,
  leader: U32,
  leaderTerm: U53,
  replicas: Type.Array(U32),
  target: Type.Array(U32),
  /** As this node's replica has them; null when it holds none. */
  startOffset: Type.Union([U53, Type.Null()]),
  highWatermark: Type.Union([U53, Type.Null()]),
  sizeBytes: Type.Union([U53, Type.Null()]),
});
export const DeletedRecordsSchema = Type.Object({ topic: Name, partition: U32, startOffset: U53 });

const GroupKind = Type.Union([Type.Literal("cursor"), Type.Literal("queue")]);
export const GroupSummarySchema = Type.Object({
  group: Name,
  topic: Name,
  kind: GroupKind,
  /** Records it has not acknowledged. */
  lag: U53,
  leased: U53,
  dead: U53,
  /** Why they are not in the dead-letter topic yet, as a code; "": nothing is known to be in their way. */
  deadCode: Type.String(),
  /** Consumers of it right now, in all its topics together. */
  members: U53,
});
export const GroupPartitionSchema = Type.Object({
  group: Name,
  topic: Name,
  partition: U32,
  kind: GroupKind,
  generation: U53,
  /** Everything below is done; of a cursor: its committed offset, -1 for none. */
  floor: Type.Integer({ minimum: -1 }),
  /** Nothing from here on was ever given out. */
  next: Type.Integer({ minimum: -1 }),
  highWatermark: U53,
  waiting: U53,
  leased: U53,
  delayed: U53,
  dead: U53,
  /** Why they are not in the dead-letter topic yet, as a code; "": nothing is known to be in their way. */
  deadCode: Type.String(),
  /** Who of its consumers reads there; "": nobody. */
  member: Type.String(),
});

/** A JSON answer of an OpenAPI description. TypeBox schemas are JSON schemas. */
export function answers(description: string, schema: TSchema, status = 200): Record<string, unknown> {
  const failure = {
    description: "what went wrong",
    content: { "application/problem+json": { schema: ProblemSchema } },
  };
  return { [status]: { description, content: { "application/json": { schema } } }, default: failure };
}
