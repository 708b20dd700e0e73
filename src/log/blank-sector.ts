/**
 * Sectors of a block that are zeros by nature. What a torn write leaves out reads as zeros, so of a last block with such a
 * sector, should it be damaged later, nobody could tell that it was durable once (scan.ts). It counts only when another block
 * behind it says so.
 */

/** The smallest piece that a disk writes whole. */
export const SECTOR_BYTES = 512;

/** Whether all that a block at `position` of its file has of some sector is zeros. `bytes`: of the chunks, without padding. */
export function hasBlankSector(chunks: readonly Uint8Array[], position: number, bytes: number): boolean {
  const end = position + bytes;
  let at = position;
  let isBlank = true;
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length && at < end;) {
      const to = Math.min(chunk.length, from + SECTOR_BYTES - at % SECTOR_BYTES);
      if (isBlank) isBlank = isZeroFrom(chunk, from, to);
      at += to - from;
      from = to;
      if (at % SECTOR_BYTES !== 0) continue;
      if (isBlank) return true;
      isBlank = true;
    }
  }
  return isBlank && at % SECTOR_BYTES !== 0;
}

/** Without a view: it is asked for each sector that is written, and nearly always answered by the first byte. */
function isZeroFrom(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
