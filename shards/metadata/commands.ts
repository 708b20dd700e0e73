/** The commands of the metadata log, and what applying each does. Deterministic: state and command alone decide. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { NodeId } from "../../src/raft/types.ts";
import { Entry, EntryKind } from "../../src/records/entry.ts";
import type { Retention, TopicChanges } from "../../src/wire/admin-commands.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { holdersOf, type MetadataState, type NodeRecord, type PartitionRecord, type TopicRecord } from "./state.ts";

export interface CreateTopic {
  readonly type: "createTopic";
  readonly name: string;
  readonly retention: Retention;
  readonly recordBytesMax: number;
  /** Replicas by partition, chosen by the leader when it proposed. */
  readonly placement: readonly (readonly NodeId[])[];
}

export interface DeleteTopic {
  readonly type: "deleteTopic";
  readonly name: string;
}

export interface AlterTopic {
  readonly type: "alterTopic";
  readonly name: string;
  readonly changes: TopicChanges;
}

export interface RegisterNode {
  readonly type: "registerNode";
  readonly node: NodeRecord;
}

/** Where a partition's replicas shall be; its leader sees to it, and says when it is done. */
export interface MoveReplicas {
  readonly type: "moveReplicas";
  readonly name: string;
  readonly partition: number;
  /** The first one is where the leader should be. */
  readonly replicas: readonly NodeId[];
}

/** The partition's Raft group has these members, and nobody else's vote is needed any more. */
export interface FinishMove {
  readonly type: "finishMove";
  readonly shard: number;
  readonly replicas: readonly NodeId[];
}

export interface AllocateProducerIds {
  readonly type: "allocateProducerIds";
  readonly count: number;
}

export type MetadataCommand =
  | CreateTopic
  | DeleteTopic
  | AlterTopic
  | MoveReplicas
  | FinishMove
  | RegisterNode
  | AllocateProducerIds;

/** What a command gave; a refusal changed nothing. Plain data: it travels to the node that forwarded the command. */
export type CommandResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

export function encodeCommand(command: MetadataCommand): Entry {
  return Entry.create({ kind: EntryKind.command, payload: encoder.encode(command) });
}

/** Only for payloads that a leader made by {@link encodeCommand} and whose checksum matched. */
export function decodeCommand(entry: Entry): MetadataCommand {
  return decoder.decode(entry.payload) as MetadataCommand;
}

export function applyCommand(state: MetadataState, command: MetadataCommand): CommandResult {
  switch (command.type) {
    case "createTopic":
      return createTopic(state, command);
    case "deleteTopic":
      return deleteTopic(state, command);
    case "alterTopic":
      return alterTopic(state, command);
    case "moveReplicas":
      return moveReplicas(state, command);
    case "finishMove":
      return finishMove(state, command);
    case "registerNode":
      state.nodes.set(command.node.id, command.node);
      return { ok: true, value: {} };
    case "allocateProducerIds": {
      const first = state.nextProducerId;
      state.nextProducerId += command.count;
      return { ok: true, value: { first, count: command.count } };
    }
  }
}

function createTopic(state: MetadataState, command: CreateTopic): CommandResult {
  const { name, placement, retention, recordBytesMax } = command;
  if (state.topics.has(name)) {
    return { ok: false, code: "ALREADY_EXISTS", message: `the topic "${name}" exists already` };
  }
  const partitions: PartitionRecord[] = placement.map((replicas) => ({
    shard: state.nextShard++,
    initial: replicas,
    replicas,
    target: [],
  }));
  const topic: TopicRecord = {
    name,
    topicId: state.nextTopicId++,
    replicas: placement[0]!.length,
    retention,
    recordBytesMax,
    partitions,
  };
  state.addTopic(topic);
  return { ok: true, value: { topicId: topic.topicId } };
}

function deleteTopic(state: MetadataState, { name }: DeleteTopic): CommandResult {
  const topic = state.topics.get(name);
  if (!topic) return unknownTopic(name);
  state.removeTopic(topic);
  return { ok: true, value: {} };
}

function alterTopic(state: MetadataState, { name, changes }: AlterTopic): CommandResult {
  const topic = state.topics.get(name);
  if (!topic) return unknownTopic(name);
  state.addTopic({
    ...topic,
    retention: { ...topic.retention, ...changes.retention },
    recordBytesMax: changes.recordBytesMax ?? topic.recordBytesMax,
  });
  return { ok: true, value: {} };
}

function moveReplicas(state: MetadataState, { name, partition, replicas }: MoveReplicas): CommandResult {
  const topic = state.topics.get(name);
  if (!topic) return unknownTopic(name);
  const record = topic.partitions[partition];
  if (!record) {
    const message = `the topic "${name}" has ${topic.partitions.length} partitions: there is no partition ${partition}`;
    return { ok: false, code: "UNKNOWN_PARTITION", message };
  }
  const strangers = replicas.filter((node) => !state.nodes.has(node));
  if (strangers.length > 0) {
    return { ok: false, code: "UNKNOWN_NODE", message: `there is no node ${strangers.join(", ")} in this cluster` };
  }
  if (new Set(replicas).size !== replicas.length) {
    return { ok: false, code: "INVALID_REQUEST", message: `a node can hold one replica: ${replicas.join(", ")}` };
  }
  const { target, passed = [] } = record;
  const isAsked = replicas.join() === (target.length > 0 ? target : record.replicas).join();
  // Also to the present replicas: a move that has begun is taken back by another.
  if (!isAsked) {
    replacePartition(state, topic, { ...record, target: replicas, passed: [...new Set([...passed, ...target])] });
  }
  return { ok: true, value: {} };
}

/** Not if another target was set since. */
function finishMove(state: MetadataState, { shard, replicas }: FinishMove): CommandResult {
  const record = state.moving.get(shard);
  const topic = state.topicOfShard.get(shard);
  if (record && topic && record.target.join() === replicas.join()) {
    const leaving = [...holdersOf(record)].filter((node) => !replicas.includes(node));
    const left = [...new Set([...record.left ?? [], ...leaving])];
    replacePartition(state, topic, { ...record, replicas, target: [], passed: [], left });
  }
  return { ok: true, value: {} };
}

function replacePartition(state: MetadataState, topic: TopicRecord, record: PartitionRecord): void {
  const partitions = topic.partitions.map((partition) => partition.shard === record.shard ? record : partition);
  state.addTopic({ ...topic, partitions });
}

function unknownTopic(name: string): CommandResult {
  return { ok: false, code: "UNKNOWN_TOPIC", message: `there is no topic "${name}"` };
}
