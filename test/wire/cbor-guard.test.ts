import { suite } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { Encoder } from "cbor-x/encode";
import { CborGuard } from "../../src/wire/cbor-guard.ts";
import { WireError } from "../../src/wire/errors.ts";
import { decodeFrame } from "../../src/wire/frames.ts";
import { REQUEST_LIMITS } from "../../src/wire/limits.ts";

const limits = { headBytesMax: 10_000, depthMax: 4, itemsMax: 1_000 };

function scan(bytes: number[] | Uint8Array): string {
  const frame = Uint8Array.from(bytes);
  try {
    new CborGuard(limits).scanFrame(frame, 0, frame.length);
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return "";
}

const guard = suite("cbor guard");

guard("accepts what our heads are made of", () => {
  const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
  const head = [
    1,
    -5,
    2 ** 40,
    1.5,
    "text",
    null,
    undefined,
    true,
    false,
    { a: [1, { b: "c" }] },
    Uint8Array.of(1),
    [],
  ];
  assert.is(scan(encoder.encode(head)), "");
});

guard("refuses every tag", () => {
  for (
    const tag of [[0xc2], [0xc3], [0xc4], [0xd8, 27], [0xd8, 28], [0xd8, 29], [0xd9, 0xdf, 0xff], [0xda, 0, 0, 0, 6]]
  ) {
    assert.is(scan([0x81, ...tag, 0x41, 0x01]), "REFUSED_TAG", `tag ${tag}`);
    assert.is(scan([0x82, 0x81, ...tag, 0x41, 0x01, 0x01]), "REFUSED_TAG", `nested tag ${tag}`);
  }
});

guard("refuses counts that cannot be true", () => {
  assert.is(scan([0x9a, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]), "MALFORMED");
  assert.is(scan([0x81, 0x9a, 0x10, 0, 0, 0, 1, 2]), "MALFORMED");
  assert.is(scan([0x81, 0xba, 0, 0, 0, 9, 0x61, 0x61, 1]), "MALFORMED");
  assert.is(scan([0x82, 0x7a, 0xff, 0xff, 0xff, 0xff, 0x61, 1]), "MALFORMED");
  assert.is(scan([0x82, 0x5b, 0, 0, 0, 1, 0, 0, 0, 0, 1]), "MALFORMED");
});

guard("refuses indefinite lengths, odd simple values and keys that are not text", () => {
  assert.is(scan([0x9f, 1, 0xff]), "MALFORMED");
  assert.is(scan([0x81, 0x7f, 0x61, 0x61, 0xff]), "MALFORMED");
  for (const simple of [0xe0, 0xf3, 0xf8, 0xfc, 0xff]) assert.is(scan([0x81, simple, 32]), "MALFORMED", `${simple}`);
  assert.is(scan([0x81, 0xa1, 0x01, 0x02]), "MALFORMED");
  assert.is(scan([0x81, 0xa1, 0x81, 0x61, 0x61, 0x02]), "MALFORMED");
});

guard("refuses integers that a Number does not hold", () => {
  assert.is(scan([0x81, 0x1b, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "");
  assert.is(scan([0x81, 0x1b, 0x00, 0x20, 0, 0, 0, 0, 0, 0]), "MALFORMED");
});

guard("refuses what is nested too deep, has too many items, or is too long", () => {
  assert.is(scan([0x81, 0x81, 0x81, 0x81, 0x81, 1]), "");
  assert.is(scan([0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 1]), "TOO_DEEP");
  assert.is(scan(new Uint8Array(40_000).fill(0x81)), "TOO_DEEP");
  assert.is(scan([0x81, 0x99, 0x03, 0xe7, ...new Array<number>(999).fill(0)]), "");
  assert.is(scan([0x81, 0x99, 0x03, 0xe8, ...new Array<number>(1_000).fill(0)]), "TOO_MANY_ITEMS");
  assert.is(scan([0x82, 0x59, 0x27, 0x10, ...new Array<number>(10_000).fill(0), 1]), "HEAD_TOO_LARGE");
});

guard("wants exactly one array, whose body ends with the frame", () => {
  for (
    const wrong of [[], [0x01], [0x80], [0x41, 1], [0xa0], [0x81, 1, 1], [0x82, 1, 0x42, 1], [0x82, 1, 0x41, 1, 1]]
  ) {
    assert.is(scan(wrong), "MALFORMED", `${wrong}`);
  }
});

guard("lets nothing through that the decoder fails on, and costs little", () => {
  const opener = fc.constantFrom(0x81, 0x82, 0x83, 0x84, 0x98, 0xa1, 0xa2, 0x61, 0x41, 0xc2, 0xd8, 0xf6, 0x1b, 0x00);
  const bytes = fc.array(fc.oneof({ weight: 3, arbitrary: opener }, fc.integer({ min: 0, max: 255 })), {
    maxLength: 60,
  });
  let passed = 0;
  fc.assert(
    fc.property(bytes, (tail) => {
      const frame = Uint8Array.from([0x83, ...tail]);
      try {
        decodeFrame(frame, new CborGuard(REQUEST_LIMITS));
        passed++;
      } catch (error) {
        assert.instance(error, WireError);
      }
    }),
    { numRuns: 20_000 },
  );
  assert.ok(passed > 20, `${passed} passed`);
});

guard('keeps a map\'s "__proto__" from being anything but a name', () => {
  const frame = new Encoder({ useRecords: false }).encode([{ ["__proto__"]: { polluted: true } }]);
  const { head } = decodeFrame(frame, new CborGuard(REQUEST_LIMITS));
  assert.is((head[0] as { polluted?: boolean }).polluted, undefined);
  assert.is(({} as { polluted?: boolean }).polluted, undefined);
});

guard.run();
