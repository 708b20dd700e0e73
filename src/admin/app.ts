/** The admin API: a Hono app over one node. */
import { Type } from "@sinclair/typebox";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { describeRoute, openAPIRouteHandler } from "hono-openapi";
import type { NodeService, RaftlineNode } from "../node/node.ts";
import { serveHttp } from "../runtime/node-http.ts";
import { ClusterDescriptionSchema, NodeDescriptionSchema } from "../wire/admin-commands.ts";
import { guard } from "./access.ts";
import { groupRoutes } from "./groups.ts";
import { createMetrics } from "./metrics.ts";
import { OwnClient } from "./own-client.ts";
import { problem, problemOf } from "./problems.ts";
import { answers, HealthSchema, ReadySchema } from "./schemas.ts";
import { topicRoutes } from "./topics.ts";

const BODY_BYTES_MAX = 1024 * 1024;
/** Below it: what the client did wrong. */
const UNEXPECTED_FROM = 500;

/**
 * @example
 * ```ts
 * const response = await createAdminApp(node, new OwnClient(node)).request("/v1/topics");
 * ```
 */
export function createAdminApp(node: RaftlineNode, client: OwnClient): Hono {
  const app = new Hono();
  app.onError((error, context) => {
    const answer = problemOf(context, error);
    // The rest is the client's to know: anybody could fill the log with it.
    if (answer.status >= UNEXPECTED_FROM) {
      node.runtime.log.write("warn", "an admin request failed", { path: context.req.path, reason: String(error) });
    }
    return answer;
  });
  app.notFound((context) => problem(context, "NOT_FOUND", `there is no ${context.req.path}`));
  app.use(secureHeaders());
  app.use(bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: (context) => problem(context, "TOO_LARGE", `a body has at most ${BODY_BYTES_MAX} bytes`),
  }));
  guard(app, node.config);
  describeNode(app, node);
  app.route("/v1/topics", topicRoutes(node, client));
  app.route("/v1/groups", groupRoutes(node, client));
  const metrics = createMetrics(node);
  app.get("/metrics", async (context) => {
    return context.text(await metrics.metrics(), 200, { "content-type": metrics.contentType });
  });
  app.get(
    "/v1/openapi.json",
    openAPIRouteHandler(app, {
      documentation: { openapi: "3.1.0", info: { title: "Raftline admin API", version: "1" } },
    }),
  );
  return app;
}

/** The admin API beside a node, on its admin port. */
export const adminService: NodeService = async (node) => {
  const { host = "127.0.0.1", adminPort = 0 } = node.config;
  const client = new OwnClient(node);
  const app = createAdminApp(node, client);
  const server = await serveHttp({ host, port: adminPort }, (request) => app.fetch(request), node.runtime.network.tls);
  const close = async () => {
    await server.close();
    await client.close();
  };
  return { address: server.address, close };
};

function describeNode(app: Hono, node: RaftlineNode): void {
  const { nodeId } = node;
  const route = (summary: string, responses: Record<string, unknown>) =>
    describeRoute({ summary, responses } as Parameters<typeof describeRoute>[0]);
  app.get("/v1/health", route("The process lives", answers("alive", HealthSchema)), (context) => {
    return context.json({ status: "ok", nodeId });
  });
  app.get("/v1/ready", route("The node serves", answers("serves", ReadySchema)), (context) => {
    return context.json({ ready: node.isReady, nodeId }, node.isReady ? 200 : 503);
  });
  app.get("/v1/cluster", route("The cluster", answers("the cluster", ClusterDescriptionSchema)), async (context) => {
    return context.json(await node.admin.execute({ command: "describeCluster", args: {} }) as object);
  });
  app.get("/v1/nodes", route("The nodes", answers("all nodes", Type.Array(NodeDescriptionSchema))), async (context) => {
    const cluster = await node.admin.execute({ command: "describeCluster", args: {} }) as { nodes: object };
    return context.json(cluster.nodes);
  });
}
