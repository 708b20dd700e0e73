/** Streams over their own protocol, in sub-batches: acknowledged by a majority's memory, not fsynced. */
import type { Client, Publisher } from "rabbitmq-stream-js-client";
import type { PeerPublisher, PeerSystem, PublisherOptions } from "./peer.ts";

const SUB_BATCH_RECORDS = 100;
const SUB_BATCHES_IN_FLIGHT = 64;

export class RabbitStream implements PeerSystem {
  readonly system = "RabbitMQ stream";
  readonly fsyncBeforeAck = false;
  readonly #ports: readonly number[];
  #streams: string[] = [];
  #made = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  async prepare(count: number): Promise<void> {
    const client = await this.#connect();
    for (const stream of this.#streams) await client.deleteStream({ stream });
    this.#streams = Array.from({ length: count }, () => `bench-stream-${++this.#made}`);
    for (const stream of this.#streams) await client.createStream({ stream });
    await client.close();
  }

  async publisher({ recordBytes, purpose }: PublisherOptions): Promise<PeerPublisher> {
    const client = await this.#connect();
    const content = Buffer.alloc(recordBytes, 120);
    // Its own consumer does not take sub-batches apart.
    const inSubBatches = purpose === "rate";
    const messages = Array.from({ length: SUB_BATCH_RECORDS }, () => ({ content }));
    const lanes: Lane[] = [];
    // Each has a client of its own: confirms are told per connection.
    const clients = [client];
    for (const stream of this.#streams) {
      if (lanes.length > 0) clients.push(await this.#connect());
      const publisher = await clients.at(-1)!.declarePublisher({
        stream,
        maxChunkLength: purpose === "latency" ? 1 : SUB_BATCH_RECORDS,
      });
      lanes.push(new Lane(publisher));
    }
    return {
      unitRecords: inSubBatches ? SUB_BATCH_RECORDS : 1,
      unitsInFlight: inSubBatches ? SUB_BATCHES_IN_FLIGHT : SUB_BATCHES_IN_FLIGHT * SUB_BATCH_RECORDS,
      send: (topic, acked) => {
        const { publisher, waiting } = lanes[topic]!;
        waiting.push(acked);
        void (inSubBatches ? publisher.sendSubEntries(messages) : publisher.send(content));
      },
      async close() {
        for (const one of clients) await one.close();
      },
    };
  }

  async drain(records: number): Promise<void> {
    const { Offset } = await import("rabbitmq-stream-js-client");
    const client = await this.#connect();
    let count = 0;
    await new Promise<void>((resolve, reject) => {
      client.declareConsumer({ stream: this.#streams[0]!, offset: Offset.first() }, () => {
        count += 1;
        if (count === records) resolve();
      }).catch(reject);
    });
    await client.close();
  }

  async #connect(): Promise<Client> {
    const { connect } = await import("rabbitmq-stream-js-client");
    const { Connection } = await import("rabbitmq-stream-js-client/dist/connection.js");
    // The client asks for the versions of commands as it connects; servers before 3.11 close the connection for it.
    Object.defineProperty(Connection.prototype, "exchangeCommandVersions", { value: () => Promise.resolve() });
    return await connect({
      hostname: "127.0.0.1",
      port: this.#ports[0]!,
      username: "guest",
      password: "guest",
      vhost: "/",
    });
  }
}

/** Confirms come in the order of sending. */
class Lane {
  readonly publisher: Publisher;
  readonly waiting: (() => void)[] = [];

  constructor(publisher: Publisher) {
    this.publisher = publisher;
    publisher.on("publish_confirm", (error, ids) => {
      if (error) return;
      for (const acked of this.waiting.splice(0, ids.length)) acked();
    });
  }
}
