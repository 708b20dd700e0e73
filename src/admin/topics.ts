/** /v1/topics: create, list, describe, change, delete; where partitions are and how far. */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { type Context, Hono } from "hono";
import { describeRoute } from "hono-openapi";
import type { RaftlineNode } from "../node/node.ts";
import {
  decodeAdminCommand,
  MoveReplicasSchema,
  TopicChangesSchema,
  TopicDescriptionSchema,
  TopicSummarySchema,
} from "../wire/admin-commands.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { OwnClient } from "./own-client.ts";
import { answers, CreateTopicSchema, DeletedRecordsSchema, PartitionStatusSchema } from "./schemas.ts";

const createChecker = TypeCompiler.Compile(CreateTopicSchema);
const moveChecker = TypeCompiler.Compile(MoveReplicasSchema);

export function topicRoutes(node: RaftlineNode, client: OwnClient): Hono {
  const app = new Hono();
  const run = (command: string, args: Record<string, unknown>) => node.admin.execute(decodeAdminCommand(command, args));

  app.get("/", describe("The topics", answers("all topics", Type.Array(TopicSummarySchema))), async (context) => {
    return context.json(await run("listTopics", {}) as object);
  });
  app.post(
    "/",
    describe("Create a topic", answers("the new topic", TopicDescriptionSchema, 201), CreateTopicSchema),
    async (context) => {
      const { name, ...options } = await createBody(context);
      return context.json(await run("createTopic", { name, options }) as object, 201);
    },
  );
  app.get("/:topic", describe("A topic", answers("the topic", TopicDescriptionSchema)), async (context) => {
    return context.json(await run("describeTopic", { name: context.req.param("topic") }) as object);
  });
  app.patch(
    "/:topic",
    describe("Change a topic's settings", answers("the topic", TopicDescriptionSchema), TopicChangesSchema),
    async (context) => {
      const changes = await jsonBody(context);
      return context.json(await run("alterTopic", { name: context.req.param("topic"), changes }) as object);
    },
  );
  app.delete("/:topic", describe("Delete a topic", answers("nothing", Type.Object({}))), async (context) => {
    return context.json(await run("deleteTopic", { name: context.req.param("topic") }) as object);
  });
  app.get(
    "/:topic/partitions",
    describe("A topic's partitions", answers("by number", Type.Array(PartitionStatusSchema))),
    async (context) => {
      await run("describeTopic", { name: context.req.param("topic") });
      return context.json(partitionsOf(node, context.req.param("topic")));
    },
  );
  app.put(
    "/:topic/partitions/:partition/replicas",
    describe(
      "Move a partition",
      answers("the topic, with the target", TopicDescriptionSchema, 202),
      MoveReplicasSchema,
    ),
    async (context) => {
      const { topic: name, partition } = context.req.param();
      const { replicas } = checked(moveChecker, await jsonBody(context));
      const args = { name, partition: wholeNumber(partition, "partition"), replicas };
      return context.json(await run("moveReplicas", args) as object, 202);
    },
  );
  app.delete(
    "/:topic/partitions/:partition/records",
    describe("Delete a partition's records below an offset", answers("what is left", DeletedRecordsSchema), undefined, [
      { name: "before", in: "query", required: true, schema: { type: "integer", minimum: 0 } },
    ]),
    async (context) => {
      const topic = context.req.param("topic");
      const partition = wholeNumber(context.req.param("partition"), "partition");
      const before = wholeNumber(context.req.query("before"), "before");
      const { admin } = await client.get();
      return context.json({ topic, partition, startOffset: await admin.deleteRecords(topic, partition, before) });
    },
  );
  return app;
}

function describe(
  summary: string,
  responses: Record<string, unknown>,
  body?: TSchema,
  parameters?: readonly object[],
): ReturnType<typeof describeRoute> {
  const requestBody = body
    ? { requestBody: { required: true, content: { "application/json": { schema: body } } } }
    : {};
  return describeRoute(
    { summary, responses, ...requestBody, ...(parameters && { parameters }) } as Parameters<typeof describeRoute>[0],
  );
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
function wholeNumber(text: string | undefined, name: string): number {
  const value = /^\d{1,16}$/.test(text ?? "") ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new RaftlineError("INVALID_REQUEST", `${name} must be a whole number from 0 on, not ${text ?? "left out"}`);
}

/**
 * The type is asked for because a page of another origin cannot send it unasked, other than text.
 * @throws {RaftlineError} `UNSUPPORTED_MEDIA_TYPE`, `INVALID_REQUEST`
 */
async function jsonBody(context: Context): Promise<unknown> {
  const type = context.req.header("content-type") ?? "left out";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new RaftlineError("UNSUPPORTED_MEDIA_TYPE", `content-type must be application/json, not ${type}`);
  }
  try {
    return await context.req.json();
  } catch (error) {
    throw new RaftlineError("INVALID_REQUEST", `the body is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

async function createBody(context: Context): Promise<{ name: string } & Record<string, unknown>> {
  const body = await jsonBody(context);
  const name = typeof body === "object" && body !== null && "name" in body ? body.name : undefined;
  // The command's own check has the better words for a bad name.
  if (typeof name === "string") decodeAdminCommand("describeTopic", { name });
  return checked(createChecker, body);
}

/** @throws {RaftlineError} `INVALID_REQUEST` */
function checked<S extends TSchema>(checker: TypeCheck<S>, body: unknown): Static<S> {
  if (checker.Check(body)) return body;
  const first = checker.Errors(body).First();
  throw new RaftlineError("INVALID_REQUEST", `${first?.path || "/"}: ${first?.message ?? "not valid"}`);
}

function partitionsOf(node: RaftlineNode, name: string): object[] {
  const topic = node.metadata.topics.get(name);
  return (topic?.partitions ?? []).map(({ shard, replicas, target }, partition) => {
    const { node: leader, term } = node.routing.leaderOf(shard);
    const here = node.partitions.get(shard);
    return {
      partition,
      shard,
      leader,
      leaderTerm: term,
      replicas,
      target,
      startOffset: here?.startOffset ?? null,
      highWatermark: here?.highWatermark ?? null,
      sizeBytes: here?.sizeBytes ?? null,
    };
  });
}
