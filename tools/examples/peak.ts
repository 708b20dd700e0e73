/** A burst meets a service of fixed speed: the queue takes it at once and hands it on as the service can. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, startCluster } from "../../mod.ts";
import { type Example, mustHold, type Print } from "./example.ts";

const BURST = 100_000;
const SERVICE_PER_SECOND = 25_000;
const LOOK_MS = 250;
const BAR_WIDTH = 50;

export interface PeakOptions {
  readonly burst?: number;
  readonly servicePerSecond?: number;
}

export interface PeakResult {
  readonly burst: number;
  readonly acceptedMs: number;
  readonly drainedMs: number;
  readonly waitingMax: number;
  readonly served: number;
}

export const peak: Example = {
  about: "a burst of 100,000 against a service of fixed speed, the queue's depth drawn",
  run: (print) => runPeak(print),
};

export async function runPeak(print: Print, options: PeakOptions = {}): Promise<PeakResult> {
  const { burst = BURST, servicePerSecond = SERVICE_PER_SECOND } = options;
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("requests", { partitions: 4 });
  const startedMs = performance.now();

  const service = startService(client, servicePerSecond);
  await client.producer().sendAll("requests", Array.from({ length: burst }, (_, i) => ({ value: `request ${i}` })));
  const acceptedMs = Math.round(performance.now() - startedMs);
  print(`${burst} requests accepted in ${acceptedMs} ms; the service does ${servicePerSecond} a second`);

  let waitingMax = 0;
  for (;;) {
    const waiting = await waitingOf(client);
    waitingMax = Math.max(waitingMax, waiting);
    print(`${"█".repeat(Math.ceil((waiting / burst) * BAR_WIDTH)).padEnd(BAR_WIDTH)} ${waiting} wait`);
    if (waiting === 0) break;
    await delay(LOOK_MS);
  }
  const drainedMs = Math.round(performance.now() - startedMs);
  await service.close();
  print(`all served after ${drainedMs} ms`);
  mustHold(service.served() === burst, "every request is served once");
  return { burst, acceptedMs, drainedMs, waitingMax, served: service.served() };
}

/** It takes what it can do, and no faster. */
function startService(client: Client, perSecond: number) {
  const queue = client.queue("requests", { group: "service" });
  let served = 0;
  const running = (async () => {
    let freeAtMs = performance.now();
    for await (const messages of queue.batches()) {
      freeAtMs = Math.max(freeAtMs, performance.now()) + (messages.length * 1_000) / perSecond;
      await delay(Math.max(0, freeAtMs - performance.now()));
      await queue.ackAll(messages);
      served += messages.length;
    }
  })();
  return {
    served: () => served,
    async close() {
      await queue.close();
      await running;
    },
  };
}

/** Not acknowledged yet: waiting, or in the service's hands. */
async function waitingOf(client: Client): Promise<number> {
  const places = await client.admin.describeGroup("requests", "service");
  return places.reduce((sum, { waiting, leased, delayed }) => sum + waiting + leased + delayed, 0);
}
