/** A frame's head to CBOR and back, by cbor-x: in memory that is used again, for most heads are short and there are many. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { WireError } from "./errors.ts";

/** What cbor-x's own types leave out. */
type DecoderOptions = ConstructorParameters<typeof Decoder>[0] & {
  readonly int64AsNumber: boolean;
  readonly copyBuffers?: boolean;
};

interface EncoderInPlace {
  encode(value: unknown, options: number): EncodedHead;
}

interface DecoderOfParts {
  decode(source: Uint8Array, end: number): unknown;
}

/** The encoder's memory, in which the head lies from `start` to `end`. */
export type EncodedHead = Uint8Array & { readonly start: number; readonly end: number };

const encoder = new Encoder({ useRecords: false, tagUint8Array: false }) as unknown as EncoderInPlace;
/** cbor-x: the encoder's own memory is given (512), and free again for the next call (1024). */
const IN_PLACE = 512 | 1024;

const DECODING: DecoderOptions = { useRecords: false, mapsAsObjects: true, int64AsNumber: true };
/** Never the encoder's own decode: there one message can define record ids that poison later ones. */
const decoder = new Decoder(DECODING);

/** Short heads are decoded in one place, of which cbor-x keeps its view. The bytes they hold are copied. */
const SHORT_BYTES_MAX = 256;
const SHORT_ITEMS_MAX = 23;
const short = new Uint8Array(1 + SHORT_BYTES_MAX);
const shortDecoder = new Decoder({ ...DECODING, copyBuffers: true } as DecoderOptions) as DecoderOfParts;

/** Good until the next head is encoded. */
export function encodeHead(head: readonly unknown[]): EncodedHead {
  return encoder.encode(head, IN_PLACE);
}

/** So many items, which have been looked at (cbor-guard.ts), in `bytes` from `start` to `end`. @throws {WireError} `MALFORMED` */
export function decodeHead(bytes: Uint8Array, start: number, end: number, itemCount: number): unknown[] {
  const byteLength = end - start;
  try {
    if (byteLength > SHORT_BYTES_MAX || itemCount > SHORT_ITEMS_MAX) {
      return decoder.decodeMultiple(bytes.subarray(start, end)) as unknown[];
    }
    short[0] = 0x80 | itemCount;
    for (let i = 0; i < byteLength; i++) short[i + 1] = bytes[start + i]!;
    return shortDecoder.decode(short, byteLength + 1) as unknown[];
  } catch (error) {
    throw new WireError("MALFORMED", `the head cannot be decoded: ${error instanceof Error ? error.message : error}`);
  }
}
