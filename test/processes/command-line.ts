/** The command line as processes of its own, against one cluster. */
import * as assert from "uvu/assert";
import { type Client, connect, startCluster } from "../../mod.ts";
import { spawnProgram } from "../../tools/processes/self.ts";

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

type Cluster = Awaited<ReturnType<typeof startCluster>>;

export class CommandLine {
  /** To prepare what commands find, and to look at what they left. */
  readonly client: Client;
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster, client: Client) {
    this.#cluster = cluster;
    this.client = client;
  }

  static async start(nodes: number): Promise<CommandLine> {
    const cluster = await startCluster({ nodes });
    return new CommandLine(cluster, await connect(cluster.bootstrap));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.#cluster.stop();
  }

  /** A topic of one partition and one replica, with so many records: keys k0 and k1 in turn, their numbers as values. */
  async topicWith(name: string, records: number): Promise<void> {
    await this.client.admin.createTopic(name, { replicas: 1, partitions: 1 });
    const values = Array.from({ length: records }, (_, i) => ({ key: `k${i % 2}`, value: `${i}` }));
    await this.client.producer().sendAll(name, values);
  }

  /** Its exit code, and what it printed. */
  async run(...args: string[]): Promise<Ended> {
    const at = ["--bootstrap", this.#cluster.bootstrap.join(",")];
    const child = spawnProgram("cli/main", [...args, ...at], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => out += text);
    child.stderr!.setEncoding("utf8").on("data", (text: string) => err += text);
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, out, err };
  }

  /** The one JSON document of a command that succeeds: rows. */
  async json(...args: string[]): Promise<Record<string, unknown>[]> {
    const { code, out, err } = await this.run(...args, "--json");
    assert.is(code, 0, out + err);
    return JSON.parse(out);
  }

  /** Runs command lines that fail, and holds the codes against those given; so do the exit codes say. */
  async fail(...lines: readonly (readonly [code: string, ...args: string[]])[]): Promise<void> {
    const ended = await Promise.all(lines.map(([, ...args]) => this.run(...args, "--json")));
    lines.forEach(([wanted, ...args], i) => {
      const { code, out } = ended[i]!;
      const { error } = JSON.parse(out);
      assert.is(error.code, wanted, args.join(" "));
      assert.ok(error.message.length > 10, "a message that a person understands");
      assert.is(code, wanted === "USAGE" ? 2 : 1, args.join(" "));
    });
  }
}
