import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runBookings } from "../../tools/examples/bookings.ts";
import { runMoney } from "../../tools/examples/money.ts";
import { runOrders } from "../../tools/examples/orders.ts";
import { runPeak } from "../../tools/examples/peak.ts";
import { runRegistration } from "../../tools/examples/registration.ts";

const examples = suite("examples");

examples("registration: the answer is quicker at the same time, and quickest through a queue", async () => {
  const { serialUnits, parallelUnits, queueUnits, mails, messages } = await runRegistration(() => {});
  // A timer may be a little early.
  assert.ok(serialUnits >= 145 && parallelUnits >= 95 && queueUnits >= 48);
  assert.ok(queueUnits < parallelUnits && parallelUnits < serialUnits, `${serialUnits} ${parallelUnits} ${queueUnits}`);
  assert.equal([mails, messages], [10, 10]);
});

examples("orders: what was taken while the stock service was down is reserved when it is back", async () => {
  const { takenWhileDown, lagWhileDown, reserved, orders } = await runOrders(() => {});
  // The record in hand when the service went down may have to be done again.
  assert.ok(lagWhileDown >= takenWhileDown && lagWhileDown <= takenWhileDown + 1);
  assert.is(reserved, orders);
});

examples("bookings: all are booked in the end, those given up after repair", async () => {
  const result = await runBookings(() => {});
  assert.equal(result, { bookings: 60, retried: 12, dead: 6, replayed: 6, booked: 60 });
});

examples("peak: a burst is accepted faster than it is served, and all of it is served", async () => {
  const lines: string[] = [];
  const result = await runPeak((line) => lines.push(line), { burst: 20_000, servicePerSecond: 10_000 });
  assert.is(result.served, 20_000);
  assert.ok(result.acceptedMs < result.drainedMs && result.waitingMax > 5_000);
  assert.ok(lines.some((line) => line.includes("██")));
});

examples("money: the same balance on every replica, through leader changes", async () => {
  const { balances, expected, leaders } = await runMoney(() => {});
  assert.equal(balances, [expected, expected, expected]);
  assert.is(new Set(leaders).size, 3);
});

examples.run();
