/** Whom the admin API answers: those with credentials, or, where none are configured, no web page's requests. */
import type { Context, Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { isLoopback, type NodeConfig } from "../node/config.ts";
import { type Credential, mayAll, whoIs } from "../node/credentials.ts";
import type { RaftlineNode } from "../node/node.ts";
import { RaftlineError } from "../wire/errors.ts";

/** "Is it alive" is for everybody. */
const OPEN_PATHS = ["/v1/health", "/v1/ready"];

export function guard(app: Hono, { config, credentials }: RaftlineNode): void {
  const check = basicAuth({ verifyUser: (name, secret) => mayAsk(credentials.current ?? [], name, secret) });
  app.use((context, next) => {
    if (credentials.current) return OPEN_PATHS.includes(context.req.path) ? next() : check(context, next);
    refuseWebPage(context, config);
    return next();
  });
}

/** It shows and does everything. @throws {RaftlineError} `FORBIDDEN` */
function mayAsk(known: readonly Credential[], name: string, secret: string): boolean {
  const who = whoIs(known, { name, secret });
  if (who && !mayAll(who)) {
    throw new RaftlineError("FORBIDDEN", `the admin API is for those who may do everything: not ${name}`);
  }
  return who !== undefined;
}

/**
 * Loopback keeps other machines out, and not the pages that a browser on this one has open. They send to any port (then
 * `Origin` tells), and to a name of theirs that leads to 127.0.0.1 (DNS rebinding: then `Host` tells).
 */
function refuseWebPage({ req }: Context, { host, advertisedHost }: NodeConfig): void {
  const names = [host, advertisedHost].map((name) => name?.toLowerCase());
  const { origin: own, hostname } = new URL(req.url);
  const name = hostname.replace(/^\[|\]$/g, "");
  if (!isLoopback(name) && !names.includes(name)) throw new RaftlineError("FOREIGN_HOST", `this node is not ${name}`);
  const origin = req.header("origin");
  if (origin !== undefined && origin !== own) {
    throw new RaftlineError("FOREIGN_ORIGIN", `pages of ${origin} may not ask: no credentials are configured`);
  }
}
