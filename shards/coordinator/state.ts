/** What a coordinator replicates: who is in which group, and whose each partition is. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";

export interface Member {
  readonly memberId: string;
  /** Of a static member; "": none. */
  readonly instanceId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

/** Whose a partition is, and since which generation: its new owner claims the cursor there with it. */
export interface Owner {
  readonly memberId: string;
  readonly generation: number;
}

/** Invariant: every owner is a member. */
export interface Group {
  /** Of its last change. */
  generation: number;
  readonly members: Map<string, Member>;
  /** By shard. */
  readonly owners: Map<number, Owner>;
}

type EncodedMember = [memberId: string, string, string[], number, number, owned: number[]];
type EncodedState = [lastGeneration: number, groups: [name: string, generation: number, EncodedMember[]][]];

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

/** Changed only by `applyCommand`. A group without members is forgotten: its places are in the partitions. */
export class CoordinatorState {
  readonly groups = new Map<string, Group>();
  memberCount = 0;
  /**
   * Of all groups, and never given twice: a group that was forgotten and comes again is not refused by partitions that
   * know an older generation of it.
   */
  #lastGeneration = 0;

  nextGeneration(above = 0): number {
    this.#lastGeneration = Math.max(this.#lastGeneration, above) + 1;
    return this.#lastGeneration;
  }

  encode(): Uint8Array {
    const groups = [...this.groups].map(([name, { generation, members, owners }]) => {
      const owned = new Map<string, number[]>([...members.keys()].map((memberId) => [memberId, []]));
      for (const [shard, owner] of owners) owned.get(owner.memberId)!.push(shard, owner.generation);
      const rows = [...members.values()].map((member) => toRow(member, owned.get(member.memberId)!));
      return [name, generation, rows];
    });
    return encoder.encode([this.#lastGeneration, groups]);
  }

  /** Only for bytes of {@link encode} whose checksum matched. */
  load(bytes: Uint8Array): void {
    const [lastGeneration, groups] = decoder.decode(bytes) as EncodedState;
    this.#lastGeneration = lastGeneration;
    this.groups.clear();
    this.memberCount = 0;
    for (const [name, generation, rows] of groups) {
      const group: Group = { generation, members: new Map(), owners: new Map() };
      for (const row of rows) addRow(group, row);
      this.groups.set(name, group);
      this.memberCount += rows.length;
    }
  }
}

function toRow(member: Member, owned: number[]): EncodedMember {
  const { memberId, instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs } = member;
  return [memberId, instanceId, [...topics], sessionTimeoutMs, rebalanceTimeoutMs, owned];
}

function addRow({ members, owners }: Group, row: EncodedMember): void {
  const [memberId, instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs, owned] = row;
  members.set(memberId, { memberId, instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs });
  for (let i = 0; i < owned.length; i += 2) owners.set(owned[i]!, { memberId, generation: owned[i + 1]! });
}
