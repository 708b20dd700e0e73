/** Quorum queues over AMQP 0-9-1: fsynced by a majority before the confirm. */
import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import type { PeerPublisher, PeerSystem, PublisherOptions } from "./peer.ts";

const IN_FLIGHT_RECORDS = 2_000;
const PREFETCH = 2_000;
const ACK_EVERY = 500;

export class QuorumQueue implements PeerSystem {
  readonly system = "RabbitMQ quorum queue";
  readonly fsyncBeforeAck = true;
  readonly #ports: readonly number[];
  #queues: string[] = [];
  #made = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  async prepare(count: number): Promise<void> {
    const connection = await this.#connect();
    const channel = await connection.createChannel();
    for (const queue of this.#queues) await channel.deleteQueue(queue);
    this.#queues = Array.from({ length: count }, () => `bench-${++this.#made}`);
    for (const queue of this.#queues) {
      const options = { durable: true, arguments: { "x-queue-type": "quorum", "x-quorum-initial-group-size": 3 } };
      await channel.assertQueue(queue, options);
    }
    await connection.close();
  }

  async publisher({ recordBytes }: PublisherOptions): Promise<PeerPublisher> {
    const connection = await this.#connect();
    const channels: ConfirmChannel[] = [];
    for (const _queue of this.#queues) channels.push(await connection.createConfirmChannel());
    const content = Buffer.alloc(recordBytes, 120);
    return {
      unitRecords: 1,
      unitsInFlight: Math.ceil(IN_FLIGHT_RECORDS / this.#queues.length),
      send: (topic, acked) => {
        channels[topic]!.sendToQueue(this.#queues[topic]!, content, { persistent: true }, (error: unknown) => {
          if (!error) acked();
        });
      },
      close: () => connection.close(),
    };
  }

  async drain(records: number): Promise<void> {
    const connection = await this.#connect();
    const channel: Channel = await connection.createChannel();
    await channel.prefetch(PREFETCH);
    let count = 0;
    await new Promise<void>((resolve) => {
      void channel.consume(this.#queues[0]!, (message) => {
        if (message === null) return;
        count += 1;
        if (count % ACK_EVERY === 0 || count === records) channel.ack(message, true);
        if (count === records) resolve();
      });
    });
    await connection.close();
  }

  async #connect(): Promise<ChannelModel> {
    const { connect } = await import("amqplib");
    return await connect(`amqp://guest:guest@127.0.0.1:${this.#ports[0]}`, { noDelay: true });
  }
}
