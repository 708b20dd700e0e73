/** /v1/groups: cursors and queues, and how far they are, in one topic or in all of them. */
import { Type } from "@sinclair/typebox";
import { type Context, Hono } from "hono";
import { describeRoute } from "hono-openapi";
import { summarizeGroups } from "../client/groups.ts";
import type { RaftlineNode } from "../node/node.ts";
import { RaftlineError } from "../wire/errors.ts";
import { isName } from "../wire/schemas.ts";
import type { OwnClient } from "./own-client.ts";
import { answers, GroupPartitionSchema, GroupSummarySchema } from "./schemas.ts";

const TOPIC_PARAMETER = { name: "topic", in: "query", schema: { type: "string" } };

export function groupRoutes(node: RaftlineNode, client: OwnClient): Hono {
  const app = new Hono();
  const parts = async (context: Context, group: string) => {
    const topic = context.req.query("topic");
    const topics = topic === undefined ? [...node.metadata.topics.keys()] : [topic];
    const { admin } = await client.get();
    const found = await Promise.all(topics.map((one) => {
      return group === "" ? admin.listGroups(one) : admin.describeGroup(one, group);
    }));
    return found.flat();
  };
  app.get("/", describe("The groups", answers("all groups", Type.Array(GroupSummarySchema))), async (context) => {
    const { admin } = await client.get();
    return context.json(summarizeGroups(await parts(context, ""), await admin.groupMembers()));
  });
  app.get(
    "/:group",
    describe("A group, in every partition", answers("its places", Type.Array(GroupPartitionSchema))),
    async (context) => {
      const group = context.req.param("group");
      if (!isName(group)) throw new RaftlineError("INVALID_NAME", `"${group}" is not a name of a group`);
      const found = await parts(context, group);
      if (found.length === 0) throw new RaftlineError("UNKNOWN_GROUP", `there is no group "${group}"`);
      return context.json(found);
    },
  );
  return app;
}

function describe(summary: string, responses: Record<string, unknown>): ReturnType<typeof describeRoute> {
  return describeRoute({ summary, responses, parameters: [TOPIC_PARAMETER] } as Parameters<typeof describeRoute>[0]);
}
