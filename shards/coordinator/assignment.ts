/**
 * Whose each partition should be. Sticky: what a member has it keeps unless the balance needs it, so that as little as
 * possible stops when members come and go. Deterministic: members, partitions and present owners alone decide, and
 * what is on its way there already does not change where "there" is.
 */

export interface AssignmentMember {
  readonly memberId: string;
  readonly topics: readonly string[];
}

export interface AssignmentPartition {
  readonly shard: number;
  readonly topic: string;
}

/** One member's share while it is being worked out. */
interface Share {
  readonly memberId: string;
  readonly topics: ReadonlySet<string>;
  /** In the order of their numbers. */
  readonly partitions: AssignmentPartition[];
}

/**
 * The owner of every partition that some member reads. Where all members read the same topics, no member has more than
 * one partition more than another. `ownerOf`: the present owner, or undefined.
 */
export function assignPartitions(
  members: readonly AssignmentMember[],
  partitions: readonly AssignmentPartition[],
  ownerOf: (shard: number) => string | undefined,
): Map<number, string> {
  const shares = members
    .map(({ memberId, topics }): Share => ({ memberId, topics: new Set(topics), partitions: [] }))
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const byMember = new Map(shares.map((share) => [share.memberId, share]));
  const byTopic = readersOf(shares);
  const free: AssignmentPartition[] = [];
  for (const partition of [...partitions].sort((a, b) => a.shard - b.shard)) {
    const owner = byMember.get(ownerOf(partition.shard) ?? "");
    if (owner?.topics.has(partition.topic)) owner.partitions.push(partition);
    else free.push(partition);
  }
  for (const partition of free) leastLoaded(byTopic.get(partition.topic))?.partitions.push(partition);
  for (const { partitions: own } of shares) own.sort((a, b) => a.shard - b.shard);
  while (moveOne(shares, byTopic));
  return new Map(shares.flatMap((share) => share.partitions.map(({ shard }) => [shard, share.memberId] as const)));
}

function readersOf(shares: readonly Share[]): Map<string, Share[]> {
  const byTopic = new Map<string, Share[]>();
  for (const share of shares) {
    for (const topic of share.topics) {
      const readers = byTopic.get(topic);
      if (readers === undefined) byTopic.set(topic, [share]);
      else readers.push(share);
    }
  }
  return byTopic;
}

/** The first one by name where several have as little. */
function leastLoaded(readers: readonly Share[] = []): Share | undefined {
  let least = readers[0];
  for (const share of readers) {
    if (share.partitions.length < least!.partitions.length) least = share;
  }
  return least;
}

/**
 * Moves a partition from the fullest member that can spare one to one that has at least two fewer. Each move makes the
 * sum of the squares of the shares smaller, so it comes to an end.
 */
function moveOne(shares: readonly Share[], byTopic: ReadonlyMap<string, readonly Share[]>): boolean {
  const fullest = [...shares].sort((a, b) => b.partitions.length - a.partitions.length);
  for (const from of fullest) {
    const tried = new Set<string>();
    for (let i = from.partitions.length - 1; i >= 0; i--) {
      const partition = from.partitions[i]!;
      if (tried.has(partition.topic)) continue;
      tried.add(partition.topic);
      const to = leastLoaded(byTopic.get(partition.topic))!;
      if (to.partitions.length + 2 > from.partitions.length) continue;
      from.partitions.splice(i, 1);
      // At its place by number: the last one, should one have to go on.
      const at = to.partitions.findIndex(({ shard }) => shard > partition.shard);
      to.partitions.splice(at < 0 ? to.partitions.length : at, 0, partition);
      return true;
    }
  }
  return false;
}
