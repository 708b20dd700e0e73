import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommandLine } from "./command-line.ts";

const groups = suite("consumer groups on the command line");

groups("consume goes on where the group was; describe and reset say and change where that is", async () => {
  await using raftline = await CommandLine.start(3);
  const { client } = raftline;
  await client.admin.createTopic("orders");
  await client.producer().sendAll("orders", Array.from({ length: 10 }, (_, i) => ({ value: `order ${i}` })));
  const consume = async (max: number) => {
    const { code, out } = await raftline.run("consume", "orders", "--group", "stock", "--max", `${max}`);
    return { code, out };
  };
  assert.equal(await consume(4), { code: 0, out: "order 0\norder 1\norder 2\norder 3\n" });
  assert.equal(await consume(2), { code: 0, out: "order 4\norder 5\n" });
  const [place] = await raftline.json("group", "describe", "stock", "--topic", "orders");
  assert.equal([place!.floor, place!.waiting, place!.member], [6, 4, ""]);
  await raftline.json("group", "reset", "stock", "--topic", "orders", "--to", "9");
  assert.equal(await consume(1), { code: 0, out: "order 9\n" });
  await raftline.fail(["USAGE", "consume", "orders", "--group", "stock", "--until-end"]);
});

groups("a live member is seen, and its group is not reset", async () => {
  await using raftline = await CommandLine.start(1);
  const { client } = raftline;
  await client.admin.createTopic("orders", { replicas: 1 });
  await client.producer().send("orders", { value: "one" });
  const consumer = client.consumer({ topics: ["orders"], group: "stock", instanceId: "desk-1" });
  await consumer[Symbol.asyncIterator]().next();
  const rows = await raftline.json("group", "list");
  assert.equal(rows.map((row) => [row.group, row.members]), [["stock", 1]]);
  assert.is((await raftline.json("group", "describe", "stock"))[0]!.member, "desk-1");
  await raftline.fail(["GROUP_ACTIVE", "group", "reset", "stock", "--topic", "orders", "--to", "earliest"]);
});

groups("consume whose output is read no further ends quietly, and the group has what was read", async () => {
  await using raftline = await CommandLine.start(1);
  await raftline.topicWith("long", 50_000);
  const { code, out, err } = await raftline.firstLine("consume", "long", "--group", "head");
  assert.equal([code, out, err], [0, "0", ""]);
  const [place] = await raftline.json("group", "describe", "head", "--topic", "long");
  assert.is(place!.member, "");
  // What the pipe holds was printed, too.
  assert.ok((place!.floor as number) > 0 && (place!.floor as number) < 50_000, `${place!.floor}`);
});

groups.run();
