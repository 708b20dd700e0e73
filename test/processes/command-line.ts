/** The command line as processes of its own, against one cluster. */
import { once } from "node:events";
import process from "node:process";
import * as assert from "uvu/assert";
import type { Client } from "../../mod.ts";
import { spawnProgram } from "../../tools/processes/self.ts";
import { TestCluster } from "../cluster/test-cluster.ts";

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** One command as a process of its own: its exit code, and what it printed. */
export async function runCommand(args: readonly string[], env = process.env): Promise<Ended> {
  const child = spawnProgram("cli/main", args, { stdio: ["ignore", "pipe", "pipe"], env });
  let out = "";
  let err = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => out += text);
  child.stderr!.setEncoding("utf8").on("data", (text: string) => err += text);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

export class CommandLine {
  readonly #test: TestCluster;

  private constructor(test: TestCluster) {
    this.#test = test;
  }

  static async start(nodes: number): Promise<CommandLine> {
    return new CommandLine(await TestCluster.start(nodes));
  }

  /** To prepare what commands find, and to look at what they left. */
  get client(): Client {
    return this.#test.client;
  }

  /** Where its nodes reach each other. */
  get peers(): { id: number; host: string; port: number }[] {
    return this.#test.cluster.nodes.map(({ nodeId: id, peerAddress }) => ({ id, ...peerAddress }));
  }

  topicWith(name: string, records: number): Promise<void> {
    return this.#test.topicWith(name, records);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#test[Symbol.asyncDispose]();
  }

  /** Its exit code, and what it printed. */
  async run(...args: string[]): Promise<Ended> {
    const at = ["--bootstrap", this.#test.cluster.bootstrap.join(",")];
    return await runCommand([...args, ...at]);
  }

  /** As `| head -1` reads it: the rest has nowhere to go. */
  async firstLine(...args: string[]): Promise<Ended> {
    const at = ["--bootstrap", this.#test.cluster.bootstrap.join(",")];
    const child = spawnProgram("cli/main", [...args, ...at], { stdio: ["ignore", "pipe", "pipe"] });
    let err = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => err += text);
    const [chunk] = await once(child.stdout!, "data") as [Buffer];
    child.stdout!.destroy();
    const [code] = await once(child, "close") as [number | null];
    return { code, out: chunk.toString().split("\n")[0]!, err };
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
