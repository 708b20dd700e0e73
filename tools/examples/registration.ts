/** Somebody registers. Mail and SMS take their time: the answer need not wait for them. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, startCluster } from "../../mod.ts";
import { type Example, mustHold, type Print } from "./example.ts";

/** One unit of the services' time, as a millisecond. */
const DATABASE_UNITS = 50;
const MAIL_UNITS = 50;
const SMS_UNITS = 50;
const REGISTRATIONS = 10;

const saveUser = () => delay(DATABASE_UNITS);
const sendMail = () => delay(MAIL_UNITS);
const sendSms = () => delay(SMS_UNITS);

export interface RegistrationResult {
  /** Median time until the user has an answer, in units. */
  readonly serialUnits: number;
  readonly parallelUnits: number;
  readonly queueUnits: number;
  readonly mails: number;
  readonly messages: number;
}

export const registration: Example = {
  about: "mail and SMS in the background: the answer after 150, 100, 55 units",
  run: runRegistration,
};

export async function runRegistration(print: Print): Promise<RegistrationResult> {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("registrations");
  const producer = client.producer();

  const serialUnits = await quickest(async () => {
    await saveUser();
    await sendMail();
    await sendSms();
  });
  print(`one after the other:    the user waits ${serialUnits} units`);

  const parallelUnits = await quickest(async () => {
    await saveUser();
    await Promise.all([sendMail(), sendSms()]);
  });
  print(`at the same time:       the user waits ${parallelUnits} units`);

  // Two groups: each gets every registration once, and neither waits for the other.
  const mail = background(client, "mail", sendMail);
  const sms = background(client, "sms", sendSms);
  let users = 0;
  const queueUnits = await quickest(async () => {
    await saveUser();
    await producer.send("registrations", { key: `user-${++users}`, value: "registered" });
  });
  print(`through a queue:        the user waits ${queueUnits} units`);

  const [mails, messages] = await Promise.all([mail.finished(users), sms.finished(users)]);
  print(`sent in the background: ${mails} mails, ${messages} SMS for ${users} users`);
  mustHold(mails === users && messages === users, "everybody gets one mail and one SMS");
  return { serialUnits, parallelUnits, queueUnits, mails, messages };
}

/** A service that works off its group's queue. */
function background(client: Client, group: string, work: () => Promise<void>) {
  const queue = client.queue("registrations", { group });
  let done = 0;
  let told = () => {};
  const running = queue.run(async () => {
    await work();
    done += 1;
    told();
  });
  return {
    /** Resolves with how many it did, when that is `wanted`. */
    async finished(wanted: number): Promise<number> {
      while (done < wanted) await new Promise<void>((resolve) => told = resolve);
      // What is done is acknowledged before the queue is left.
      await queue.close();
      await running;
      return done;
    },
  };
}

/** Of several registrations: a slower one was held up by what else this machine does. */
async function quickest(register: () => Promise<unknown>): Promise<number> {
  let units = Infinity;
  for (let i = 0; i < REGISTRATIONS; i++) {
    const startedMs = performance.now();
    await register();
    units = Math.min(units, performance.now() - startedMs);
  }
  return Math.round(units);
}
