/** `npm run example -- NAME`: runs one of the examples. */
import process from "node:process";
import { bookings } from "./bookings.ts";
import type { Example } from "./example.ts";
import { loyalty } from "./loyalty.ts";
import { money } from "./money.ts";
import { orders } from "./orders.ts";
import { peak } from "./peak.ts";
import { registration } from "./registration.ts";

const EXAMPLES: Readonly<Record<string, Example>> = { registration, orders, loyalty, bookings, peak, money };

const HELP = `npm run example -- NAME [--json]

${Object.entries(EXAMPLES).map(([name, { about }]) => `  ${name.padEnd(14)}${about}`).join("\n")}

  npm run example -- registration --json   the last line is one JSON object`;

const args = process.argv.slice(2);
const name = args.find((arg) => !arg.startsWith("-"));
const example = name === undefined ? undefined : EXAMPLES[name];

// Nodes and folders are given back as the process exits.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

if (example === undefined) {
  console.log(HELP);
  process.exit(args.includes("--help") ? 0 : 2);
}
try {
  const result = await example.run((line) => console.log(line));
  if (args.includes("--json")) console.log(JSON.stringify(result));
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
