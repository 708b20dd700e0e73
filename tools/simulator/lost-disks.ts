/** A node whose disk is replaced: by an empty one, or by an old copy of itself. */
import type { SimulatedCluster } from "./cluster.ts";
import type { MachineId } from "./network.ts";

interface Copy {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The last one that it knows of. */
  readonly run: number | undefined;
}

const NO_FILES: ReadonlyMap<string, Uint8Array> = new Map();

/** All of it befalls one node, so that of each entry that is committed a good copy remains. */
export class LostDisks {
  readonly #cluster: SimulatedCluster;
  readonly #victim: MachineId;
  #copy: Copy | undefined;

  constructor(cluster: SimulatedCluster, victim: MachineId) {
    this.#cluster = cluster;
    this.#victim = victim;
  }

  /** The victim is killed, and has an empty disk. */
  empty(): void {
    this.#cluster.kill(this.#victim);
    this.#cluster.replaceDisk(this.#victim, NO_FILES);
  }

  /** The victim is killed; the first time a copy of its disk is taken, the next time that takes the disk's place. */
  rollBack(): void {
    const cluster = this.#cluster;
    const node = cluster.nodeOf(this.#victim);
    if (!node) return;
    const run = node.memory.lastRun;
    const copy = this.#copy;
    if (!copy) {
      cluster.kill(this.#victim);
      const disk = cluster.diskOf(this.#victim);
      this.#copy = { files: new Map(disk.paths().map((path) => [path, disk.bytes(path)])), run };
    } else if (run !== copy.run && this.#isMetByAll()) {
      cluster.kill(this.#victim);
      cluster.replaceDisk(this.#victim, copy.files);
      this.#copy = undefined;
    }
  }

  /** Nobody can tell that a copy is old who has not met a later run: that is the limit of what is promised. */
  #isMetByAll(): boolean {
    const node = this.#cluster.nodeOf(this.#victim);
    return this.#cluster.ids.every((id) => id === this.#victim || node?.peers.isAlive(id));
  }
}
