import { suite } from "uvu";
import * as assert from "uvu/assert";
import { layerProblems } from "../../../tools/lint/layers.ts";
import { houseProblems } from "../../../tools/lint/house.ts";
import { seamProblems } from "../../../tools/lint/seams.ts";

const lint = suite("the house rules");

const file = (path: string, text: string) => ({ path, text });

lint("an import may only point down", () => {
  assert.is(layerProblems(file("src/wire/a.ts", 'import { x } from "../records/entry.ts";')).length, 0);
  assert.is(layerProblems(file("src/records/a.ts", 'import { x } from "../wire/frames.ts";')).length, 1);
  assert.is(layerProblems(file("src/log/a.ts", 'import type { x } from "../../shards/host/host.ts";')).length, 1);
  assert.is(layerProblems(file("shards/host/a.ts", 'const x = await import("../../tools/cli/main.ts");')).length, 1);
  assert.is(layerProblems(file("src/raft/a.ts", 'import { x } from "../runtime/disk.ts";')).length, 1);
  assert.is(layerProblems(file("src/client/a.ts", 'export { x } from "../log/log.ts";')).length, 1);
  assert.is(layerProblems(file("src/elsewhere/a.ts", "")).length, 1);
});

lint("only src/runtime touches the world", () => {
  for (
    const text of [
      'import fs from "node:fs";',
      "const now = Date.now();",
      "const at = new Date();",
      "const x = Math.random();",
      "setTimeout(() => {}, 1);",
      "performance.now();",
      "process.exit(1);",
    ]
  ) {
    assert.is(seamProblems(file("shards/host/a.ts", text)).length, 1, text);
    assert.is(seamProblems(file("src/runtime/a.ts", text)).length, 0, text);
  }
  const harmless = ["// Date.now() is not used here", "const day = new Date(entry.timestampMs);", "this.process.x;"];
  for (const text of harmless) assert.is(seamProblems(file("src/log/a.ts", text)).length, 0, text);
});

lint("nothing loads native code", () => {
  assert.is(seamProblems(file("tools/a.ts", 'import { Encoder } from "cbor-x";')).length, 1);
  assert.is(seamProblems(file("shards/host/a.ts", 'import { Encoder } from "cbor-x/encode";')).length, 0);
});

lint("nothing is left for later", () => {
  const bad = ["// TO" + "DO: later", "let x: an" + "y;", "export default 1;", "// @ts-" + "ignore", "\n".repeat(501)];
  for (const text of bad) assert.is(houseProblems(file("src/log/a.ts", text)).length, 1, text);
});

lint.run();
