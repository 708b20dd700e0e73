/** RabbitMQ from Debian's packages: one cluster, measured as a quorum queue and as a stream. */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../../processes/ports.ts";
import type { Peer, RunningPeer } from "./peer.ts";
import { outputOf, Program } from "./processes.ts";
import { QuorumQueue } from "./rabbitmq-queue.ts";
import { RabbitStream } from "./rabbitmq-stream.ts";

const NODES = 3;
const START_MS_MAX = 90_000;

export const rabbitmq: Peer = {
  name: "rabbitmq",
  missing: () =>
    outputOf("which", ["rabbitmq-server"]) === undefined
      ? "apt-get install --no-install-recommends rabbitmq-server"
      : undefined,
  async start(folder): Promise<RunningPeer> {
    const cluster = await RabbitCluster.start(`${folder}/rabbitmq`);
    return {
      version: cluster.version,
      pids: cluster.pids,
      systems: [new QuorumQueue(cluster.amqpPorts), new RabbitStream(cluster.streamPorts)],
      stop: () => cluster.stop(),
    };
  },
};

class RabbitCluster {
  version = "";
  readonly amqpPorts: number[];
  readonly streamPorts: number[];
  readonly #folder: string;
  readonly #ports: readonly number[];
  readonly #programs: Program[] = [];

  private constructor(folder: string, ports: readonly number[]) {
    this.#folder = folder;
    this.#ports = ports;
    this.amqpPorts = [0, 1, 2].map((node) => ports[node * 3]!);
    this.streamPorts = [0, 1, 2].map((node) => ports[node * 3 + 1]!);
  }

  static async start(folder: string): Promise<RabbitCluster> {
    fs.mkdirSync(folder, { recursive: true });
    const cluster = new RabbitCluster(folder, await freePorts(NODES * 3 + 1));
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Of the Erlang machines themselves, below the scripts that start them. */
  get pids(): number[] {
    return [1, 2, 3].map((node) => Number(fs.readFileSync(`${this.#folder}/${node}/pid`, "utf8")));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
  }

  async #start(): Promise<void> {
    const epmdPort = String(this.#ports.at(-1)!);
    const epmd = new Program(
      "epmd",
      "epmd",
      ["-port", epmdPort, "-address", "127.0.0.1"],
      {},
      `${this.#folder}/epmd.log`,
    );
    this.#programs.push(epmd);
    await epmd.listens(Number(epmdPort), START_MS_MAX);
    fs.writeFileSync(`${this.#folder}/.erlang.cookie`, "bench", { mode: 0o400 });
    // The first one alone, the others join it.
    for (let node = 1; node <= NODES; node++) {
      const program = this.#startNode(node, epmdPort);
      this.#programs.push(program);
      await program.listens(this.amqpPorts[node - 1]!, START_MS_MAX);
      await program.listens(this.streamPorts[node - 1]!, START_MS_MAX);
    }
    this.version = outputOf("dpkg-query", ["-W", "-f=${Version}", "rabbitmq-server"]) ?? "?";
    await delay(1_000);
  }

  #startNode(node: number, epmdPort: string): Program {
    const home = `${this.#folder}/${node}`;
    fs.mkdirSync(home, { recursive: true });
    fs.copyFileSync(`${this.#folder}/.erlang.cookie`, `${home}/.erlang.cookie`);
    const nodes = [1, 2, 3].map((id) => `cluster_formation.classic_config.nodes.${id} = ${this.#nodeName(id)}`);
    const config = [
      `listeners.tcp.1 = 127.0.0.1:${this.amqpPorts[node - 1]}`,
      `stream.listeners.tcp.1 = 127.0.0.1:${this.streamPorts[node - 1]}`,
      "stream.advertised_host = 127.0.0.1",
      `stream.advertised_port = ${this.streamPorts[node - 1]}`,
      "cluster_formation.peer_discovery_backend = classic_config",
      ...nodes,
      "disk_free_limit.absolute = 100MB",
      "vm_memory_high_watermark.absolute = 4GB",
    ];
    fs.writeFileSync(`${home}/rabbitmq.conf`, `${config.join("\n")}\n`);
    fs.writeFileSync(`${home}/enabled_plugins`, "[rabbitmq_stream].\n");
    const env = {
      HOME: home,
      RABBITMQ_NODENAME: this.#nodeName(node),
      RABBITMQ_DIST_PORT: String(this.#ports[(node - 1) * 3 + 2]!),
      RABBITMQ_CONFIG_FILE: `${home}/rabbitmq.conf`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${home}/enabled_plugins`,
      RABBITMQ_MNESIA_BASE: `${home}/data`,
      RABBITMQ_LOG_BASE: `${home}/log`,
      RABBITMQ_PID_FILE: `${home}/pid`,
      ERL_EPMD_PORT: epmdPort,
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    };
    const script = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    return new Program(`RabbitMQ node ${node}`, script, [], env, `${home}/out.log`);
  }

  #nodeName(node: number): string {
    return `raftline_bench_${this.#ports[0]}_${node}@localhost`;
  }
}
