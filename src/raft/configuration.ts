/**
 * Who takes part, and how that changes: one voter at a time, or any number through a joint configuration that is left
 * by itself (Raft §6, thesis §4). A configuration takes effect when its entry is applied, and the next change waits for
 * that: then two configurations in use at the same time always share a voter in any two majorities.
 */
import type { Configuration, ConfigurationChange, NodeId } from "./types.ts";

const NOBODY: readonly NodeId[] = Object.freeze([]);

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

export function isVoter(configuration: Configuration, node: NodeId): boolean {
  return configuration.voters.includes(node) || configuration.outgoing.includes(node);
}

/** Everyone that the leader replicates to, itself included. */
export function membersOf(configuration: Configuration): Set<NodeId> {
  const { voters, outgoing, learners, learnersNext } = configuration;
  return new Set([...voters, ...outgoing, ...learners, ...learnersNext]);
}

/** All who vote in either half. */
export function votersOf(configuration: Configuration): Set<NodeId> {
  return new Set([...configuration.voters, ...configuration.outgoing]);
}

/** The next configuration on the way to what is asked for; undefined if that makes no sense. */
export function planChange(current: Configuration, change: ConfigurationChange): Configuration | undefined {
  if (isJoint(current) || !isValid(change)) return undefined;
  const { voters, learners } = change;
  const joining = voters.filter((node) => !current.voters.includes(node));
  const leaving = current.voters.filter((node) => !voters.includes(node));
  if (joining.length + leaving.length <= 1 && !change.joint) {
    return { voters: [...voters], outgoing: NOBODY, learners: [...learners], learnersNext: NOBODY };
  }
  // A voter that becomes a learner still votes in the outgoing half until the joint configuration is left.
  return {
    voters: [...voters],
    outgoing: [...current.voters],
    learners: learners.filter((node) => !current.voters.includes(node)),
    learnersNext: learners.filter((node) => current.voters.includes(node)),
  };
}

/** What a joint configuration becomes when it is left. */
export function leaveJoint(configuration: Configuration): Configuration {
  const { voters, learners, learnersNext } = configuration;
  return { voters, outgoing: NOBODY, learners: [...learners, ...learnersNext], learnersNext: NOBODY };
}

function isValid({ voters, learners }: ConfigurationChange): boolean {
  const nodes = [...voters, ...learners];
  const named = nodes.every((node) => Number.isSafeInteger(node) && node > 0);
  return voters.length > 0 && named && new Set(nodes).size === nodes.length;
}
