/** The shapes in which a network falls apart: which directions are cut. */
import type { MachineId, SimulatedNetwork } from "./network.ts";
import type { SeededRandom } from "./random.ts";

/** Cuts, and says what. Clients stay connected with everyone. */
export class Cuts {
  readonly #network: SimulatedNetwork;
  readonly #ids: readonly MachineId[];
  readonly #random: SeededRandom;

  constructor(network: SimulatedNetwork, ids: readonly MachineId[], random: SeededRandom) {
    this.#network = network;
    this.#ids = ids;
    this.#random = random;
  }

  /** Two parts that do not hear of each other. */
  halves(): string {
    const border = this.#random.pick(this.#ids);
    const isInFirst = (id: MachineId) => id <= border;
    this.#cutWhere((a, b) => isInFirst(a) !== isInFirst(b));
    return `partition: ${this.#ids.filter(isInFirst)} from ${this.#ids.filter((id) => !isInFirst(id))}`;
  }

  alone(victim: MachineId): string {
    this.#cutWhere((a, b) => a === victim || b === victim);
    return `node ${victim} is cut off from all`;
  }

  /** As {@link alone}, and who dials across the cut is told that nothing listens there. */
  rejected(victim: MachineId): string {
    const others = this.#ids.filter((id) => id !== victim);
    for (const other of others) this.#network.reject(victim, other);
    return `node ${victim} is cut off from all, and seems to be gone`;
  }

  oneWay(): string {
    const from = this.#random.pick(this.#ids);
    const to = this.#random.pick(this.#ids.filter((id) => id !== from));
    this.#network.block(from, to);
    return `one way cut: ${from} to ${to}`;
  }

  /** Two parts that only one node hears both of. */
  bridge(): string {
    const bridge = this.#random.pick(this.#ids);
    const others = this.#ids.filter((id) => id !== bridge);
    const left = new Set(others.filter((_, position) => position < others.length / 2));
    this.#cutWhere((a, b) => a !== bridge && b !== bridge && left.has(a) !== left.has(b));
    return `bridge: only node ${bridge} reaches all`;
  }

  /** Each node reaches its neighbours only: of five, every one still sees a majority, and each another one. */
  ring(): string {
    const count = this.#ids.length;
    const isNear = (a: MachineId, b: MachineId) => [1, count - 1].includes((a - b + count) % count);
    this.#cutWhere((a, b) => !isNear(a, b));
    return "ring: every node reaches its two neighbours only";
  }

  #cutWhere(isCut: (a: MachineId, b: MachineId) => boolean): void {
    for (const a of this.#ids) {
      for (const b of this.#ids) if (a !== b && isCut(a, b)) this.#network.block(a, b);
    }
  }
}
