import fs from "node:fs";
import { type Client, connect } from "../../../src/client/client.ts";
import { NodeProcesses } from "../../processes/node-processes.ts";
import type { Peer, PeerPublisher, PeerSystem, PublisherOptions, RunningPeer } from "./peer.ts";

const UNIT_RECORDS = 1_000;
const UNITS_IN_FLIGHT = 64;

export const raftline: Peer = {
  name: "raftline",
  missing: () => undefined,
  async start(folder): Promise<RunningPeer> {
    const processes = await NodeProcesses.start({ folder: `${folder}/raftline`, logLevel: "error" });
    const client = await connect(processes.bootstrap());
    const { version } = JSON.parse(fs.readFileSync(packageFile(), "utf8")) as { version: string };
    return {
      version,
      pids: processes.ids.map((id) => processes.pidOf(id)!),
      systems: [new RaftlineSystem(client)],
      async stop() {
        await client.close();
        await processes.stop();
      },
    };
  },
};

/** Next to the sources, or one folder above dist/. */
function packageFile(): URL {
  const beside = new URL("../../../package.json", import.meta.url);
  return fs.existsSync(beside) ? beside : new URL("../../../../package.json", import.meta.url);
}

class RaftlineSystem implements PeerSystem {
  readonly system = "Raftline";
  readonly fsyncBeforeAck = true;
  readonly #client: Client;
  #topic = "";
  #topics = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  async prepare(count: number): Promise<void> {
    if (this.#topic !== "") await this.#client.admin.deleteTopic(this.#topic);
    this.#topic = `bench-${++this.#topics}`;
    await this.#client.admin.createTopic(this.#topic, { partitions: count, replicas: 3 });
  }

  publisher({ recordBytes, purpose }: PublisherOptions): Promise<PeerPublisher> {
    const producer = this.#client.producer();
    const value = new Uint8Array(recordBytes).fill(120);
    const topic = this.#topic;
    const close = () => producer.close();
    if (purpose === "latency") {
      const send = (partition: number, acked: () => void) => {
        producer.enqueue(topic, { value, partition }, (error) => {
          if (!error) acked();
        });
      };
      return Promise.resolve({ unitRecords: 1, unitsInFlight: 1, send, close });
    }
    const unitOf = (partition: number) => Array.from({ length: UNIT_RECORDS }, () => ({ value, partition }));
    const units = new Map<number, ReturnType<typeof unitOf>>();
    const send = (partition: number, acked: () => void) => {
      let unit = units.get(partition);
      if (unit === undefined) units.set(partition, unit = unitOf(partition));
      void producer.sendAll(topic, unit).then(acked);
    };
    return Promise.resolve({ unitRecords: UNIT_RECORDS, unitsInFlight: UNITS_IN_FLIGHT, send, close });
  }

  async drain(records: number): Promise<void> {
    let count = 0;
    for await (const record of this.#client.consumer({ topics: [this.#topic], from: "earliest" })) {
      if (record.value.length > 0) count += 1;
      if (count >= records) return;
    }
  }
}
