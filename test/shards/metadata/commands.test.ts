import { suite } from "uvu";
import * as assert from "uvu/assert";
import { applyCommand, decodeCommand, encodeCommand, type MetadataCommand } from "../../../shards/metadata/commands.ts";
import { placePartitions, standingsOf } from "../../../shards/metadata/placement.ts";
import { holdersOf, MetadataState } from "../../../shards/metadata/state.ts";
import type { RaftlineError } from "../../../src/wire/errors.ts";

const metadata = suite("metadata commands");

function create(name: string, placement: number[][]): MetadataCommand {
  return { type: "createTopic", name, retention: { ms: 1000 }, recordBytesMax: 100, placement };
}

metadata("a topic's shards are never used again", () => {
  const state = new MetadataState();
  applyCommand(state, create("a", [[1, 2, 3], [2, 3, 1]]));
  const shards = state.topics.get("a")!.partitions.map(({ shard }) => shard);
  applyCommand(state, { type: "deleteTopic", name: "a" });
  applyCommand(state, create("a", [[1, 2, 3]]));
  assert.not.ok(shards.includes(state.topics.get("a")!.partitions[0]!.shard));
  assert.is(state.topicOfShard.get(shards[0]!), undefined);
});

metadata("what cannot be done changes nothing and says why", () => {
  const state = new MetadataState();
  applyCommand(state, create("a", [[1]]));
  const before = state.encode();
  for (
    const [command, code] of [
      [create("a", [[1]]), "ALREADY_EXISTS"],
      [{ type: "deleteTopic", name: "b" }, "UNKNOWN_TOPIC"],
      [{ type: "alterTopic", name: "b", changes: {} }, "UNKNOWN_TOPIC"],
    ] as [MetadataCommand, string][]
  ) {
    const result = applyCommand(state, command);
    assert.is(result.ok ? "" : result.code, code);
  }
  assert.equal(state.encode(), before);
});

metadata("whoever a redirected move may have made a member holds its replica until the move is done", () => {
  const state = new MetadataState();
  for (let id = 1; id <= 5; id++) {
    applyCommand(state, { type: "registerNode", node: { id, host: "node", clientPort: id, adminPort: 0 } });
  }
  applyCommand(state, create("a", [[1, 2, 3]]));
  const holders = () => [...holdersOf(state.topics.get("a")!.partitions[0]!)].sort().join();
  const move = (...replicas: number[]) =>
    applyCommand(state, { type: "moveReplicas", name: "a", partition: 0, replicas });
  const { shard } = state.topics.get("a")!.partitions[0]!;
  assert.ok(move(1, 2, 4).ok);
  assert.is(holders(), "1,2,3,4");
  move(1, 2, 5);
  assert.is(holders(), "1,2,3,4,5");
  applyCommand(state, { type: "finishMove", shard, replicas: [1, 2, 4] });
  assert.is(holders(), "1,2,3,4,5", "that was the end of another move");
  const again = new MetadataState();
  again.load(state.encode());
  assert.is(again.encode().join(), state.encode().join());
  applyCommand(state, { type: "finishMove", shard, replicas: [1, 2, 5] });
  assert.is(holders(), "1,2,5");
  const left = () => [...state.topics.get("a")!.partitions[0]!.left ?? []].sort().join();
  assert.is(left(), "3,4", "who gave a replica up is known for good");
  move(1, 2, 3);
  applyCommand(state, { type: "finishMove", shard, replicas: [1, 2, 3] });
  assert.is(left(), "3,4,5");
});

metadata("producer ids are handed out once", () => {
  const state = new MetadataState();
  const first = applyCommand(state, { type: "allocateProducerIds", count: 10 });
  const second = applyCommand(state, { type: "allocateProducerIds", count: 10 });
  assert.equal(first, { ok: true, value: { first: 1, count: 10 } });
  assert.equal(second, { ok: true, value: { first: 11, count: 10 } });
});

metadata("commands and state come back whole from their bytes", () => {
  const state = new MetadataState();
  const commands: MetadataCommand[] = [
    { type: "registerNode", node: { id: 1, host: "127.0.0.1", clientPort: 1, adminPort: 2 } },
    create("a", [[1, 2, 3]]),
    { type: "alterTopic", name: "a", changes: { retention: { bytes: 5 } } },
  ];
  for (const command of commands) {
    assert.equal(decodeCommand(encodeCommand(command)), command);
    applyCommand(state, command);
  }
  assert.equal(state.topics.get("a")!.retention, { ms: 1000, bytes: 5 });
  const again = new MetadataState();
  again.load(state.encode());
  assert.equal(again.encode(), state.encode());
  assert.is(again.topicOfShard.get(state.nextShard - 1)?.name, "a");
});

metadata("placement spreads leaders and replicas evenly", () => {
  const state = new MetadataState();
  const nodes = standingsOf([1, 2, 3, 4, 5], new Map([[1, 1], [2, 1], [3, 1], [4, 1], [5, 1]]));
  for (let topic = 0; topic < 20; topic++) {
    const placement = placePartitions(state, nodes, 7, 3);
    for (const replicas of placement) assert.is(new Set(replicas).size, 3);
    applyCommand(state, create(`t${topic}`, placement));
  }
  const leads = new Map<number, number>();
  const holds = new Map<number, number>();
  for (const { partitions } of state.topics.values()) {
    for (const { replicas } of partitions) {
      leads.set(replicas[0]!, (leads.get(replicas[0]!) ?? 0) + 1);
      for (const node of replicas) holds.set(node, (holds.get(node) ?? 0) + 1);
    }
  }
  assert.ok(Math.max(...leads.values()) - Math.min(...leads.values()) <= 1);
  assert.ok(Math.max(...holds.values()) - Math.min(...holds.values()) <= 2);
});

metadata(
  "a replica goes to a node that is full only if there is no other, to one that is down last, and not most of them",
  () => {
    const state = new MetadataState();
    const nodes = standingsOf([1, 2, 3, 4], new Map([[2, Infinity], [3, 1], [4, 2]]));
    assert.equal(placePartitions(state, nodes, 3, 1).map(([leader]) => leader), [3, 4, 3]);
    assert.equal(placePartitions(state, nodes, 1, 3), [[3, 4, 2]]);
    assert.equal(placePartitions(state, nodes, 1, 4), [[3, 4, 2, 1]]);
    const refused = (standings: typeof nodes, replicas: number) => {
      assert.throws(() => placePartitions(state, standings, 1, replicas), (error: RaftlineError) => {
        return error.code === "NOT_ENOUGH_NODES";
      });
    };
    refused(nodes, 5);
    refused(standingsOf([1, 2, 3], new Map([[3, 1]])), 2);
    assert.equal(placePartitions(state, standingsOf([1, 2, 3], new Map([[3, 1]])), 1, 1), [[3]]);
  },
);

metadata("partitions are added behind those that there were when their places were chosen", () => {
  const state = new MetadataState();
  applyCommand(state, create("a", [[1], [2]]));
  const more = (behind: number) => {
    const command: MetadataCommand = { type: "alterTopic", name: "a", changes: {}, more: { behind, placement: [[3]] } };
    return applyCommand(state, command).ok;
  };
  assert.equal([more(2), more(2), more(3)], [true, false, true]);
  const { partitions } = state.topics.get("a")!;
  assert.equal(partitions.map(({ replicas }) => replicas), [[1], [2], [3], [3]]);
  assert.is(new Set(partitions.map(({ shard }) => shard)).size, 4);
  assert.ok(partitions.every(({ shard }) => state.topicOfShard.get(shard)!.partitions.length === 4));
});

metadata.run();
