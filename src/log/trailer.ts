/** The end of a sealed file: where its index is, and which blocks it has. */
import { readU32 } from "../records/entry.ts";
import type { DiskFile } from "../runtime/disk.ts";
import type { Identity } from "./block.ts";
import { FILE_HEADER_BYTES } from "./file-header.ts";
import { decodeTrailer, type Trailer, TRAILER_BYTES } from "./footer.ts";
import { readOrUndefined } from "./scan-window.ts";

/** Where the identity stands in a block's header, and in a trailer. */
const IDENTITY_AT = 8;

/** The identity that the bytes of a block's header, or of a trailer, name. */
export function identityIn(bytes: Uint8Array): Identity {
  return { low: readU32(bytes, IDENTITY_AT), high: readU32(bytes, IDENTITY_AT + 4) };
}

/** `identity`: of the file; left out, the one that the trailer names. Undefined if it is damaged, or the file was not sealed. */
export async function readTrailer(
  handle: DiskFile,
  sizeBytes: number,
  identity?: Identity,
): Promise<Trailer | undefined> {
  const at = sizeBytes - TRAILER_BYTES;
  if (at < FILE_HEADER_BYTES) return undefined;
  const bytes = new Uint8Array(TRAILER_BYTES);
  if (await readOrUndefined(handle, bytes, at) !== bytes.length) return undefined;
  return decodeTrailer(bytes, identity ?? identityIn(bytes));
}
