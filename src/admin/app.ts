/** The admin API: a Hono app over one node. */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { describeRoute, type GenerateSpecOptions, openAPIRouteHandler } from "hono-openapi";
import type { NodeService, RaftlineNode } from "../node/node.ts";
import { serveHttp } from "../runtime/node-http.ts";
import { ClusterDescriptionSchema } from "../wire/admin-commands.ts";
import { guard } from "./access.ts";
import { groupRoutes } from "./groups.ts";
import { createMetrics } from "./metrics.ts";
import { nodeRoutes } from "./nodes.ts";
import { OwnClient } from "./own-client.ts";
import { problem, problemOf } from "./problems.ts";
import { answers, HealthSchema, ReadySchema } from "./schemas.ts";
import { topicRoutes } from "./topics.ts";

const BODY_BYTES_MAX = 1024 * 1024;
/** Below it: what the client did wrong. */
const UNEXPECTED_FROM = 500;
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

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
  app.notFound((context) => {
    const { method, path } = context.req;
    const allowed = methodsOf(app, path);
    if (allowed.length === 0) return problem(context, "NOT_FOUND", `there is no ${path}`);
    context.header("allow", allowed.join(", "));
    return problem(context, "METHOD_NOT_ALLOWED", `${path} takes ${allowed.join(", ")}, not ${method}`);
  });
  app.use(secureHeaders());
  app.use(bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: (context) => problem(context, "TOO_LARGE", `a body has at most ${BODY_BYTES_MAX} bytes`),
  }));
  guard(app, node);
  describeNode(app, node);
  app.route("/v1/nodes", nodeRoutes(node));
  app.route("/v1/topics", topicRoutes(node, client));
  app.route("/v1/groups", groupRoutes(node, client));
  const metrics = createMetrics(node);
  app.get("/metrics", async (context) => {
    return context.text(await metrics.metrics(), 200, { "content-type": metrics.contentType });
  });
  app.get("/v1/openapi.json", openAPIRouteHandler(app, { documentation: documentOf(node) }));
  return app;
}

/** Hono answers HEAD as GET. */
function methodsOf(app: Hono, path: string): string[] {
  const found = METHODS.filter((method) => {
    return app.router.match(method, path)[0].some(([[, route]]) => route.method === method);
  });
  return found.includes("GET") ? ["HEAD", ...found] : found;
}

function documentOf({ credentials }: RaftlineNode): GenerateSpecOptions["documentation"] {
  const secured = {
    components: { securitySchemes: { basic: { type: "http" as const, scheme: "basic" } } },
    security: [{ basic: [] }],
  };
  const description = "Topics, partitions and groups of a cluster, through any of its nodes.";
  return {
    openapi: "3.1.0",
    info: { title: "Raftline admin API", version: "1", description },
    ...(credentials.current && secured),
  };
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
  const route = (summary: string, responses: Record<string, unknown>, more: object = {}) =>
    describeRoute({ summary, responses, ...more } as Parameters<typeof describeRoute>[0]);
  const open = { security: [] };
  app.get("/v1/health", route("The process lives", answers("alive", HealthSchema), open), (context) => {
    return context.json({ status: "ok", nodeId });
  });
  const readiness = { ...answers("serves", ReadySchema), ...answers("does not serve yet", ReadySchema, 503) };
  app.get("/v1/ready", route("The node serves", readiness, open), (context) => {
    return context.json({ ready: node.isReady, nodeId }, node.isReady ? 200 : 503);
  });
  app.get("/v1/cluster", route("The cluster", answers("the cluster", ClusterDescriptionSchema)), async (context) => {
    return context.json(await node.admin.execute({ command: "describeCluster", args: {} }) as object);
  });
}
