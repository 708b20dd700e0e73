/** Bookings that fail are tried again; what cannot succeed is set aside, repaired, and replayed. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, RaftlineError, startCluster } from "../../mod.ts";
import { type Example, mustHold, type Print } from "./example.ts";

const BOOKINGS = 60;
const DELIVERIES_MAX = 3;
const RETRY_MS = 20;
const POLL_MS = 10;

interface Booking {
  readonly id: number;
  readonly account: string;
  readonly amount: number;
}

export interface BookingsResult {
  readonly bookings: number;
  /** Booked only after a failure. */
  readonly retried: number;
  readonly dead: number;
  readonly replayed: number;
  readonly booked: number;
}

export const bookings: Example = {
  about: "failed bookings are repeated; dead letters are repaired and replayed",
  run: runBookings,
};

export async function runBookings(print: Print): Promise<BookingsResult> {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("bookings", { partitions: 2 });
  await client.admin.createTopic("bookings.dead");
  const books = new Books();
  const queue = client.queue("bookings", {
    group: "books",
    deliveriesMax: DELIVERIES_MAX,
    deadLetter: "bookings.dead",
  });
  const booking = queue.run((message) => books.book(message.json() as Booking), { backOffMsFirst: RETRY_MS });

  // Every fifth meets a service that is out of order for a moment; every tenth has an account that is none.
  const all = Array.from({ length: BOOKINGS }, (_, id) => {
    return { id, account: id % 10 === 9 ? "" : `account-${id % 7}`, amount: 100 + id };
  });
  await client.producer().sendAll("bookings", all.map((one) => ({ key: one.account, value: JSON.stringify(one) })));
  const dead = all.filter(({ account }) => account === "").length;
  await until(() => books.size === BOOKINGS - dead);
  print(`${books.size} of ${BOOKINGS} booked, ${books.retried} of them at the second attempt`);

  const letters = await readLetters(client, dead);
  for (const { booking: { id }, reason } of letters.slice(0, 1)) print(`booking ${id} was given up: ${reason}`);
  print(`${letters.length} dead letters: repaired and sent again`);
  const repaired = letters.map(({ booking: one }) => ({ ...one, account: "account-unknown" }));
  await client.producer().sendAll(
    "bookings",
    repaired.map((one) => ({ key: one.account, value: JSON.stringify(one) })),
  );
  await until(() => books.size === BOOKINGS);
  print(`${books.size} of ${BOOKINGS} booked`);

  await queue.close();
  await booking;
  mustHold(books.total === all.reduce((sum, { amount }) => sum + amount, 0), "every amount is booked once");
  return {
    bookings: BOOKINGS,
    retried: books.retried,
    dead: letters.length,
    replayed: repaired.length,
    booked: books.size,
  };
}

/** The service: books each booking once, by its number, as what was booked may come again. */
class Books {
  readonly #booked = new Map<number, number>();
  readonly #tried = new Set<number>();
  retried = 0;

  get size(): number {
    return this.#booked.size;
  }

  get total(): number {
    return [...this.#booked.values()].reduce((sum, amount) => sum + amount, 0);
  }

  /** @throws {Error} no such account, or out of order */
  book({ id, account, amount }: Booking): void {
    if (account === "") throw new Error("there is no such account");
    const isFirst = !this.#tried.has(id);
    this.#tried.add(id);
    if (isFirst && id % 5 === 0) throw new Error("out of order, for a moment");
    if (!isFirst && !this.#booked.has(id)) this.retried += 1;
    this.#booked.set(id, amount);
  }
}

interface Letter {
  readonly booking: Booking;
  readonly reason: string;
}

async function readLetters(client: Client, wanted: number): Promise<Letter[]> {
  const letters: Letter[] = [];
  for await (const record of client.consumer({ topics: ["bookings.dead"], group: "repair" })) {
    const reason = String(record.headers["raftline-dead-reason"]);
    letters.push({ booking: record.json() as Booking, reason });
    if (letters.length === wanted) return letters;
  }
  throw new RaftlineError("CLOSED", "the dead letters ended early");
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(POLL_MS);
}
