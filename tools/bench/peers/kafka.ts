/**
 * Kafka in KRaft mode, where `KAFKA_HOME` names an unpacked distribution: acks=all, which waits for memory; and with a
 * flush at every message, which waits for disks.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { Admin, Kafka } from "kafkajs";
import { freePorts } from "../../processes/ports.ts";
import type { Peer, PeerPublisher, PeerSystem, PublisherOptions, RunningPeer } from "./peer.ts";
import { outputOf, Program } from "./processes.ts";

const NODES = 3;
const START_MS_MAX = 60_000;
const UNIT_RECORDS = 1_000;
const UNITS_IN_FLIGHT = 4;
const SETTLE_MS = 1_000;
/** What a fetch that finds nothing waits for; kafkajs waits for such a fetch before it disconnects. */
const FETCH_WAIT_MS = 100;
const HEAP = "-Xmx512m";

export const kafka: Peer = {
  name: "kafka",
  missing() {
    if (process.env.KAFKA_HOME === undefined) return "set KAFKA_HOME to an unpacked Kafka (3.3 or later)";
    return outputOf("which", ["java"]) === undefined
      ? "apt-get install --no-install-recommends default-jre-headless"
      : undefined;
  },
  async start(folder): Promise<RunningPeer> {
    const ports = await freePorts(NODES * 2);
    const programs: Program[] = [];
    const stop = async () => {
      await Promise.all(programs.map((program) => program.stop()));
    };
    try {
      const clusterId = randomBytes(16).toString("base64url");
      for (let node = 1; node <= NODES; node++) programs.push(startNode(`${folder}/kafka`, node, ports, clusterId));
      for (const [at, program] of programs.entries()) await program.listens(ports[at * 2]!, START_MS_MAX);
      const { Kafka, logLevel } = await import("kafkajs");
      const brokers = [0, 1, 2].map((at) => `127.0.0.1:${ports[at * 2]}`);
      const client = new Kafka({ clientId: "bench", brokers, logLevel: logLevel.NOTHING, retry: { retries: 12 } });
      return {
        version: versionOf(`${process.env.KAFKA_HOME}/libs`),
        pids: programs.map(({ pid }) => pid),
        systems: [new KafkaSystem(client, false), new KafkaSystem(client, true)],
        stop,
      };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

function startNode(folder: string, node: number, ports: readonly number[], clusterId: string): Program {
  const home = `${folder}/${node}`;
  fs.mkdirSync(home, { recursive: true });
  const voters = [1, 2, 3].map((id) => `${id}@127.0.0.1:${ports[(id - 1) * 2 + 1]}`);
  const client = `PLAINTEXT://127.0.0.1:${ports[(node - 1) * 2]}`;
  const properties = [
    "process.roles=broker,controller",
    `node.id=${node}`,
    `controller.quorum.voters=${voters.join(",")}`,
    `listeners=${client},CONTROLLER://127.0.0.1:${ports[(node - 1) * 2 + 1]}`,
    `advertised.listeners=${client}`,
    "controller.listener.names=CONTROLLER",
    `log.dirs=${home}/data`,
    "default.replication.factor=3",
    "min.insync.replicas=2",
    "offsets.topic.replication.factor=3",
    "group.initial.rebalance.delay.ms=0",
  ];
  const file = `${home}/server.properties`;
  fs.writeFileSync(file, `${properties.join("\n")}\n`);
  const java = [HEAP, "-cp", `${process.env.KAFKA_HOME}/libs/*`];
  if (outputOf("java", [...java, "kafka.tools.StorageTool", "format", "-t", clusterId, "-c", file]) === undefined) {
    throw new Error(`Kafka's storage cannot be formatted: is ${process.env.KAFKA_HOME} a Kafka?`);
  }
  return new Program(`Kafka node ${node}`, "java", [...java, "kafka.Kafka", file], {}, `${home}/out.log`);
}

function versionOf(libs: string): string {
  return fs.readdirSync(libs).map((name) => /^kafka_[\d.]+-([\d.]+)\.jar$/.exec(name)?.[1]).find(Boolean) ?? "?";
}

class KafkaSystem implements PeerSystem {
  readonly system: string;
  readonly fsyncBeforeAck: boolean;
  readonly #client: Kafka;
  #topic = "";
  #made = 0;

  constructor(client: Kafka, flush: boolean) {
    this.#client = client;
    this.fsyncBeforeAck = flush;
    this.system = flush ? "Kafka, flush.messages=1" : "Kafka, acks=all";
  }

  async prepare(count: number): Promise<void> {
    const admin = this.#client.admin();
    await admin.connect();
    if (this.#topic !== "") await admin.deleteTopics({ topics: [this.#topic] });
    this.#topic = `bench-${this.fsyncBeforeAck ? "flush-" : ""}${++this.#made}`;
    const configEntries = this.fsyncBeforeAck ? [{ name: "flush.messages", value: "1" }] : [];
    await admin.createTopics({
      // Asked too early, kafkajs fails for good: see #whenServed.
      waitForLeaders: false,
      topics: [{ topic: this.#topic, numPartitions: count, replicationFactor: 3, configEntries }],
    });
    await this.#whenServed(admin, count);
    await admin.disconnect();
  }

  /** A new topic's brokers do not know of it at once, whatever its creator was told. */
  async #whenServed(admin: Admin, count: number): Promise<void> {
    const deadlineMs = performance.now() + START_MS_MAX;
    while (performance.now() < deadlineMs) {
      await delay(SETTLE_MS);
      const offsets = await admin.fetchTopicOffsets(this.#topic).catch(() => []);
      if (offsets.length === count) return;
    }
    throw new Error(`Kafka does not serve the ${count} partitions of a new topic`);
  }

  async publisher({ recordBytes, purpose }: PublisherOptions): Promise<PeerPublisher> {
    const producer = this.#client.producer({ maxInFlightRequests: 8, allowAutoTopicCreation: false });
    await producer.connect();
    const value = Buffer.alloc(recordBytes, 120);
    const unitRecords = purpose === "latency" ? 1 : UNIT_RECORDS;
    const topic = this.#topic;
    return {
      unitRecords,
      unitsInFlight: UNITS_IN_FLIGHT,
      send: (partition, acked) => {
        const messages = Array.from({ length: unitRecords }, () => ({ value, partition }));
        producer.send({ topic, messages, acks: -1 }).then(acked, () => {});
      },
      close: () => producer.disconnect(),
    };
  }

  async drain(records: number): Promise<void> {
    const consumer = this.#client.consumer({
      groupId: `bench-${process.pid}-${this.#topic}`,
      maxBytesPerPartition: 8 * 1024 * 1024,
      maxWaitTimeInMs: FETCH_WAIT_MS,
    });
    await consumer.connect();
    await consumer.subscribe({ topic: this.#topic, fromBeginning: true });
    let count = 0;
    await new Promise<void>((resolve, reject) => {
      consumer.run({
        eachBatch: ({ batch }) => {
          count += batch.messages.length;
          if (count >= records) resolve();
          return Promise.resolve();
        },
      }).catch(reject);
    });
    await consumer.disconnect();
  }
}
