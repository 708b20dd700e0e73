import type { MetadataService } from "../../shards/metadata/service.ts";

/** Ids that a node takes from the metadata shard at once. What it has not handed out when it stops is never used. */
const BLOCK_IDS = 1_000;

/** Hands out producer ids, unique in the cluster for ever. */
export class ProducerIds {
  readonly #metadata: MetadataService;
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;

  constructor(metadata: MetadataService) {
    this.#metadata = metadata;
  }

  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#refill ??= this.#takeBlock().finally(() => {
        this.#refill = undefined;
      });
      await this.#refill;
    }
    return this.#next++;
  }

  async #takeBlock(): Promise<void> {
    const block = await this.#metadata.execute({ type: "allocateProducerIds", count: BLOCK_IDS });
    const { first, count } = block as { first: number; count: number };
    this.#next = first;
    this.#end = first + count;
  }
}
