/** Compression of a batch's payload: what this runtime can do. Brokers never look inside; clients need both sides. */
import * as zlib from "node:zlib";
import { Codec } from "./entry.ts";
import { RecordsError } from "./errors.ts";
import { compressLz4, decompressLz4, lz4BytesMax } from "./lz4.ts";

interface ZstdFunctions {
  readonly zstdCompressSync?: (data: Uint8Array) => Uint8Array;
  readonly zstdDecompressSync?: (data: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;
}

/** Only Node ≥ 22.15 has them. */
const { zstdCompressSync, zstdDecompressSync } = zlib as unknown as ZstdFunctions;

/** Whether this runtime can compress and decompress with `codec`. */
export function hasCodec(codec: number): boolean {
  if (codec === Codec.zstd) return zstdDecompressSync !== undefined;
  return codec === Codec.none || codec === Codec.deflate || codec === Codec.lz4;
}

/** The payload compressed, or undefined if that would not make it smaller. @throws {RecordsError} `UNSUPPORTED_CODEC` */
export function compress(codec: number, payload: Uint8Array): Uint8Array | undefined {
  let compressed;
  if (codec === Codec.deflate) compressed = zlib.deflateRawSync(payload, { level: 1 });
  else if (codec === Codec.lz4) compressed = lz4(payload);
  else if (codec === Codec.zstd && zstdCompressSync !== undefined) compressed = zstdCompressSync(payload);
  else throw unsupported(codec);
  return compressed.length < payload.length ? compressed : undefined;
}

/**
 * What `compress` was given; never more than `bytesMax`, whatever the payload claims to hold.
 * @throws {RecordsError} `UNSUPPORTED_CODEC`, `TOO_LARGE`, `CORRUPT`
 */
export function decompress(codec: number, payload: Uint8Array, bytesMax: number): Uint8Array {
  if (codec === Codec.none) return payload;
  if (!hasCodec(codec)) throw unsupported(codec);
  if (codec === Codec.lz4) return decompressLz4(payload, bytesMax);
  const options = { maxOutputLength: bytesMax };
  try {
    return codec === Codec.deflate ? zlib.inflateRawSync(payload, options) : zstdDecompressSync!(payload, options);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new RecordsError("TOO_LARGE", `a batch unpacks to more than ${bytesMax} bytes`, { cause: error });
    }
    throw new RecordsError("CORRUPT", "a batch's payload cannot be unpacked", { cause: error });
  }
}

function lz4(payload: Uint8Array): Uint8Array {
  const room = new Uint8Array(lz4BytesMax(payload.length));
  return room.subarray(0, compressLz4(payload, room));
}

function unsupported(codec: number): RecordsError {
  return new RecordsError("UNSUPPORTED_CODEC", `compression codec ${codec} is not available in this runtime`);
}
