/** A random but repeatable sequence of what groups do with a log. */
import type { GroupId, GroupWrite, Log } from "../../src/log/types.ts";
import type { SeededRandom } from "../../tools/simulator/random.ts";
import { checkpointOf, entriesOf, writeOf } from "./entries.ts";
import { Model, type Step } from "./model.ts";

export class Workload {
  readonly steps: Step[] = [];
  /** How many of the steps were reported durable. */
  durable = 0;
  readonly #random: SeededRandom;
  readonly #model = new Model();
  readonly #groups: number;
  #term = 1;

  constructor(random: SeededRandom, groups = 4) {
    this.#random = random;
    this.#groups = groups;
  }

  /** Queues `count` steps; waits, now and then, for what was queued. */
  async run(log: Log, count: number): Promise<void> {
    let waiting: Promise<void>[] = [];
    for (let at = 0; at < count; at++) {
      const step = this.#next();
      this.#model.apply(step);
      this.steps.push(step);
      const queued = this.steps.length;
      if (step.kind === "trim") log.trim(step.group, step.firstIndex, step.firstIndex - 1);
      else if (step.kind === "remove") log.remove(step.group);
      else {
        waiting.push(
          new Promise((resolve) =>
            log.write([step.write], () => {
              if (queued <= this.durable) throw new Error("reported out of order");
              this.durable = queued;
              resolve();
            })
          ),
        );
      }
      if (this.#random.chance(0.4)) {
        await Promise.all(waiting);
        waiting = [];
      }
    }
    await Promise.all(waiting);
    // Trims and removals have nothing of their own to wait for.
    await new Promise<void>((resolve) => log.write([], resolve));
    this.durable = this.steps.length;
  }

  /** The state after each number of steps from what was durable to all that was queued. */
  *allowed(): IterableIterator<string> {
    const model = new Model();
    for (let at = 0; at <= this.steps.length; at++) {
      if (at > 0) model.apply(this.steps[at - 1]!);
      if (at >= this.durable) yield model.toString();
    }
  }

  /** After a crash: what counts from now on is what was found. */
  settle(found: string): void {
    let count = this.durable;
    for (const state of this.allowed()) {
      if (state === found) break;
      count++;
    }
    this.steps.length = count;
    this.#model.groups.clear();
    for (const step of this.steps) this.#model.apply(step);
    this.durable = count;
  }

  #next(): Step {
    const group: GroupId = 1 + this.#random.integer(this.#groups);
    const state = this.#model.groups.get(group);
    const first = state?.first ?? 1;
    const last = state?.last ?? 0;
    const write = (fields: Partial<GroupWrite>): Step => ({ kind: "write", write: writeOf(group, fields) });
    switch (this.#random.integer(10)) {
      case 0:
        this.#term++;
        return write({ hardState: { term: this.#term, vote: 1 + this.#random.integer(3), commit: last } });
      case 1: {
        if (last < first) return this.#append(group, last);
        this.#term++;
        const from = first + this.#random.integer(last - first + 1);
        return this.#append(group, from - 1, from);
      }
      case 2:
        if (last < first) return this.#append(group, last);
        return write({ truncateFrom: first + this.#random.integer(last - first + 1) });
      case 3: {
        const index = first - 1 + this.#random.integer(last - first + 2);
        return index === 0 ? this.#append(group, last) : write({ checkpoint: checkpointOf(index, this.#term) });
      }
      case 4:
      case 5:
        if (last < first) return this.#append(group, last);
        return { kind: "trim", group, firstIndex: first + 1 + this.#random.integer(last - first + 1) };
      case 6: {
        if (this.#random.chance(0.7)) return this.#append(group, last);
        const index = last + this.#random.integer(20) + 1;
        return write({
          checkpoint: checkpointOf(index, this.#term, "from the leader"),
          resetLog: true,
          entries: this.#random.chance(0.5) ? [] : entriesOf(group, index + 1, index + 2, this.#term),
        });
      }
      case 7:
        return state && this.#random.chance(0.3) ? { kind: "remove", group } : this.#append(group, last);
      default:
        return this.#append(group, last);
    }
  }

  #append(group: GroupId, last: number, truncateFrom = 0): Step {
    const count = 1 + this.#random.integer(4);
    const bytes = this.#random.chance(0.3) ? 2000 + this.#random.integer(3000) : 10 + this.#random.integer(500);
    const hardState = this.#random.chance(0.5) ? { term: this.#term, vote: 1, commit: last } : undefined;
    const entries = entriesOf(group, last + 1, last + count, this.#term, bytes);
    return { kind: "write", write: writeOf(group, { truncateFrom, entries, hardState }) };
  }
}
