import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as raftline from "../../mod.ts";
import type {
  Address,
  AdminClient,
  BatchReader,
  Bootstrap,
  Bytes,
  Client,
  Cluster,
  ClusterDescription,
  CommitPart,
  ConnectOptions,
  Consumer,
  ConsumerBatch,
  ConsumerOptions,
  ConsumerRecord,
  Cursor,
  Cursors,
  ErrorCode,
  From,
  GroupInPartition,
  GroupOptions,
  GroupPlace,
  GroupPlaceDescription,
  GroupResetOptions,
  Headers,
  NackOptions,
  NodeDescription,
  PartitionDescription,
  Producer,
  ProducerOptions,
  ProducerRecord,
  Queue,
  QueueMessage,
  QueueOptions,
  RecordCallback,
  RecordHeaders,
  RecordPlace,
  Retention,
  RunOptions,
  TlsMaterial,
  TopicChanges,
  TopicDescription,
  TopicOptions,
  TopicPartition,
  TopicSummary,
  TrimmedGap,
} from "../../mod.ts";

/** What users have in their hands has a name that they can import: this compiles, or `npm run types` fails. */
class Service {
  readonly client: Client;
  readonly admin: AdminClient;
  readonly producer: Producer;
  readonly consumer: Consumer;
  readonly queue: Queue;
  readonly cursors: Cursors;

  constructor(client: Client, reading: ConsumerOptions, queueing: QueueOptions, producing: ProducerOptions) {
    this.client = client;
    this.admin = client.admin;
    this.producer = client.producer(producing);
    this.consumer = client.consumer(reading);
    this.queue = client.queue("orders", queueing);
    this.cursors = client.cursors("orders", "stock");
  }

  static async open(at: Bootstrap | Address, options: ConnectOptions & { tls: TlsMaterial }): Promise<Service> {
    return new Service(await raftline.connect(at, options), { topics: ["orders"] }, { group: "mail" }, {});
  }

  async publish(value: Bytes, headers: Headers, told: RecordCallback): Promise<RecordPlace> {
    const record: ProducerRecord = { value, headers };
    this.producer.enqueue("orders", record, told);
    return await this.producer.send("orders", record);
  }

  async describe(options: TopicOptions, changes: TopicChanges, to: GroupPlace): Promise<Retention> {
    const topic: TopicDescription = await this.admin.createTopic("orders", options);
    const [summary]: TopicSummary[] = await this.admin.listTopics();
    const partitions: readonly PartitionDescription[] = topic.partitions;
    const cluster: ClusterDescription = await this.admin.describeCluster();
    const nodes: readonly NodeDescription[] = cluster.nodes;
    const groups: GroupInPartition[] = await this.admin.listGroups(summary!.name);
    const places: GroupPlaceDescription[] = await this.admin.describeGroup("orders", "stock");
    const reset: GroupResetOptions = { to };
    if (partitions.length + nodes.length + groups.length + places.length > 0) {
      await this.admin.resetGroup("orders", "stock", reset);
    }
    return (await this.admin.alterTopic("orders", changes)).retention;
  }

  async work(handler: (message: QueueMessage) => Promise<void>, options: RunOptions, again: NackOptions) {
    await this.queue.run(handler, options);
    await this.queue.nackAll([], again);
  }

  async read(batch: ConsumerBatch, from: From, group: GroupOptions): Promise<RecordHeaders | undefined> {
    const [record]: ConsumerRecord[] = batch.records();
    const reader: BatchReader = batch.cursor();
    const [place]: TopicPartition[] = this.consumer.assignment();
    const [cursor]: Cursor[] = await this.cursors.read([place!.partition]);
    const part: CommitPart = { partition: cursor!.partition, offset: reader.offset };
    await this.cursors.commit([part]);
    const onTrimmed = ({ toOffset }: TrimmedGap) => assert.ok(toOffset);
    this.client.consumer({ topics: ["orders"], from, onTrimmed, ...group });
    return record?.headers;
  }
}

function isGone(error: unknown): boolean {
  const gone: ErrorCode = "UNKNOWN_TOPIC";
  return error instanceof raftline.RaftlineError && error.code === gone;
}

const types = suite("the public names");

types("are there, and the errors among them are classes", async () => {
  const cluster: Pick<Cluster, "bootstrap"> = { bootstrap: ["127.0.0.1:1"] };
  assert.is(typeof Service.open, "function");
  const error = await raftline.connect(cluster.bootstrap, { connectTimeoutMs: 0 }).catch((reason: unknown) => reason);
  assert.instance(error, raftline.RaftlineError);
  assert.is(isGone(error), false);
  for (const one of [raftline.RecordsError, raftline.ConfigError, raftline.NodeError]) {
    assert.instance(one.prototype, Error);
  }
});

types.run();
