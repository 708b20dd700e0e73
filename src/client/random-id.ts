import type { Random } from "../runtime/runtime.ts";

const ID_BYTES = 12;

/** A name that nobody else has: 24 hexadecimal digits. */
export function randomId(random: Random): string {
  return Array.from(random.bytes(ID_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
