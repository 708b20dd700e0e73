/** What a group's log may lose: the state as applied is made durable, and what it stands for is trimmed behind it. */
import type { Log } from "../../src/log/types.ts";
import { invariant } from "../../src/raft/invariant.ts";
import type { HostLimits } from "./limits.ts";
import type { Replica } from "./replica.ts";

export type CheckpointLimits = Pick<HostLimits, "checkpointBytes" | "checkpointEntries">;

export class Checkpoints {
  readonly #log: Log;
  readonly #limits: CheckpointLimits;

  constructor(log: Log, limits: CheckpointLimits) {
    this.#log = log;
    this.#limits = limits;
  }

  /** Makes the state of a group durable, as it is now. */
  make(replica: Replica): Promise<void> {
    return new Promise((resolve) => this.#write([replica], resolve));
  }

  /** … of every group that has changed, so that the next start has little to read again: nothing needs to wait for it. */
  makeAll(replicas: readonly Replica[]): void {
    const changed = replicas.filter(({ appliedEntries }) => appliedEntries > 0);
    if (changed.length > 0) this.#write(changed, () => {});
  }

  makeIfDue(replica: Replica): void {
    const { checkpointBytes, checkpointEntries } = this.#limits;
    if (replica.appliedBytes < checkpointBytes && replica.appliedEntries < checkpointEntries) return;
    this.#write([replica], () => {});
  }

  /** The log before `firstIndex` goes; what was applied from it is made durable with it. */
  trim(replica: Replica, firstIndex: number, startOffset: number): void {
    const { group, raft } = replica;
    if (firstIndex <= raft.log.firstIndex) return;
    invariant(firstIndex <= raft.applied, `group ${group}: trimmed to ${firstIndex}, and ${raft.applied} is applied`);
    const known = this.#log.group(group)?.checkpoint;
    if (!known || known.index < firstIndex) this.#log.write([replica.checkpoint()], () => {});
    this.#log.trim(group, firstIndex, startOffset, raft.log.term(firstIndex - 1));
    const { applied: index, configuration } = raft;
    replica.trimmed(firstIndex, { index, term: raft.log.term(index)!, configuration });
  }

  /** What a checkpoint stands for is trimmed behind it: a crash between the two must leave one or the other. */
  #write(replicas: readonly Replica[], onDurable: () => void): void {
    const writes = replicas.map((replica) => replica.checkpoint());
    this.#log.write(writes, onDurable);
    for (const [at, replica] of replicas.entries()) {
      if (!replica.trimAtCheckpoint) continue;
      const { checkpoint } = writes[at]!;
      this.#log.trim(replica.group, checkpoint.index + 1, checkpoint.nextOffset, checkpoint.term);
      replica.trimmed(checkpoint.index + 1, checkpoint);
    }
  }
}
