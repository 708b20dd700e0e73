import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { WireError } from "../../src/wire/errors.ts";
import { encodeFrame, FrameReader } from "../../src/wire/frames.ts";
import { type FrameLimits, HELLO_LIMITS, PEER_LIMITS, REQUEST_LIMITS } from "../../src/wire/limits.ts";

interface Frame {
  readonly head: unknown[];
  readonly body: number[];
  readonly frameBytes: number;
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Cuts at the given places, in turn. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return chunks;
}

function readAll(chunks: readonly Uint8Array[], limits: FrameLimits = REQUEST_LIMITS): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader(
    limits,
    (head, body, frameBytes) => frames.push({ head, body: [...body], frameBytes }),
  );
  for (const chunk of chunks) reader.push(chunk);
  return frames;
}

/** As a connection does that puts bytes where it is told, at most `sizes` at a time. */
function readInRooms(bytes: Uint8Array, sizes: readonly number[], limits: FrameLimits = REQUEST_LIMITS): Frame[] {
  const frames: [unknown[], Uint8Array, number][] = [];
  const reader = new FrameReader(limits, (...frame) => frames.push(frame));
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const room = reader.room();
    const part = bytes.subarray(at, at + Math.min(room.length, sizes[i % sizes.length]!));
    room.set(part);
    reader.push(room.subarray(0, part.length));
    at += part.length;
  }
  // Only now: what came first must not have been overwritten since.
  return frames.map(([head, body, frameBytes]) => ({ head, body: [...body], frameBytes }));
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return "no error";
}

const scalar = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
  fc.constantFrom(2 ** 32, 2 ** 53 - 1, -(2 ** 40), 0.5),
  fc.string({ maxLength: 300 }),
  fc.boolean(),
  fc.constant(null),
);
/** cbor-x renames "__proto__", as it should. */
const key = fc.string({ minLength: 1 }).filter((text) => text !== "__proto__");
const head = fc.array(
  fc.oneof(
    scalar,
    fc.array(fc.tuple(scalar, scalar), { maxLength: 30 }),
    fc.dictionary(key, scalar),
  ),
  { minLength: 1, maxLength: 22 },
);

const frames = suite("frames");

frames("come out as they went in, however the stream is cut", () => {
  const frame = fc.record({ head, body: fc.option(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 3 })) });
  const sizes = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), sizes, fc.boolean(), (sent, cuts, trusted) => {
      const encoded = sent.map((one) => joined(encodeFrame(one.head, one.body ?? undefined)));
      const limits = trusted ? PEER_LIMITS : REQUEST_LIMITS;
      const received = readAll(cut(joined(encoded), cuts), limits);
      const expected = sent.map((one, i) => ({
        head: one.head.map((item) => isPlain(item) ? { ...item } : item),
        body: [...joined(one.body ?? [])],
        frameBytes: encoded[i]!.length,
      }));
      assert.equal(received, expected);
      assert.equal(readInRooms(joined(encoded), cuts, limits), expected);
    }),
    { numRuns: 300 },
  );
});

function isPlain(item: unknown): item is Record<string, unknown> {
  return typeof item === "object" && item !== null && !Array.isArray(item);
}

frames("carry bodies around every length of a header", () => {
  for (const length of [0, 1, 23, 24, 255, 256, 65_535, 65_536, 100_000]) {
    const body = new Uint8Array(length).fill(7);
    const [received] = readAll(cut(joined(encodeFrame([1, "x"], [body])), [60_000]));
    assert.is(received!.body.length, length);
    assert.equal(received!.head, [1, "x"]);
  }
});

frames("send bodies by reference", () => {
  const body = new Uint8Array(1_000);
  const chunks = encodeFrame([1], [body, body]);
  assert.is(chunks.length, 3);
  assert.is(chunks[1], body);
});

frames("stay as they are when others are encoded", () => {
  const heads = [[1, 2, 3], [4, "a longer one".repeat(20)], [5, new Array<number>(5_000).fill(1e9)], [6, true], [
    7,
    null,
  ]];
  const encoded = heads.map((head) => joined(encodeFrame(head, [Uint8Array.of(9)])));
  assert.equal(encoded.map((bytes) => readAll([bytes])[0]!.head), heads);
});

frames("do not take a head's last bytes for a body", () => {
  const [received] = readAll(encodeFrame([1, Uint8Array.of(1, 2)]));
  assert.equal([...received!.head[1] as Uint8Array], [1, 2]);
  assert.equal(received!.body, []);
});

frames("are views of the chunk they came in", () => {
  const chunk = joined(encodeFrame([1], [new Uint8Array(100).fill(9)]));
  let seen: Uint8Array | undefined;
  new FrameReader(REQUEST_LIMITS, (_head, body) => seen = body).push(chunk);
  assert.is(seen!.buffer, chunk.buffer);
});

frames("that are long are put where they stay, behind short ones and before them", () => {
  const lengths = [10, 300_000, 70_000, 3, 20_000, 65_530, 5];
  const sent = lengths.map((length, id) => joined(encodeFrame([id], [new Uint8Array(length).fill(id)])));
  for (const sizes of [[100_000], [65_536], [1_000], [60_000, 7]]) {
    const received = readInRooms(joined(sent), sizes);
    assert.equal(received.map(({ head, body }) => [head, body.length]), lengths.map((length, id) => [[id], length]));
    assert.ok(received.every(({ body }, id) => body.every((byte) => byte === id)));
  }
});

frames("wait where they were put in its room, while the reader is paused", () => {
  const seen: unknown[] = [];
  const one: FrameReader = new FrameReader(REQUEST_LIMITS, ([id]) => {
    seen.push(id);
    if (id === 1) one.pause();
  });
  for (const id of [1, 2, 3]) {
    const room = one.room();
    const bytes = joined(encodeFrame([id], [new Uint8Array(20)]));
    room.set(bytes);
    one.push(room.subarray(0, bytes.length));
  }
  assert.equal(seen, [1]);
  one.resume();
  assert.equal(seen, [1, 2, 3]);
});

frames("are encoded as one CBOR array", () => {
  const bytes = joined(encodeFrame([1, "a"], [Uint8Array.of(0xff)]));
  assert.equal([...bytes], [6, 0, 0, 0, 0x83, 0x01, 0x61, 0x61, 0x41, 0xff]);
});

frames("refuse a head that is empty or too long, on the sender's side", () => {
  assert.throws(() => encodeFrame([]), /1 to 22/);
  assert.throws(() => encodeFrame(new Array<number>(23).fill(0)), /1 to 22/);
});

frames.run();

const reader = suite("frame reader");

reader("refuses a frame that is too large before its bytes come", () => {
  assert.is(codeOf(() => readAll([Uint8Array.of(0xff, 0xff, 0xff, 0x7f)])), "FRAME_TOO_LARGE");
  assert.is(codeOf(() => readAll([Uint8Array.of(0x01, 0x40), Uint8Array.of(0, 0)], HELLO_LIMITS)), "FRAME_TOO_LARGE");
  assert.is(codeOf(() => readAll([Uint8Array.of(0, 0, 0, 0)])), "MALFORMED");
});

reader("reserves no more than what has come, for strangers", () => {
  const limits = { ...REQUEST_LIMITS, frameBytesMax: 2 ** 32 - 1 };
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 50 }, () => new FrameReader(limits, () => {}));
  for (const one of readers) {
    one.push(Uint8Array.of(0, 0, 0, 0x80));
    one.push(new Uint8Array(1_000));
  }
  const reserved = process.memoryUsage().arrayBuffers - before;
  assert.ok(reserved < 50 * 200_000, `${reserved} bytes`);
  for (const one of readers) assert.ok(one.midFrame);
});

reader("keeps what comes while it is paused", () => {
  const seen: unknown[] = [];
  const one: FrameReader = new FrameReader(REQUEST_LIMITS, ([id]) => {
    seen.push(id);
    if (id === 2) one.pause();
  });
  const stream = joined([1, 2, 3, 4].flatMap((id) => encodeFrame([id])));
  one.push(stream.subarray(0, 14));
  one.push(stream.subarray(14));
  assert.equal(seen, [1, 2]);
  one.resume();
  assert.equal(seen, [1, 2, 3, 4]);
});

reader("delivers nothing more once it is closed by a handler", () => {
  const seen: unknown[] = [];
  const one: FrameReader = new FrameReader(REQUEST_LIMITS, ([id]) => {
    seen.push(id);
    one.close();
  });
  one.push(joined([1, 2].flatMap((id) => encodeFrame([id]))));
  one.push(joined(encodeFrame([3])));
  assert.equal(seen, [1]);
});

reader("is told of larger limits in the middle of a stream", () => {
  const seen: unknown[] = [];
  const one: FrameReader = new FrameReader(HELLO_LIMITS, ([id]) => {
    seen.push(id);
    one.setLimits(REQUEST_LIMITS);
  });
  one.push(joined([...encodeFrame([1]), ...encodeFrame([2], [new Uint8Array(100_000)])]));
  assert.equal(seen, [1, 2]);
});

reader("turns any bytes into frames or a typed error", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 4 }), (bodies) => {
      const stream = bodies.map((body) => {
        const frame = new Uint8Array(4 + body.length);
        frame[0] = body.length;
        frame.set(body, 4);
        return frame;
      });
      const code = codeOf(() => readAll(stream));
      assert.ok(["no error", "MALFORMED", "TOO_DEEP", "TOO_MANY_ITEMS", "REFUSED_TAG"].includes(code), code);
    }),
    { numRuns: 3_000 },
  );
});

reader.run();
