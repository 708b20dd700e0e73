/** Commands that have several actions: `topic create`, `group reset`. */
import { UsageError } from "./errors.ts";
import { CONNECTION_FLAGS } from "./with-client.ts";

const ALWAYS: ReadonlySet<string> = new Set([...CONNECTION_FLAGS, "json"]);

/**
 * `takes` has each action's own flags.
 * @throws {UsageError} There is no such action, or it would pass over a flag in silence.
 */
export function checkAction(
  command: string,
  action: string,
  flags: object,
  takes: Readonly<Record<string, readonly string[]>>,
): void {
  if (!Object.hasOwn(takes, action)) {
    throw new UsageError(`${command} ${action}: not one of ${Object.keys(takes).join(", ")}`);
  }
  const strange = Object.keys(flags).find((name) => !ALWAYS.has(name) && !takes[action]!.includes(name));
  if (strange === undefined) return;
  const flag = strange.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(`${command} ${action} does not take --${flag}`);
}
