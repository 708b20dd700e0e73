import type { SpawnOptions } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { spawnProgram } from "../../tools/processes/self.ts";
import { CANARIES } from "../../tools/simulator/canaries.ts";
import { catchCanary } from "../../tools/simulator/canary-run.ts";
import { minimize } from "../../tools/simulator/minimize.ts";
import { failureText, replayCommand } from "../../tools/simulator/report.ts";
import { simulate } from "../../tools/simulator/simulation.ts";

const command = suite("npm run sim");

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function sim(...args: string[]): Promise<Ended> {
  const options: SpawnOptions = { stdio: ["ignore", "pipe", "pipe"] };
  const child = spawnProgram("simulator/main", args, options);
  return new Promise((resolve) => {
    let out = "";
    let err = "";
    child.stdout!.on("data", (chunk) => out += chunk);
    child.stderr!.on("data", (chunk) => err += chunk);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

command("ends with 2 and says why when the input is wrong", async () => {
  const wrong: [string[], RegExp][] = [
    [["--seed", "tomorrow"], /--seed wants a whole number.*tomorrow/],
    [["--seeds", "1.5"], /--seeds wants a whole number/],
    [["--seeds", "0"], /--seeds wants a whole number/],
    [["--faults", "crash,earthquake"], /there is no fault "earthquake"/],
    [["--trace"], /--seed/],
  ];
  for (const [args, message] of wrong) {
    const { code, err } = await sim(...args);
    assert.is(code, 2, args.join(" "));
    assert.match(err, message);
  }
  const { code, out } = await sim("--seed", "x", "--json");
  assert.is(code, 2);
  assert.is(JSON.parse(out).error.code, "USAGE");
});

command("its last line says what was done, workers or none", async () => {
  const runs = await Promise.all(
    ["1", "2"].map((workers) => sim("--seeds", "3", "--seconds", "3", "--json", "--workers", workers)),
  );
  const results = runs.map(({ code, out }) => {
    assert.is(code, 0, out);
    const { wallSeconds, ...result } = JSON.parse(out.trim().split("\n").at(-1)!);
    assert.ok(wallSeconds > 0);
    return result;
  });
  assert.equal(results[0], results[1]);
  assert.equal(Object.keys(results[0]), ["seeds", "failures", "simulatedSeconds", "events", "faults"]);
  assert.is(results[0].seeds, 3);
  assert.is(results[0].failures, 0);
});

const bug = CANARIES.find(({ name }) => name === "skip an entry when reading")!;

command("a failure shows the seed, the invariant, the last events and the command that shows it again", async () => {
  const takeOut = bug.plant();
  try {
    const outcome = await simulate({ seed: 1 });
    const text = failureText(outcome, { seconds: 15, faults: ["crash"] });
    assert.match(text, `seed 1: ${outcome.violation!.invariant}`);
    assert.match(text, "npm run sim -- --seed 1 --faults crash --trace");
    assert.match(text, /\d\.\d{4} s {2}VIOLATION/);
    assert.is(replayCommand(4, { seconds: 2, faults: [] }), "npm run sim -- --seed 4 --seconds 2 --faults none");
  } finally {
    takeOut();
  }
});

command("a failure is made smaller", async () => {
  const takeOut = bug.plant();
  try {
    const found = await minimize(2, 15, undefined);
    assert.ok(found?.outcome.violation);
    assert.equal(found.faults, [], "this one needs no fault");
    assert.ok(found.seconds < 15);
  } finally {
    takeOut();
  }
  assert.is(await minimize(1, 2, []), undefined, "a seed that does not fail has nothing smaller");
});

command("a run that comes to nothing ends with the reason", async () => {
  const silent = {
    name: "",
    plant: CANARIES.find(({ name }) => name === "lose the last entry of a write")!.plant,
  };
  const { caught } = await catchCanary(silent, { seconds: 3, seedsMax: 3 });
  assert.ok(caught);
});

command.run();
