/**
 * Reads of a file that go around the page cache (open(2), O_DIRECT), for what is not read again soon. Through it the
 * kernel reads ahead of each piece, which is wrong where the pieces that are wanted lie apart: a consumer of 16
 * partitions had 1.7 times what it got read from the disk.
 *
 * Such a read wants whole sectors into aligned memory, of which there is little: from there it is copied.
 */
import { AlignedMemory } from "./aligned-memory.ts";

/** Every disk takes these. */
const SECTOR_BYTES = 4_096;
const SLOT_BYTES = 256 * 1024;
const SLOTS = 16;

/** Pieces of aligned memory, one for each read under way. */
export class AlignedSlots {
  #free: Uint8Array[] | undefined;

  /** Undefined if all are taken. */
  take(): Uint8Array | undefined {
    this.#free ??= slotsOf(new AlignedMemory(SLOTS * SLOT_BYTES).bytes);
    return this.#free.pop();
  }

  give(slot: Uint8Array): void {
    this.#free!.push(slot);
  }
}

function slotsOf(memory: Uint8Array): Uint8Array[] {
  return Array.from({ length: SLOTS }, (_, at) => memory.subarray(at * SLOT_BYTES, (at + 1) * SLOT_BYTES));
}

/** The system's call on an unbuffered descriptor. Returns the bytes read. Rejects with the platform's error. */
export type ReadDirect = (into: Uint8Array, position: number) => Promise<number>;

export class DirectReads {
  readonly #readDirect: ReadDirect;
  readonly #slots: AlignedSlots;
  #supported = true;

  constructor(readDirect: ReadDirect, slots: AlignedSlots) {
    this.#readDirect = readDirect;
    this.#slots = slots;
  }

  /** Fills `into` as far as the file goes. Undefined: it has to be read another way. */
  async read(into: Uint8Array, position: number): Promise<number | undefined> {
    const slot = this.#supported ? this.#slots.take() : undefined;
    if (!slot) return undefined;
    try {
      return await this.#fill(into, position, slot);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
      this.#supported = false;
      return undefined;
    } finally {
      this.#slots.give(slot);
    }
  }

  async #fill(into: Uint8Array, position: number, slot: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const from = position + filled;
      const lead = from % SECTOR_BYTES;
      const wanted = Math.min(into.length - filled, SLOT_BYTES - lead);
      const sectors = Math.ceil((lead + wanted) / SECTOR_BYTES) * SECTOR_BYTES;
      const read = await this.#readDirect(slot.subarray(0, sectors), from - lead);
      const count = Math.min(wanted, read - lead);
      if (count <= 0) break;
      into.set(slot.subarray(lead, lead + count), filled);
      filled += count;
      // The file ends within it.
      if (read < sectors) break;
    }
    return filled;
  }
}
