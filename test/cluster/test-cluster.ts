/** Nodes and a client for a whole file of tests, and how these wait and judge. */
import { setTimeout as delay } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type Client, connect, RaftlineError, startCluster } from "../../mod.ts";

const PATIENCE_MS = 20_000;

type Cluster = Awaited<ReturnType<typeof startCluster>>;

export class TestCluster {
  readonly cluster: Cluster;
  readonly client: Client;

  private constructor(cluster: Cluster, client: Client) {
    this.cluster = cluster;
    this.client = client;
  }

  static async start(nodes = 3): Promise<TestCluster> {
    const cluster = await startCluster({ nodes });
    return new TestCluster(cluster, await connect(cluster.bootstrap));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.cluster.stop();
  }

  /** A topic with so many records: their numbers are their values, and their keys where there are several partitions. */
  async topicWith(name: string, records: number, partitions = 1): Promise<void> {
    await this.client.admin.createTopic(name, { partitions, replicas: this.cluster.nodes.length });
    const values = Array.from({ length: records }, (_, i) => ({ key: partitions > 1 ? `${i}` : null, value: `${i}` }));
    await this.client.producer().sendAll(name, values);
  }
}

/** The code of what it rejects with, which must have a message that a person understands; "" if it does not reject. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    assert.instance(error, RaftlineError);
    assert.ok((error as RaftlineError).message.length > 10, "a message that a person understands");
    return (error as RaftlineError).code;
  }
}

/** As `assert.throws`, of what rejects. */
export async function rejects(work: Promise<unknown>, isExpected: (error: RaftlineError) => boolean): Promise<void> {
  const error = await work.then(() => undefined, (reason: unknown) => reason);
  assert.instance(error, RaftlineError);
  assert.ok(isExpected(error as RaftlineError), String(error));
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const startMs = performance.now(); !await isSo();) {
    if (performance.now() - startMs > PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await delay(5);
  }
}
