/** The client: one per process and cluster is enough; it is safe to share. */
import { isInCall, runOutside } from "../runtime/call-scope.ts";
import { createNodeRuntime } from "../runtime/node-runtime.ts";
import { AdminClient } from "./admin.ts";
import { Cluster } from "./cluster.ts";
import { Consumer } from "./consumer.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import { type Bootstrap, type ConnectOptions, parseBootstrap, settingsOf, tlsOf } from "./options.ts";
import { Cursors } from "./cursors.ts";
import { Producer, type ProducerOptions } from "./producer.ts";
import { Queue } from "./queue.ts";
import type { QueueOptions } from "./queue-options.ts";

/**
 * Connects to a cluster through any of its nodes that can be reached.
 *
 * @example
 * await using client = await connect(["127.0.0.1:7401", "127.0.0.1:7402"]);
 * await client.admin.createTopic("orders", { partitions: 16 });
 * @throws {RaftlineError} `UNAVAILABLE`, `NOT_AUTHORIZED`, `UNTRUSTED`, `INVALID_REQUEST`
 */
export async function connect(bootstrap: Bootstrap, options: ConnectOptions = {}): Promise<Client> {
  const addresses = parseBootstrap(bootstrap);
  const tls = tlsOf(options);
  const runtime = options.runtime ?? createNodeRuntime(tls && { tls });
  return new Client(await Cluster.open(runtime, addresses, settingsOf(options)));
}

export class Client {
  readonly admin: AdminClient;
  readonly #cluster: Cluster;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();
  readonly #queues = new Set<Queue>();
  #closing: Promise<void> | undefined;

  /** Made by {@link connect}. */
  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.admin = new AdminClient(cluster);
  }

  /**
   * Idempotent, acknowledged by a majority's disks, batching. Make one and share it: its batches get larger, and each has
   * buffers of its own until it is closed.
   */
  producer(options: ProducerOptions = {}): Producer {
    const producer: Producer = new Producer(this.#cluster, options, () => this.#producers.delete(producer));
    this.#producers.add(producer);
    return producer;
  }

  /** Reads by offset: alone, or as one of a group that shares the partitions. */
  consumer(options: ConsumerOptions): Consumer {
    const consumer: Consumer = new Consumer(this.#cluster, options, () => this.#consumers.delete(consumer));
    this.#consumers.add(consumer);
    return consumer;
  }

  /** The topic as a queue: its records are leased to the group's consumers one by one, and done when acknowledged. */
  queue(topic: string, options: QueueOptions): Queue {
    const queue: Queue = new Queue(this.#cluster, topic, options, () => this.#queues.delete(queue));
    this.#queues.add(queue);
    return queue;
  }

  /** A log group's committed offsets, to be read and set by hand. */
  cursors(topic: string, group: string): Cursors {
    return new Cursors(this.#cluster, topic, group);
  }

  /**
   * Flushes the producers, ends the consumers and queues, closes the connections. Within a hook of a consumer it only
   * begins: it ends when that has returned. A queue's handler that awaits it acks too late.
   * @throws {RaftlineError} of the first record that was still to be published and could not be; everything is closed then, too
   */
  close(): Promise<void> {
    const readers = [...this.#consumers, ...this.#queues];
    if (this.#closing === undefined) {
      this.#closing = runOutside(() => this.#end(readers));
      this.#closing.catch(() => {});
    }
    return readers.some(isInCall) ? Promise.resolve() : this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #end(readers: readonly (Consumer | Queue)[]): Promise<void> {
    await Promise.allSettled(readers.map((reader) => reader.close()));
    const flushed = await Promise.allSettled([...this.#producers].map((producer) => producer.close()));
    this.#cluster.close();
    for (const result of flushed) if (result.status === "rejected") throw result.reason;
  }
}
