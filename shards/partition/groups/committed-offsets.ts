/** Offsets in what is committed or captured: this project packed them, and a checksum matched. */
import type { OffsetSet } from "../../../src/records/offset-set.ts";
import { unpackOffsets } from "../../../src/records/packed-offsets.ts";

export function unpackCommitted(bytes: unknown): OffsetSet {
  const offsets = unpackOffsets(bytes as Uint8Array, Infinity);
  if (offsets === undefined) throw new Error("what was committed has offsets that are none");
  return offsets;
}
