/** The commands about nodes: which there are beside those that the cluster was made with, and which are to hold nothing. */
import type { NodeId } from "../../src/raft/types.ts";
import type { CommandResult } from "./command-result.ts";
import { type AddedNode, holdersOf, type MetadataState, type NodeRecord, type PartitionRecord } from "./state.ts";

/** Their links and heartbeats go from each to each. */
const ADDED_NODES_MAX = 256;

export interface RegisterNode {
  readonly type: "registerNode";
  readonly node: NodeRecord;
}

/** One more node, or another address of one that was added. */
export interface AddNode {
  readonly type: "addNode";
  readonly node: AddedNode;
}

/** An added one that holds nothing any more. */
export interface RemoveNode {
  readonly type: "removeNode";
  readonly id: NodeId;
}

/** From now on what it holds goes elsewhere; or not any more. */
export interface DrainNode {
  readonly type: "drainNode";
  readonly id: NodeId;
  readonly drain: boolean;
}

/** Not of one that was removed meanwhile. */
export function registerNode(state: MetadataState, { node }: RegisterNode): CommandResult {
  if (node.added && !state.added.has(node.id)) return unknownNode(node.id);
  state.nodes.set(node.id, node);
  return { ok: true, value: {} };
}

export function addNode(state: MetadataState, { node }: AddNode): CommandResult {
  const { id } = node;
  if (!state.added.has(id) && state.nodes.has(id)) {
    return { ok: false, code: "ALREADY_EXISTS", message: `node ${id} is one of those that the cluster was made with` };
  }
  if (!state.added.has(id) && state.added.size >= ADDED_NODES_MAX) {
    return { ok: false, code: "INVALID_REQUEST", message: `at most ${ADDED_NODES_MAX} nodes can be added` };
  }
  state.added.set(id, node);
  return { ok: true, value: {} };
}

export function removeNode(state: MetadataState, { id }: RemoveNode): CommandResult {
  const refusal = removalRefused(state, id);
  if (refusal) return refusal;
  state.added.delete(id);
  state.nodes.delete(id);
  state.draining.delete(id);
  return { ok: true, value: {} };
}

/**
 * Undefined: nothing is in its way. A leader looks at that, too, before it proposes: from when it has applied that a node is
 * drained it places nothing there.
 */
export function removalRefused(state: MetadataState, id: NodeId): CommandResult & { ok: false } | undefined {
  if (!state.added.has(id)) {
    if (!state.nodes.has(id)) return unknownNode(id);
    const message = `node ${id} is one of those that the cluster was made with: it votes on the metadata, and stays`;
    return { ok: false, code: "INVALID_REQUEST", message };
  }
  const held = partitionsOn(state, id).length;
  if (held === 0 && state.draining.has(id)) return undefined;
  const why = held > 0 ? `holds ${held} replicas, or is about to` : "may be given replicas";
  return { ok: false, code: "NODE_IN_USE", message: `node ${id} ${why}: drain it first, until it holds none` };
}

export function drainNode(state: MetadataState, { id, drain }: DrainNode): CommandResult {
  if (!state.nodes.has(id) && !state.added.has(id)) return unknownNode(id);
  if (!drain) {
    state.draining.delete(id);
    return { ok: true, value: {} };
  }
  const left = [...state.nodes.keys()].filter((node) => node !== id && !state.draining.has(node)).length;
  const most = partitionsOn(state, id).reduce((found, { replicas, target }) => {
    return Math.max(found, (target.length > 0 ? target : replicas).length);
  }, 0);
  if (most > left) {
    const message =
      `a partition on node ${id} has ${most} replicas, and without it there are ${left} nodes to hold them`;
    return { ok: false, code: "NOT_ENOUGH_NODES", message };
  }
  state.draining.add(id);
  return { ok: true, value: {} };
}

function partitionsOn({ topics }: MetadataState, node: NodeId): PartitionRecord[] {
  return [...topics.values()].flatMap(({ partitions }) => partitions.filter((record) => holdersOf(record).has(node)));
}

function unknownNode(id: NodeId): CommandResult & { ok: false } {
  return { ok: false, code: "UNKNOWN_NODE", message: `there is no node ${id} in this cluster` };
}
