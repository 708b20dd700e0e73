/** The commands of the metadata log, and what applying each does. Deterministic: state and command alone decide. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { NodeId } from "../../src/raft/types.ts";
import { Entry, EntryKind } from "../../src/records/entry.ts";
import type { Retention, TopicChanges } from "../../src/wire/admin-commands.ts";
import type { CommandResult } from "./command-result.ts";
import {
  type AddNode,
  addNode,
  type DrainNode,
  drainNode,
  type RegisterNode,
  registerNode,
  type RemoveNode,
  removeNode,
} from "./node-commands.ts";
import { holdersOf, type MetadataState, type PartitionRecord, type TopicRecord } from "./state.ts";

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
  readonly changes: Omit<TopicChanges, "partitions">;
  /** Partitions behind those that there were when the leader chose where they go. */
  readonly more?: { readonly behind: number; readonly placement: readonly (readonly NodeId[])[] };
}

/** Several moves, chosen by the leader when it proposed; those that make no sense any more are passed over. */
export interface MoveShards {
  readonly type: "moveShards";
  readonly moves: readonly { readonly shard: number; readonly replicas: readonly NodeId[] }[];
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
  | MoveShards
  | RegisterNode
  | AddNode
  | RemoveNode
  | DrainNode
  | AllocateProducerIds;

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
    case "moveShards":
      return moveShards(state, command);
    case "registerNode":
      return registerNode(state, command);
    case "addNode":
      return addNode(state, command);
    case "removeNode":
      return removeNode(state, command);
    case "drainNode":
      return drainNode(state, command);
    case "allocateProducerIds": {
      const first = state.nextProducerId;
      state.nextProducerId += command.count;
      return { ok: true, value: { first, count: command.count } };
    }
  }
}

function newPartitions(state: MetadataState, placement: readonly (readonly NodeId[])[]): PartitionRecord[] {
  return placement.map((replicas) => ({ shard: state.nextShard++, initial: replicas, replicas, target: [] }));
}

function createTopic(state: MetadataState, command: CreateTopic): CommandResult {
  const { name, placement, retention, recordBytesMax } = command;
  if (state.topics.has(name)) {
    return { ok: false, code: "ALREADY_EXISTS", message: `the topic "${name}" exists already` };
  }
  const partitions = newPartitions(state, placement);
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

function alterTopic(state: MetadataState, { name, changes, more }: AlterTopic): CommandResult {
  const topic = state.topics.get(name);
  if (!topic) return unknownTopic(name);
  const { length } = topic.partitions;
  if (more && more.behind !== length) {
    const message =
      `the topic "${name}" has ${length} partitions, and not ${more.behind}: somebody else has added some`;
    return { ok: false, code: "INVALID_REQUEST", message };
  }
  state.addTopic({
    ...topic,
    retention: { ...topic.retention, ...changes.retention },
    recordBytesMax: changes.recordBytesMax ?? topic.recordBytesMax,
    partitions: [...topic.partitions, ...newPartitions(state, more?.placement ?? [])],
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
  const drained = replicas.find((node) => state.draining.has(node) && !record.replicas.includes(node));
  if (drained !== undefined) {
    return { ok: false, code: "INVALID_REQUEST", message: `node ${drained} is being drained: it is given nothing` };
  }
  if (new Set(replicas).size !== replicas.length) {
    return { ok: false, code: "INVALID_REQUEST", message: `a node can hold one replica: ${replicas.join(", ")}` };
  }
  retarget(state, topic, record, replicas);
  return { ok: true, value: {} };
}

function moveShards(state: MetadataState, { moves }: MoveShards): CommandResult {
  let begun = 0;
  for (const { shard, replicas } of moves) {
    const topic = state.topicOfShard.get(shard);
    const record = topic?.partitions.find((partition) => partition.shard === shard);
    if (!topic || !record || !replicas.every((node) => state.nodes.has(node))) continue;
    retarget(state, topic, record, replicas);
    begun += 1;
  }
  return { ok: true, value: { moves: begun } };
}

/** Also to the present replicas: a move that has begun is taken back by another. */
function retarget(
  state: MetadataState,
  topic: TopicRecord,
  record: PartitionRecord,
  replicas: readonly NodeId[],
): void {
  const { target, passed = [] } = record;
  const isAsked = replicas.join() === (target.length > 0 ? target : record.replicas).join();
  if (isAsked) return;
  replacePartition(state, topic, { ...record, target: replicas, passed: [...new Set([...passed, ...target])] });
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
