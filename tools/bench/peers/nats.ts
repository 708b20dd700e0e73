/** NATS JetStream from Debian's package: R3, file storage, published with plain requests and a window. */
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { freePorts } from "../../processes/ports.ts";
import type { Peer, PeerPublisher, PeerSystem, PublisherOptions, RunningPeer } from "./peer.ts";
import { outputOf, Program } from "./processes.ts";

const NODES = 3;
const START_MS_MAX = 30_000;
const META_MS_MAX = 30_000;
const IN_FLIGHT_RECORDS = 2_000;
const FETCH_RECORDS = 5_000;

export const nats: Peer = {
  name: "nats",
  missing: () =>
    outputOf("which", ["nats-server"]) === undefined
      ? "apt-get install --no-install-recommends nats-server"
      : undefined,
  async start(folder): Promise<RunningPeer> {
    const ports = await freePorts(NODES * 2);
    const programs: Program[] = [];
    const stop = async () => {
      await Promise.all(programs.map((program) => program.stop()));
    };
    try {
      for (let node = 1; node <= NODES; node++) programs.push(startNode(`${folder}/nats`, node, ports));
      for (const [at, program] of programs.entries()) await program.listens(ports[at * 2]!, START_MS_MAX);
      const system = new JetStream(ports[0]!);
      await system.whenReady();
      return {
        version: outputOf("nats-server", ["--version"])?.replace(/^.*v/, "") ?? "?",
        pids: programs.map(({ pid }) => pid),
        systems: [system],
        stop,
      };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

function startNode(folder: string, node: number, ports: readonly number[]): Program {
  const home = `${folder}/${node}`;
  fs.mkdirSync(home, { recursive: true });
  const routes = [1, 2, 3].map((other) => `nats://127.0.0.1:${ports[(other - 1) * 2 + 1]}`);
  const config = `
server_name: bench-${node}
listen: 127.0.0.1:${ports[(node - 1) * 2]}
jetstream { store_dir: "${home}/data", max_file_store: 20G }
cluster { name: bench, listen: 127.0.0.1:${ports[(node - 1) * 2 + 1]}, routes: [${routes.join(", ")}] }
`;
  fs.writeFileSync(`${home}/nats.conf`, config);
  return new Program(`NATS node ${node}`, "nats-server", ["-c", `${home}/nats.conf`], {}, `${home}/out.log`);
}

class JetStream implements PeerSystem {
  readonly system = "NATS JetStream R3 file";
  readonly fsyncBeforeAck = false;
  readonly #port: number;
  #streams: string[] = [];
  #made = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** It listens before its metadata has a leader. */
  async whenReady(): Promise<void> {
    const deadlineMs = performance.now() + META_MS_MAX;
    for (;;) {
      try {
        await this.prepare(1);
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await delay(500);
      }
    }
  }

  async prepare(count: number): Promise<void> {
    await this.#manage(async (manager) => {
      for (const stream of this.#streams) await manager.streams.delete(stream);
      this.#streams = [];
      for (let i = 0; i < count; i++) {
        const name = `bench-${++this.#made}`;
        await manager.streams.add({ name, subjects: [name], num_replicas: 3, storage: "file" });
        this.#streams.push(name);
      }
    });
  }

  async publisher({ recordBytes }: PublisherOptions): Promise<PeerPublisher> {
    const connection = await this.#connect();
    const payload = new Uint8Array(recordBytes).fill(120);
    return {
      unitRecords: 1,
      unitsInFlight: Math.ceil(IN_FLIGHT_RECORDS / this.#streams.length),
      send: (topic, acked) => {
        // A plain request is cheaper than the client's publish, which parses the acknowledgement.
        connection.request(this.#streams[topic]!, payload, { timeout: 30_000 }).then(acked, () => {});
      },
      close: () => connection.close(),
    };
  }

  async drain(records: number): Promise<void> {
    const { jetstream } = await import("@nats-io/jetstream");
    const connection = await this.#connect();
    const consumer = await jetstream(connection).consumers.get(this.#streams[0]!);
    let count = 0;
    const messages = await consumer.consume({ max_messages: FETCH_RECORDS });
    for await (const _message of messages) if (++count >= records) break;
    await connection.close();
  }

  async #manage(work: (manager: JetStreamManager) => Promise<void>): Promise<void> {
    const { jetstreamManager } = await import("@nats-io/jetstream");
    const connection = await this.#connect();
    try {
      await work(await jetstreamManager(connection));
    } finally {
      await connection.close();
    }
  }

  async #connect(): Promise<NatsConnection> {
    const { connect } = await import("@nats-io/transport-node");
    return await connect({ servers: `127.0.0.1:${this.#port}` });
  }
}
