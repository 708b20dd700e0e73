/** Which replicas move so that a node holds nothing any more, or so that all hold and lead about as much. */
import type { NodeId } from "../../src/raft/types.ts";
import { count, least, loadOf, type NodeLoad, type Standing } from "./placement.ts";
import type { MetadataState, PartitionRecord } from "./state.ts";

export interface Move {
  readonly shard: number;
  /** The first one is where the leader should be. */
  readonly replicas: readonly NodeId[];
}

/**
 * For partitions that have a replica on a node that is drained, or are on their way to one: another node in its place, which
 * holds least of those that are up. At most so many leave such nodes at a time; those for which there is no other node are
 * left out.
 */
export function planDrain(
  state: MetadataState,
  standings: ReadonlyMap<NodeId, Standing>,
  leavingMax: number,
): Move[] {
  const { topics, draining } = state;
  const takers = takersOf(state, standings);
  const load = loadOf(state, takers);
  const moves: Move[] = [];
  const isLeaving = ({ replicas, target }: PartitionRecord) => {
    return target.length > 0 && replicas.some((node) => draining.has(node));
  };
  let leaving = [...state.moving.values()].filter(isLeaving).length;
  for (const { partitions } of topics.values()) {
    for (const { shard, replicas, target } of partitions) {
      const isMoving = target.length > 0;
      if (!isMoving && leaving >= leavingMax) continue;
      const current = isMoving ? target : replicas;
      let next = current;
      for (const node of current) if (draining.has(node)) next = replaced(next, node, takers, load);
      if (next === current) continue;
      count(load, current, -1);
      count(load, next);
      moves.push({ shard, replicas: next });
      if (!isMoving) leaving += 1;
    }
  }
  return moves;
}

/** The same, if nobody can take its place. */
function replaced(
  replicas: readonly NodeId[],
  node: NodeId,
  takers: readonly NodeId[],
  load: ReadonlyMap<NodeId, NodeLoad>,
): readonly NodeId[] {
  const free = takers.filter((taker) => !replicas.includes(taker));
  if (free.length === 0) return replicas;
  const isFirst = replicas[0] === node;
  const weights = ({ leads, holds }: NodeLoad, id: NodeId) => isFirst ? [leads, holds, id] : [holds, leads, id];
  const taker = least(free, (id) => weights(load.get(id)!, id));
  return replicas.map((one) => one === node ? taker : one);
}

/**
 * From nodes that hold most to those that hold least until they are one apart, then the same with who should lead, by another
 * order of the same replicas. Nothing that is on its way is moved, nor what is on nodes that are down, full or drained. At most so
 * many moves: the rest when it is asked again.
 */
export function planSpread(
  state: MetadataState,
  standings: ReadonlyMap<NodeId, Standing>,
  movesMax: number,
): Move[] {
  const nodes = takersOf(state, standings);
  const plan = new Map<number, readonly NodeId[]>();
  for (const { shard, replicas } of staying(state)) plan.set(shard, replicas);
  const before = new Map(plan);
  const draft = { plan, load: loadOf(state, nodes), nodes };
  const moved = spread(draft, "holds", movesMax, (replicas, from, to) => {
    return replicas.includes(from) && !replicas.includes(to)
      ? replicas.map((node) => node === from ? to : node)
      : undefined;
  });
  spread(draft, "leads", movesMax - moved, (replicas, from, to) => {
    return replicas[0] === from && replicas.includes(to) ? [to, ...replicas.filter((node) => node !== to)] : undefined;
  });
  return [...plan]
    .filter(([shard, replicas]) => replicas.join() !== before.get(shard)!.join())
    .map(([shard, replicas]) => ({ shard, replicas }));
}

/** Where replicas will be, by shard, and what that comes to. */
interface Draft {
  readonly plan: Map<number, readonly NodeId[]>;
  readonly load: ReadonlyMap<NodeId, NodeLoad>;
  readonly nodes: readonly NodeId[];
}

type Change = (replicas: readonly NodeId[], from: NodeId, to: NodeId) => readonly NodeId[] | undefined;

/** Each step takes from one that has two more than another; it ends, for the sum of the squares falls with each. The steps. */
function spread(draft: Draft, what: keyof NodeLoad, stepsMax: number, change: Change): number {
  let steps = 0;
  while (steps < stepsMax && step(draft, what, change)) steps += 1;
  return steps;
}

function step({ plan, load, nodes }: Draft, what: keyof NodeLoad, change: Change): boolean {
  const ascending = [...nodes].sort((a, b) => load.get(a)![what] - load.get(b)![what] || a - b);
  for (const from of [...ascending].reverse()) {
    for (const to of ascending) {
      if (load.get(from)![what] - load.get(to)![what] < 2) break;
      for (const [shard, replicas] of plan) {
        const next = change(replicas, from, to);
        if (next === undefined) continue;
        count(load, replicas, -1);
        count(load, next);
        plan.set(shard, next);
        return true;
      }
    }
  }
  return false;
}

function* staying({ topics }: MetadataState): Iterable<PartitionRecord> {
  for (const { partitions } of topics.values()) {
    for (const record of partitions) if (record.target.length === 0) yield record;
  }
}

function takersOf({ draining }: MetadataState, standings: ReadonlyMap<NodeId, Standing>): NodeId[] {
  return [...standings].filter(([node, standing]) => standing === "up" && !draining.has(node)).map(([node]) => node);
}
