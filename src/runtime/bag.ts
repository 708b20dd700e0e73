/**
 * Objects that come and go all the time. A `Set` of such, or a `Map`, makes a new table every few of them, and the old one
 * points to the new one and to all that was in it (V8, `OrderedHashTable::SetNextTable`). Once a table has become old,
 * all that follow it are kept until the whole heap is marked, with the requests that were open then and their frames: 13
 * to 20 % of what a leader received, and a marking for it every few seconds.
 */

/** What a bag holds says where it is. In one bag at a time. */
export interface Bagged {
  /** The bag's own mark; -1 where it is in none. */
  place: number;
}

/**
 * @example
 * const open = new Bag<Request>();
 * open.add(request);
 * open.delete(request);
 */
export class Bag<T extends Bagged> {
  /** In no order: who leaves is replaced by the last. */
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#items[item.place] === item;
  }

  /** It is in no bag yet. */
  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** False: it was not here. */
  delete(item: T): boolean {
    const { place } = item;
    if (this.#items[place] !== item) return false;
    const last = this.#items.pop()!;
    if (last !== item) {
      this.#items[place] = last;
      last.place = place;
    }
    item.place = -1;
    return true;
  }

  clear(): void {
    for (const item of this.#items) item.place = -1;
    this.#items.length = 0;
  }

  /** As they are now: they may go, and others come, meanwhile. */
  all(): T[] {
    return [...this.#items];
  }
}
