/** /v1/topics: create, list, describe, change, delete; where partitions are and how far. */
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { type Context, Hono } from "hono";
import type { RaftlineNode } from "../node/node.ts";
import {
  decodeAdminCommand,
  MoveReplicasSchema,
  TopicChangesSchema,
  TopicDescriptionSchema,
  TopicSummarySchema,
} from "../wire/admin-commands.ts";
import type { OwnClient } from "./own-client.ts";
import { checked, describe, jsonBody, wholeNumber } from "./requests.ts";
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

async function createBody(context: Context): Promise<{ name: string } & Record<string, unknown>> {
  const body = await jsonBody(context);
  const name = typeof body === "object" && body !== null && "name" in body ? body.name : undefined;
  // The command's own check has the better words for a bad name.
  if (typeof name === "string") decodeAdminCommand("describeTopic", { name });
  return checked(createChecker, body);
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
