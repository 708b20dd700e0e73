/**
 * Ranges of offsets, flat: `[start, end, start, end, …]`, ends excluded, ascending, not touching. In messages and log
 * entries they go as distances, `[start, length, gap, length, …]`: small numbers, a byte or two each.
 */

/** `[start, end, …]`, see above. */
export type Ranges = number[];

/** How many offsets are in it. */
export function countOffsets(ranges: readonly number[]): number {
  let count = 0;
  for (let i = 0; i < ranges.length; i += 2) count += ranges[i + 1]! - ranges[i]!;
  return count;
}

/** Adds a range that is not below the last one; joins the two where they touch. */
export function appendRange(ranges: Ranges, start: number, end: number): void {
  const last = ranges.length - 1;
  if (last > 0 && ranges[last] === start) ranges[last] = end;
  else ranges.push(start, end);
}

/** Offsets in any order, each once, as ranges. */
export function rangesOf(offsets: readonly number[]): Ranges {
  const ranges: Ranges = [];
  for (const offset of [...offsets].sort((a, b) => a - b)) appendRange(ranges, offset, offset + 1);
  return ranges;
}

export function toDistances(ranges: readonly number[]): number[] {
  const distances = new Array<number>(ranges.length);
  let at = 0;
  for (let i = 0; i < ranges.length; i++) {
    distances[i] = ranges[i]! - at;
    at = ranges[i]!;
  }
  return distances;
}

/** Undefined where they are none: an odd number of them, an empty range, ranges that touch, or beyond 2^53 - 1. */
export function fromDistances(distances: readonly number[]): Ranges | undefined {
  if (distances.length % 2 !== 0) return undefined;
  const ranges = new Array<number>(distances.length);
  let at = 0;
  for (let i = 0; i < distances.length; i++) {
    const distance = distances[i]!;
    if (distance < 1 && i > 0) return undefined;
    at += distance;
    ranges[i] = at;
  }
  return Number.isSafeInteger(at) ? ranges : undefined;
}
