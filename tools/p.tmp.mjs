import { simulate } from "../dist/tools/simulator/simulation.js";
const t0 = performance.now();
const c0 = process.cpuUsage();
let sim = 0, ev = 0;
for (let seed = 1; seed <= 25; seed++) {
  const o = await simulate({ seed });
  sim += o.simulatedSeconds ?? 0;
  ev += o.events ?? 0;
}
const c = process.cpuUsage(c0);
console.log("sim s", sim, "events", ev, "cpu s", (c.user + c.system) / 1e6, "wall", (performance.now() - t0) / 1e3);
