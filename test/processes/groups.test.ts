import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, startCluster } from "../../mod.ts";
import { spawnProgram } from "../../tools/processes/self.ts";

const groups = suite("consumer groups on the command line");

/** Its exit code, and what it printed on standard output. */
async function raftline(...args: string[]): Promise<{ code: number | null; out: string }> {
  const child = spawnProgram("cli/main", args, { stdio: ["ignore", "pipe", "ignore"] });
  let out = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => out += text);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out };
}

groups("consume goes on where the group was; describe and reset say and change where that is", async () => {
  await using cluster = await startCluster({ nodes: 3 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders");
  await client.producer().sendAll("orders", Array.from({ length: 10 }, (_, i) => ({ value: `order ${i}` })));
  const at = ["--bootstrap", cluster.bootstrap.join(",")];
  const consume = (max: number) => raftline("consume", "orders", "--group", "stock", "--max", `${max}`, ...at);
  assert.equal(await consume(4), { code: 0, out: "order 0\norder 1\norder 2\norder 3\n" });
  assert.equal(await consume(2), { code: 0, out: "order 4\norder 5\n" });
  const { out } = await raftline("group", "describe", "stock", "--topic", "orders", "--json", ...at);
  const [place] = JSON.parse(out);
  assert.equal([place.floor, place.waiting, place.member], [6, 4, ""]);
  const reset = await raftline("group", "reset", "stock", "--topic", "orders", "--to", "9", "--json", ...at);
  assert.is(reset.code, 0);
  assert.equal(await consume(1), { code: 0, out: "order 9\n" });
  assert.is((await raftline("consume", "orders", "--group", "stock", "--until-end", ...at)).code, 2);
});

groups("a live member is seen, and its group is not reset", async () => {
  await using cluster = await startCluster({ nodes: 1 });
  await using client = await connect(cluster.bootstrap);
  await client.admin.createTopic("orders", { replicas: 1 });
  await client.producer().send("orders", { value: "one" });
  const consumer = client.consumer({ topics: ["orders"], group: "stock", instanceId: "desk-1" });
  await consumer[Symbol.asyncIterator]().next();
  const at = ["--bootstrap", cluster.bootstrap.join(",")];
  const { out } = await raftline("group", "list", "--json", ...at);
  assert.equal(JSON.parse(out).map((row: Record<string, unknown>) => [row.group, row.members]), [["stock", 1]]);
  const described = await raftline("group", "describe", "stock", "--json", ...at);
  assert.is(JSON.parse(described.out)[0].member, "desk-1");
  const reset = await raftline("group", "reset", "stock", "--topic", "orders", "--to", "earliest", ...at);
  assert.is(reset.code, 1);
});

groups.run();
