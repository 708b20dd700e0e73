/** A shop takes orders while its stock service is down; back again, that goes on where it was. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, startCluster } from "../../mod.ts";
import { type Example, mustHold, type Print } from "./example.ts";

const ARTICLES = 10;
const IN_STOCK = 100;
const ORDERS = 100;
const POLL_MS = 10;

export interface OrdersResult {
  readonly orders: number;
  readonly takenWhileDown: number;
  readonly lagWhileDown: number;
  readonly reserved: number;
}

export const orders: Example = {
  about: "orders are taken while the stock service is down, and reserved when it is back",
  run: runOrders,
};

export async function runOrders(print: Print): Promise<OrdersResult> {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { partitions: 4 });
  const shelves = new Shelves();

  let stock = startStock(client, shelves);
  await order(client, 0);
  await shelves.reachReserved(ORDERS);
  print(`stock is up:    ${ORDERS} orders taken, ${shelves.reserved} reserved`);

  await stock.close();
  await order(client, ORDERS);
  const lagWhileDown = await lagOf(client);
  print(`stock is down:  ${ORDERS} more taken, ${shelves.reserved} reserved, ${lagWhileDown} wait`);
  mustHold(shelves.reserved === ORDERS, "nobody reserves while the service is down");

  stock = startStock(client, shelves);
  await shelves.reachReserved(2 * ORDERS);
  print(`stock is back:  ${shelves.reserved} reserved`);
  await stock.close();
  mustHold(shelves.left === ARTICLES * IN_STOCK - 2 * ORDERS, "every order takes one article, once");
  return { orders: 2 * ORDERS, takenWhileDown: ORDERS, lagWhileDown, reserved: shelves.reserved };
}

/** Orders of one article each; a customer has an answer when the order is on a majority's disks. */
async function order(client: Client, firstId: number): Promise<void> {
  const records = Array.from({ length: ORDERS }, (_, i) => {
    const article = `article-${i % ARTICLES}`;
    return { key: article, value: JSON.stringify({ id: firstId + i, article }) };
  });
  await client.producer().sendAll("orders", records);
}

/** The service's own database: it knows which orders it has seen, as what it did last may come again. */
class Shelves {
  readonly #left = new Map(Array.from({ length: ARTICLES }, (_, i) => [`article-${i}`, IN_STOCK]));
  readonly #seen = new Set<number>();

  get reserved(): number {
    return this.#seen.size;
  }

  get left(): number {
    return [...this.#left.values()].reduce((sum, count) => sum + count, 0);
  }

  reserve({ id, article }: { id: number; article: string }): void {
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#left.set(article, this.#left.get(article)! - 1);
  }

  async reachReserved(wanted: number): Promise<void> {
    while (this.reserved < wanted) await delay(POLL_MS);
  }
}

function startStock(client: Client, shelves: Shelves): { close(): Promise<void> } {
  const consumer = client.consumer({ topics: ["orders"], group: "stock" });
  const running = (async () => {
    for await (const record of consumer) shelves.reserve(record.json() as { id: number; article: string });
  })();
  return {
    async close() {
      await consumer.close();
      await running;
    },
  };
}

async function lagOf(client: Client): Promise<number> {
  const places = await client.admin.describeGroup("orders", "stock");
  return places.reduce((sum, { waiting }) => sum + waiting, 0);
}
