/** Requests that wait for answers: each id finds its own request, once, however many came before. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RaftlineError } from "../../src/wire/errors.ts";
import { PendingRequests } from "../../src/wire/pending-requests.ts";
import { FakeWorld } from "./fake-world.ts";

const pending = suite("requests that wait for answers");

function open(): { world: FakeWorld; requests: PendingRequests; ask: (timeoutMs?: number) => Asked } {
  const world = new FakeWorld();
  const requests = new PendingRequests(world.runtime("c"), "s:1");
  const ask = (timeoutMs = 1_000) => {
    const asked: Asked = { id: requests.nextId, error: undefined };
    requests.add({ type: "producerId", timeoutMs, resolve: () => {}, reject: (error) => asked.error = error });
    return asked;
  };
  return { world, requests, ask };
}

interface Asked {
  readonly id: number;
  error: RaftlineError | undefined;
}

pending("gives each request an id that no other has while it is open, and finds it once", () => {
  fc.assert(fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (steps) => {
    const { requests, ask } = open();
    const there: number[] = [];
    const gone: number[] = [];
    for (const step of steps) {
      if (step > 10 || there.length === 0) {
        const { id } = ask();
        assert.ok(id > 0 && id < 2 ** 32 && Number.isInteger(id), `an id of 32 bits: ${id}`);
        assert.ok(!there.includes(id) && !gone.includes(id), "nobody has, or had, it");
        there.push(id);
      } else {
        const [id] = there.splice(step % there.length, 1) as [number];
        assert.is(requests.take(id)?.id, id);
        gone.push(id);
      }
      for (const id of gone) assert.is(requests.take(id), undefined, "an answer that comes late");
      assert.is(requests.size, there.length);
    }
  }));
});

pending("has ids for more requests than it has numbers", () => {
  const { requests, ask } = open();
  const many = (stays: number) => {
    for (let i = 0; i < 200_000; i++) {
      const { id } = ask();
      if (id === 0 || id === stays || requests.take(id)?.id !== id) assert.unreachable(`request ${i} got ${id}`);
    }
  };
  many(0);
  const { id } = ask();
  many(id);
  assert.is(requests.take(id)?.id, id);
  assert.is(requests.size, 0);
});

pending("gives up what is not answered in time, and only that", async () => {
  const { world, requests, ask } = open();
  const [short, long] = [ask(100), ask(5_000)];
  await world.pass(200);
  assert.is(short.error?.code, "TIMED_OUT");
  assert.is(requests.take(short.id), undefined);
  assert.is(long.error, undefined);
  assert.is(requests.size, 1);
});

pending("refuses all that is there at the end", () => {
  const { requests, ask } = open();
  const asked = [ask(), ask(), ask()];
  const error = { code: "CLOSED" } as RaftlineError;
  requests.rejectAll(error);
  assert.equal(asked.map((one) => one.error), [error, error, error]);
  assert.is(requests.size, 0);
});

pending.run();
