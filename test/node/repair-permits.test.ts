import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Host } from "../../shards/host/host.ts";
import { PeerRequests } from "../../shards/host/peer-requests.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { RepairPermits } from "../../src/node/repair-permits.ts";
import { fakeTime } from "../shards/host/fake-time.ts";

const permits = suite("permits to drop a damaged replica");

const GROUP = 7;
const LEADER = 1;

/** Nodes 1, 2 and 3 hold a group that node 1 leads in term 5; what 2 and 3 ask is answered at once. */
class Fixture {
  readonly time = fakeTime();
  readonly state = { isLeading: true, closed: false, damaged: false, leaderVouched: true, learners: [] as number[] };
  readonly followers = [2, 3].map((peer) => ({ peer, match: 100, vouched: true }));
  /** Nodes whose replica takes part, as they say themselves. */
  readonly takingPart = new Set([2, 3]);
  readonly alive = new Set([1, 2, 3]);
  readonly #nodes = new Map<number, RepairPermits>();
  readonly #requests = new Map<number, PeerRequests>();

  constructor() {
    for (const nodeId of [1, 2, 3]) {
      const requests = new PeerRequests(this.time.runtime, {
        forward: (peer, request) => {
          this.#requests.get(peer)!.onRequest(nodeId, request);
          return true;
        },
        answer: (peer, reply) => this.#requests.get(peer)!.onReply(nodeId, reply),
      });
      this.#requests.set(nodeId, requests);
      const host = { nodeId, replica: () => this.#replicaOn(nodeId) } as unknown as Host;
      const { runtime } = this.time;
      const isAlive = (node: number) => this.alive.has(node);
      this.#nodes.set(
        nodeId,
        new RepairPermits({ runtime, host, requests, isAlive, isDamaged: () => this.state.damaged }),
      );
    }
  }

  /** The term; undefined: not now. */
  mayDrop(node: number, lastIndex = 100): Promise<number | undefined> {
    return this.#nodes.get(node)!.mayDrop(GROUP, LEADER, lastIndex);
  }

  couldLead(): Promise<boolean> {
    return this.#nodes.get(2)!.couldLead(GROUP, LEADER);
  }

  #replicaOn(nodeId: number): Replica | undefined {
    if (nodeId === LEADER) return this.#replica();
    return this.takingPart.has(nodeId) ? { closed: false, raft: { vouched: true } } as unknown as Replica : undefined;
  }

  #replica(): Replica {
    const { isLeading, closed, leaderVouched: vouched, learners } = this.state;
    const configuration = { voters: [1, 2, 3], outgoing: [], learners, learnersNext: learners };
    const raft = { term: 5, commit: 100, vouched, configuration, followers: () => this.followers };
    return { group: GROUP, isLeading, closed, raft } as unknown as Replica;
  }
}

permits("one of a group at a time, and whoever has one may ask again", async () => {
  const fixture = new Fixture();
  assert.is(await fixture.mayDrop(2), 5);
  assert.is(await fixture.mayDrop(3), undefined, "the other is about to go");
  assert.is(await fixture.mayDrop(2), 5);
  fixture.time.advance(4_999);
  assert.is(await fixture.mayDrop(3), undefined);
  fixture.followers[0]!.vouched = false;
  fixture.time.advance(2);
  assert.is(await fixture.mayDrop(3), undefined, "the other is being given what it lacks");
  fixture.followers[0]!.vouched = true;
  assert.is(await fixture.mayDrop(3), 5);
});

permits("none while another voter lacks some of what it has, or is away", async () => {
  const fixture = new Fixture();
  const other = fixture.followers[1]!;
  other.match = 99;
  assert.is(await fixture.mayDrop(2), undefined);
  assert.is(await fixture.mayDrop(2, 99), 5, "what came since it need not have");
  other.match = 100;
  assert.is(await fixture.mayDrop(2, 150), 5, "nor what is not committed");
  fixture.alive.delete(3);
  assert.is(await fixture.mayDrop(2), undefined);
});

permits(
  "none while another one is being dropped, however long that takes: its leader has not heard of it",
  async () => {
    const fixture = new Fixture();
    assert.is(await fixture.mayDrop(2), 5);
    fixture.takingPart.delete(2);
    fixture.time.advance(60_000);
    assert.is(await fixture.mayDrop(3), undefined);
    assert.is(await fixture.mayDrop(3, 0), undefined, "also if it has nothing");
    fixture.takingPart.add(2);
    assert.is(await fixture.mayDrop(3), 5);
  },
);

permits("none from who does not lead, or is not whole itself", async () => {
  for (const wrong of [{ isLeading: false }, { closed: true }, { damaged: true }]) {
    const fixture = new Fixture();
    Object.assign(fixture.state, wrong);
    assert.is(await fixture.mayDrop(2), undefined, JSON.stringify(wrong));
  }
});

permits("who is whole could lead", async () => {
  const fixture = new Fixture();
  assert.ok(await fixture.couldLead());
  for (const wrong of [{ leaderVouched: false }, { closed: true }, { damaged: true }]) {
    const other = new Fixture();
    Object.assign(other.state, wrong);
    assert.not.ok(await other.couldLead(), JSON.stringify(wrong));
  }
});

permits.run();
