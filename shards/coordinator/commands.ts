/** The commands of a coordinator's log, and what applying each does. Deterministic: state and command alone decide. */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { Entry, EntryKind } from "../../src/records/entry.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { GROUPS_MAX, MEMBERS_MAX, MEMBERS_PER_GROUP_MAX } from "./limits.ts";
import type { CoordinatorState, Group, Member } from "./state.ts";

/** A new member, or one whose topics or settings are others now. A static one takes the place of its namesake. */
export interface Join {
  readonly type: "join";
  readonly group: string;
  readonly member: Member;
}

/** They left, or were taken for dead. What they held is nobody's. */
export interface Leave {
  readonly type: "leave";
  readonly group: string;
  readonly memberIds: readonly string[];
}

/** Gives partitions to members. Decided on a state that may have changed since: then nothing is done. */
export interface Assign {
  readonly type: "assign";
  readonly group: string;
  /** Of the group as it was when this was decided. */
  readonly generation: number;
  /** By shard; "": nobody's any more (its topic was deleted). */
  readonly changes: readonly (readonly [shard: number, memberId: string])[];
  /** The new generation is above this: some partition knows it already. */
  readonly above?: number;
}

export type CoordinatorCommand = Join | Leave | Assign;

/** "" or why nothing was changed. */
export type CommandCode = "" | Extract<ErrorCode, "TOO_MANY_GROUPS" | "TOO_MANY_MEMBERS" | "STALE_GENERATION">;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

export function encodeCommand(command: CoordinatorCommand): Entry {
  return Entry.create({ kind: EntryKind.command, payload: encoder.encode(command) });
}

/** Only for payloads that a leader made by {@link encodeCommand} and whose checksum matched. */
export function decodeCommand(entry: Entry): CoordinatorCommand {
  return decoder.decode(entry.payload) as CoordinatorCommand;
}

export function applyCommand(state: CoordinatorState, command: CoordinatorCommand): CommandCode {
  switch (command.type) {
    case "join":
      return join(state, command);
    case "leave":
      return leave(state, command);
    case "assign":
      return assign(state, command);
  }
}

function join(state: CoordinatorState, { group: name, member }: Join): CommandCode {
  const { memberId, instanceId } = member;
  const known = state.groups.get(name);
  if (known === undefined && state.groups.size >= GROUPS_MAX) return "TOO_MANY_GROUPS";
  const namesake = instanceId === "" ? undefined : namesakeOf(known, memberId, instanceId);
  const isNew = known?.members.has(memberId) !== true;
  if (isNew && namesake === undefined) {
    const full = state.memberCount >= MEMBERS_MAX || (known?.members.size ?? 0) >= MEMBERS_PER_GROUP_MAX;
    if (full) return "TOO_MANY_MEMBERS";
  }
  const group = known ?? { generation: 0, members: new Map(), owners: new Map() };
  state.groups.set(name, group);
  group.generation = state.nextGeneration();
  group.members.set(memberId, member);
  if (isNew) state.memberCount += 1;
  if (namesake !== undefined) {
    group.members.delete(namesake);
    state.memberCount -= 1;
    // A new generation for the same partitions: whatever runs of the old instance is refused there.
    replaceOwner(group, namesake, memberId);
  }
  return "";
}

function namesakeOf(group: Group | undefined, memberId: string, instanceId: string): string | undefined {
  for (const member of group?.members.values() ?? []) {
    if (member.instanceId === instanceId && member.memberId !== memberId) return member.memberId;
  }
  return undefined;
}

function replaceOwner({ owners, generation }: Group, from: string, to: string): void {
  for (const [shard, { memberId }] of owners) {
    if (memberId === from) owners.set(shard, { memberId: to, generation });
  }
}

function leave(state: CoordinatorState, { group: name, memberIds }: Leave): CommandCode {
  const group = state.groups.get(name);
  const leaving = new Set(memberIds.filter((memberId) => group?.members.has(memberId)));
  if (group === undefined || leaving.size === 0) return "";
  group.generation = state.nextGeneration();
  for (const memberId of leaving) group.members.delete(memberId);
  state.memberCount -= leaving.size;
  for (const [shard, { memberId }] of group.owners) {
    if (leaving.has(memberId)) group.owners.delete(shard);
  }
  if (group.members.size === 0) state.groups.delete(name);
  return "";
}

function assign(state: CoordinatorState, { group: name, generation, changes, above }: Assign): CommandCode {
  const group = state.groups.get(name);
  if (group?.generation !== generation) return "STALE_GENERATION";
  group.generation = state.nextGeneration(above);
  for (const [shard, memberId] of changes) {
    if (memberId === "") group.owners.delete(shard);
    else group.owners.set(shard, { memberId, generation: group.generation });
  }
  return "";
}
