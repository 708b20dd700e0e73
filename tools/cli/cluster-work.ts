/** What `raftline cluster` can be asked to do. */
import { setTimeout as delay } from "node:timers/promises";
import type { AdminClient } from "../../src/client/admin.ts";
import { parseBootstrap } from "../../src/client/options.ts";
import type { Address } from "../../src/runtime/network.ts";
import type { TopicDescription } from "../../src/wire/admin-commands.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import { checkAction } from "./actions.ts";
import { type ClusterHealth, healthOf } from "./cluster-health.ts";
import { UsageError } from "./errors.ts";
import { progressOnTerminal } from "./progress.ts";
import { stopSignal } from "./stop-signal.ts";
import { wholeNumber } from "./whole-number.ts";
import type { ConnectionFlags } from "./with-client.ts";

const POLL_MS = 500;

export interface ClusterFlags extends ConnectionFlags {
  readonly peer?: string;
  readonly json?: boolean;
}

/** The flags of each action. */
const ACTIONS = {
  show: [],
  add: ["peer"],
  drain: [],
  undrain: [],
  remove: [],
  spread: [],
} as const satisfies Record<string, readonly (keyof ClusterFlags)[]>;

/** What came of it: the cluster's health, or a few words. */
export type ClusterWork = (admin: AdminClient) => Promise<ClusterHealth | Done>;

export type Done = { readonly done: string } & Readonly<Record<string, string | number>>;

/** What is to be done; a command line that makes no sense is refused before anybody is asked. */
export function clusterWork(action: string, node: string | undefined, flags: ClusterFlags): ClusterWork {
  checkAction("cluster", action, flags, ACTIONS);
  const isOfNode = action !== "show" && action !== "spread";
  if (!isOfNode && node !== undefined) throw new UsageError(`cluster ${action} takes no node`);
  if (isOfNode && node === undefined) throw new UsageError(`cluster ${action} wants the number of a node`);
  const id = node === undefined ? 0 : wholeNumber("the node", node);
  switch (action as keyof typeof ACTIONS) {
    case "show":
      return health;
    case "spread":
      return spread;
    case "add": {
      const peer = peerOf(flags);
      return async (admin) => {
        await admin.addNode(id, peer);
        return {
          done: "added",
          node: id,
          peer: `${peer.host.includes(":") ? `[${peer.host}]` : peer.host}:${peer.port}`,
        };
      };
    }
    case "drain":
      return async (admin) => {
        await admin.drainNode(id);
        let isDrained = true;
        const heldOf = ({ nodes }: ClusterHealth) => {
          const node = nodes.find((one) => one.id === id);
          // Somebody else may want it otherwise meanwhile.
          isDrained = node?.draining ?? false;
          return isDrained ? node!.replicas : 0;
        };
        const left = await until(admin, stopSignal(), heldOf, "replicas to leave");
        if (!isDrained) {
          throw new RaftlineError("NOT_DRAINED", `node ${id} is not drained any more: somebody ended that`);
        }
        return { done: left === 0 ? "drained" : "is being drained", node: id, left };
      };
    case "undrain":
      return async (admin) => {
        await admin.drainNode(id, false);
        return { done: "undrained", node: id };
      };
    case "remove":
      return async (admin) => {
        await admin.removeNode(id);
        return { done: "removed", node: id };
      };
  }
}

function peerOf({ peer }: ClusterFlags): Address {
  if (peer === undefined) throw new UsageError("cluster add wants --peer HOST:PORT");
  try {
    return parseBootstrap([peer])[0]!;
  } catch (error) {
    throw new UsageError(`--peer: ${(error as Error).message}`);
  }
}

async function health(admin: AdminClient): Promise<ClusterHealth> {
  return healthOf(await admin.describeCluster(), await topicsOf(admin));
}

/** What does not move all at once is moved in several goes. */
async function spread(admin: AdminClient): Promise<Done> {
  const stopped = stopSignal();
  let moves = 0;
  for (;;) {
    const begun = await admin.spreadReplicas();
    moves += begun;
    const moving = await until(admin, stopped, (now) => now.moving.length, "partitions on their way");
    if (begun === 0 || moving > 0) return { done: moving === 0 ? "spread" : "is being spread", moves, moving };
  }
}

/** Waits until nothing is left, with a line that counts; after Ctrl-C what is left: the cluster goes on with it. */
async function until(
  admin: AdminClient,
  stopped: Promise<unknown>,
  leftOf: (now: ClusterHealth) => number,
  what: string,
): Promise<number> {
  const progress = progressOnTerminal(what, false);
  let isOver = false;
  void stopped.then(() => isOver = true);
  for (;;) {
    const left = leftOf(await health(admin));
    progress.update(left);
    if (left === 0 || isOver) {
      progress.end();
      return left;
    }
    await Promise.race([delay(POLL_MS), stopped]);
  }
}

async function topicsOf(admin: AdminClient): Promise<TopicDescription[]> {
  const topics: TopicDescription[] = [];
  for (const { name } of await admin.listTopics()) {
    try {
      topics.push(await admin.describeTopic(name));
    } catch (error) {
      // Deleted meanwhile.
      if (!(error instanceof RaftlineError && error.code === "UNKNOWN_TOPIC")) throw error;
    }
  }
  return topics;
}
