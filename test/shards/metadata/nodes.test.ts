import { suite } from "uvu";
import * as assert from "uvu/assert";
import { applyCommand, type MetadataCommand } from "../../../shards/metadata/commands.ts";
import { standingsOf } from "../../../shards/metadata/placement.ts";
import { planDrain, planSpread } from "../../../shards/metadata/spreading.ts";
import { MetadataState } from "../../../shards/metadata/state.ts";
import { Encoder } from "cbor-x/encode";

const nodes = suite("nodes that come and go, in the metadata");

const MANY = 1_000;

/** Nodes 1 to 3, a fourth that was added, and topics with these replicas. */
function stateWith(...placement: number[][]): MetadataState {
  const state = new MetadataState();
  const apply = (command: MetadataCommand) => assert.ok(applyCommand(state, command).ok);
  for (let id = 1; id <= 3; id++) {
    apply({ type: "registerNode", node: { id, host: "node", clientPort: id, adminPort: 0 } });
  }
  apply({ type: "addNode", node: { id: 4, host: "node", port: 7504 } });
  apply({ type: "registerNode", node: { id: 4, host: "node", clientPort: 4, adminPort: 0, added: true } });
  if (placement.length > 0) apply({ type: "createTopic", name: "a", retention: {}, recordBytesMax: 100, placement });
  return state;
}

const UP = standingsOf([1, 2, 3, 4], new Map([[1, 1], [2, 1], [3, 1], [4, 1]]));

function codeOf(state: MetadataState, command: MetadataCommand): string {
  const before = state.encode();
  const result = applyCommand(state, command);
  if (result.ok) return "";
  assert.equal(state.encode(), before, "what is refused changes nothing");
  return result.code;
}

const drain = (id: number): MetadataCommand => ({ type: "drainNode", id, drain: true });
const remove = (id: number): MetadataCommand => ({ type: "removeNode", id });

nodes("what may be added, drained and removed, and when", () => {
  const state = stateWith([4, 1, 2]);
  assert.is(codeOf(state, { type: "addNode", node: { id: 2, host: "node", port: 1 } }), "ALREADY_EXISTS");
  assert.is(codeOf(state, { type: "addNode", node: { id: 4, host: "elsewhere", port: 1 } }), "");
  assert.is(state.added.get(4)!.host, "elsewhere");
  assert.is(codeOf(state, drain(5)), "UNKNOWN_NODE");
  assert.is(codeOf(state, remove(5)), "UNKNOWN_NODE");
  assert.is(codeOf(state, remove(1)), "INVALID_REQUEST");
  assert.is(codeOf(state, remove(4)), "NODE_IN_USE");
  assert.is(codeOf(state, drain(4)), "");
  assert.is(codeOf(state, remove(4)), "NODE_IN_USE", "it still holds something");
  assert.is(codeOf(state, drain(3)), "", "nothing is on it");
  assert.is(codeOf(state, drain(2)), "NOT_ENOUGH_NODES", "three replicas, and one node that is not drained");
  const { shard } = state.topics.get("a")!.partitions[0]!;
  const move = { type: "moveReplicas", name: "a", partition: 0 } as const;
  assert.is(
    codeOf(state, { ...move, replicas: [3, 1, 2] }),
    "INVALID_REQUEST",
    "a node that is drained is given nothing",
  );
  assert.is(codeOf(state, { ...move, replicas: [1, 4, 2] }), "", "but stays where it is");
  assert.is(codeOf(state, { type: "finishMove", shard, replicas: [1, 4, 2] }), "");
  assert.is(codeOf(state, { ...move, replicas: [1, 2] }), "");
  assert.is(codeOf(state, remove(4)), "NODE_IN_USE", "it is leaving, and may be asked for its vote");
  assert.is(codeOf(state, { type: "finishMove", shard, replicas: [1, 2] }), "");
  assert.is(codeOf(state, remove(4)), "");
  assert.is(state.nodes.has(4), false);
  const late = { id: 4, host: "node", clientPort: 4, adminPort: 0, added: true } as const;
  assert.is(codeOf(state, { type: "registerNode", node: late }), "UNKNOWN_NODE", "it does not come back by itself");
});

nodes("the state is the same after a checkpoint; one from before nodes could be added is read, too", () => {
  const state = stateWith([4, 1, 2]);
  applyCommand(state, drain(4));
  const again = new MetadataState();
  again.load(state.encode());
  assert.equal(again.encode(), state.encode());
  assert.equal([[...again.added.keys()], [...again.draining]], [[4], [4]]);
  const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
  again.load(encoder.encode([9, 1_001, 2, 1, [], []]));
  assert.equal([again.revision, again.added.size, again.draining.size], [9, 0, 0]);
});

nodes("what is on a drained node goes to those that hold least, in the same place; at most so many at a time", () => {
  const state = stateWith([3, 1, 2], [1, 2, 3], [2, 3, 1]);
  applyCommand(state, drain(3));
  const [first, second, third] = state.topics.get("a")!.partitions.map(({ shard }) => shard);
  assert.equal(planDrain(state, UP, MANY), [
    { shard: first, replicas: [4, 1, 2] },
    { shard: second, replicas: [1, 2, 4] },
    { shard: third, replicas: [2, 4, 1] },
  ]);
  assert.is(planDrain(state, UP, 2).length, 2);
  const noFourth = standingsOf([1, 2, 3, 4], new Map([[1, 1], [2, 1], [3, 1]]));
  assert.equal(planDrain(state, noFourth, MANY), [], "there is nobody to take it");
});

nodes("random placements end with all holding and leading as much, and no move is in vain", () => {
  let seed = 7;
  const draw = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 200; round++) {
    const partitions = 1 + draw(40);
    const placement = Array.from({ length: partitions }, () => {
      const left = [1, 2, 3, 4];
      return Array.from({ length: 1 + draw(3) }, () => left.splice(draw(left.length), 1)[0]!);
    });
    const state = stateWith(...placement);
    const moves = planSpread(state, UP, MANY);
    assert.ok(applyCommand(state, { type: "moveShards", moves }).ok);
    for (const { shard, target } of [...state.moving.values()]) {
      assert.is(new Set(target).size, target.length);
      applyCommand(state, { type: "finishMove", shard, replicas: target });
    }
    const { partitions: records } = state.topics.get("a")!;
    const holds = [1, 2, 3, 4].map((id) => records.filter(({ replicas }) => replicas.includes(id)).length);
    assert.ok(Math.max(...holds) - Math.min(...holds) <= 1, `round ${round}: ${holds}`);
    assert.equal(planSpread(state, UP, MANY), [], `round ${round}`);
  }
});

nodes("spreading leaves alone what is on its way, and gives nothing to those that are down, full or drained", () => {
  const state = stateWith([1, 2], [1, 2], [1, 2], [1, 2]);
  const { shard } = state.topics.get("a")!.partitions[0]!;
  applyCommand(state, { type: "moveReplicas", name: "a", partition: 0, replicas: [2, 1] });
  assert.not.ok(planSpread(state, UP, MANY).some((move) => move.shard === shard));
  assert.is(planSpread(state, UP, 1).length, 1);
  applyCommand(state, drain(4));
  const writeMs = new Map([[1, 1], [2, Infinity], [4, 1]]);
  assert.equal(planSpread(state, standingsOf([1, 2, 3, 4], writeMs), MANY), [], "only node 1 could take anything");
});

nodes.run();
