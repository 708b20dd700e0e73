/** What is done beside the writing: the reserve and sealing, one after the other, and giving back, which may take long. */
import PQueue from "p-queue";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { inBackground } from "./background.ts";
import type { FileSet } from "./file-set.ts";
import type { GroupTable } from "./group-table.ts";
import type { Reclaimer } from "./reclaim.ts";
import { sealFiles } from "./seal.ts";

export class Maintenance {
  readonly #runtime: Runtime;
  readonly #files: FileSet;
  readonly #groups: GroupTable;
  readonly #reclaimer: Reclaimer;
  readonly #lane = new PQueue({ concurrency: 1 });
  readonly #reclaiming = new PQueue({ concurrency: 1 });
  readonly #retryMs: number;
  #again: Timer | undefined;
  #waiting = false;
  #closed = false;

  constructor(runtime: Runtime, files: FileSet, groups: GroupTable, reclaimer: Reclaimer, retryMs: number) {
    this.#runtime = runtime;
    this.#retryMs = retryMs;
    this.#files = files;
    this.#groups = groups;
    this.#reclaimer = reclaimer;
  }

  /** Looks, after what is under way, whether there is a file to seal, and then, whether there is one to free. */
  wake(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.add(async () => {
      this.#waiting = false;
      await sealFiles(this.#runtime, this.#files, this.#groups);
      // One that waits is enough: it looks at all there is then.
      if (this.#reclaiming.size === 0) this.#run(this.#reclaiming, () => this.#reclaim());
    });
  }

  /** What the disk has no room for now it may have room for later, though nothing is written here in between. */
  async #reclaim(): Promise<void> {
    this.#again?.cancel();
    this.#again = undefined;
    if (await this.#reclaimer.run() || this.#closed) return;
    this.#again = this.#runtime.timers.after(this.#retryMs, () => this.wake());
  }

  add(work: () => Promise<void>): void {
    if (!this.#closed) this.#run(this.#lane, work);
  }

  /** Ends after what is under way. What the writer still writes sets off nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#again?.cancel();
    this.#lane.clear();
    await this.#lane.onIdle();
    this.#reclaimer.stop();
    this.#reclaiming.clear();
    await this.#reclaiming.onIdle();
    this.#again?.cancel();
  }

  #run(lane: PQueue, work: () => Promise<void>): void {
    inBackground(this.#runtime, "the log cannot be maintained", lane.add(work));
  }
}
