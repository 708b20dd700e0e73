/** /v1/nodes: which there are, more of them, fewer, and what they hold. */
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { Hono } from "hono";
import type { RaftlineNode } from "../node/node.ts";
import {
  type ClusterDescription,
  decodeAdminCommand,
  NodeDescriptionSchema,
  PeerAddressSchema,
  SpreadSchema,
} from "../wire/admin-commands.ts";
import { checked, describe, jsonBody, wholeNumber } from "./requests.ts";
import { answers } from "./schemas.ts";

const addressChecker = TypeCompiler.Compile(PeerAddressSchema);
const DrainingSchema = Type.Object({ draining: Type.Boolean() }, { additionalProperties: false });
const drainingChecker = TypeCompiler.Compile(DrainingSchema);
const NothingSchema = Type.Object({}, { additionalProperties: false });
const nothingChecker = TypeCompiler.Compile(NothingSchema);
const NOTHING = answers("nothing", NothingSchema);

export function nodeRoutes(node: RaftlineNode): Hono {
  const app = new Hono();
  const run = async (command: string, args: Record<string, unknown>) =>
    await node.admin.execute(decodeAdminCommand(command, args)) as object;

  app.get("/", describe("The nodes", answers("all nodes", Type.Array(NodeDescriptionSchema))), async (context) => {
    return context.json((await run("describeCluster", {}) as ClusterDescription).nodes);
  });
  app.put("/:id", describe("Add a node, or change its address", NOTHING, PeerAddressSchema), async (context) => {
    const id = wholeNumber(context.req.param("id"), "id");
    return context.json(await run("addNode", { id, ...checked(addressChecker, await jsonBody(context)) }));
  });
  app.delete("/:id", describe("Take a drained node out of the cluster", NOTHING), async (context) => {
    return context.json(await run("removeNode", { id: wholeNumber(context.req.param("id"), "id") }));
  });
  app.patch("/:id", describe("Have a node hold nothing, or let it again", NOTHING, DrainingSchema), async (context) => {
    const id = wholeNumber(context.req.param("id"), "id");
    const { draining } = checked(drainingChecker, await jsonBody(context));
    return context.json(await run("drainNode", { id, drain: draining }));
  });
  app.post(
    "/spread",
    describe("Have nodes hold and lead about as much", answers("what was begun", SpreadSchema), NothingSchema),
    async (context) => {
      checked(nothingChecker, await jsonBody(context));
      return context.json(await run("spreadReplicas", {}));
    },
  );
  return app;
}
