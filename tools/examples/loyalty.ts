/** Purchases earn points. A node is killed in the middle, and the totals are exact. */
import fs from "node:fs";
import { connect } from "../../mod.ts";
import { NodeProcesses } from "../processes/node-processes.ts";
import { temporaryFolder } from "../processes/temporary-folder.ts";
import { type Example, mustHold, type Print } from "./example.ts";

const CUSTOMERS = 50;
const PURCHASES = 20_000;
const KILL_AT = PURCHASES / 3;
const CHUNK = 200;

export interface LoyaltyResult {
  readonly purchases: number;
  readonly killedNode: number;
  readonly pointsEarned: number;
  readonly pointsCounted: number;
  readonly customersExact: number;
}

export const loyalty: Example = {
  about: "points are counted while a node is killed with SIGKILL: the totals are exact",
  run: runLoyalty,
};

export async function runLoyalty(print: Print): Promise<LoyaltyResult> {
  const folder = temporaryFolder("raftline-loyalty-");
  const processes = await NodeProcesses.start({ folder, logLevel: "error" });
  print(`three nodes: processes ${processes.ids.map((id) => processes.pidOf(id)).join(", ")}`);
  try {
    await using client = await connect(processes.bootstrap());
    const { partitions } = await client.admin.createTopic("purchases", { partitions: 6, replicas: 3 });
    const counted = new Points();
    const consumer = client.consumer({ topics: ["purchases"], group: "loyalty" });
    const counting = (async () => {
      for await (const { partition, offset, ...record } of withPlace(consumer)) {
        counted.add(partition, offset, record.customer, record.points);
        if (counted.purchases === PURCHASES) return;
      }
    })();

    const earned = new Map<string, number>();
    const producer = client.producer();
    let killedNode = 0;
    for (let sent = 0; sent < PURCHASES; sent += CHUNK) {
      if (killedNode === 0 && sent >= KILL_AT) {
        killedNode = partitions[0]!.leader;
        await processes.kill(killedNode);
        print(`${sent} purchases: node ${killedNode} is killed`);
      }
      const purchases = Array.from({ length: CHUNK }, (_, i) => {
        const customer = `customer-${(sent + i) % CUSTOMERS}`;
        const points = 1 + ((sent + i) * 7) % 13;
        earned.set(customer, (earned.get(customer) ?? 0) + points);
        return { key: customer, value: String(points) };
      });
      await producer.sendAll("purchases", purchases);
    }
    await counting;
    const exact = [...earned].filter(([customer, points]) => counted.of(customer) === points);
    const pointsEarned = sumOf(earned.values());
    print(`${PURCHASES} purchases: ${pointsEarned} points earned, ${counted.total} counted`);
    mustHold(exact.length === CUSTOMERS, "every customer has exactly the points of their purchases");
    return {
      purchases: PURCHASES,
      killedNode,
      pointsEarned,
      pointsCounted: counted.total,
      customersExact: exact.length,
    };
  } finally {
    await processes.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Totals, and how far each partition is in them, kept together (in one transaction, were this a database): a record that
 * comes again after a failure is known by its offset.
 */
class Points {
  readonly #totals = new Map<string, number>();
  readonly #next = new Map<number, number>();
  purchases = 0;

  get total(): number {
    return sumOf(this.#totals.values());
  }

  of(customer: string): number {
    return this.#totals.get(customer) ?? 0;
  }

  add(partition: number, offset: number, customer: string, points: number): void {
    if (offset < (this.#next.get(partition) ?? 0)) return;
    this.#next.set(partition, offset + 1);
    this.#totals.set(customer, this.of(customer) + points);
    this.purchases += 1;
  }
}

interface PurchaseRecord {
  readonly partition: number;
  readonly offset: number;
  keyText(): string | null;
  text(): string;
}

async function* withPlace(records: AsyncIterable<PurchaseRecord>) {
  for await (const record of records) {
    const { partition, offset } = record;
    yield { partition, offset, customer: record.keyText()!, points: Number(record.text()) };
  }
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
