/** Who may enter, and what each may do. */
import { type Static, Type } from "@sinclair/typebox";
import type { Credentials } from "../wire/protocol.ts";
import { sameSecret } from "../wire/secrets.ts";

export const RightSchema = Type.Union([Type.Literal("produce"), Type.Literal("consume"), Type.Literal("manage")]);
/**
 * produce: records to a topic · consume: read it, work off its queues, keep places in it · manage: create, change, move, trim
 * and delete it, set its groups back and remove them; on all topics: the cluster and its nodes, too.
 */
export type Right = Static<typeof RightSchema>;

export const CredentialSchema = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 249 }),
  secret: Type.String({ minLength: 16, maxLength: 1024 }),
  /** What it may do; everything where it is left out. */
  rights: Type.Optional(Type.Array(
    Type.Object({
      /** A topic's name, or the beginning of some with a `*` behind it. */
      topics: Type.String({ pattern: "^[A-Za-z0-9._-]{0,249}\\*?$", minLength: 1 }),
      may: Type.Array(RightSchema, { minItems: 1, uniqueItems: true }),
    }, { additionalProperties: false }),
    { maxItems: 100 },
  )),
}, { additionalProperties: false });
export type Credential = Static<typeof CredentialSchema>;

/** Nobody is configured: it listens on loopback, for everybody. */
const ANYONE: Credential = { name: "", secret: "" };

/** Whose words these are; undefined: nobody's who may enter. */
export function whoIs(
  known: readonly Credential[] | undefined,
  given: Credentials | Pick<Credential, "name" | "secret"> | null,
): Credential | undefined {
  if (known === undefined) return ANYONE;
  if (given === null) return undefined;
  return known.find(({ name, secret }) => name === given.name && sameSecret(given.secret, secret));
}

export function mayAll({ rights }: Credential): boolean {
  return rights === undefined;
}

/** `topic` "*": all there are. With any right on it one may know of it. */
export function may({ rights }: Credential, right: Right | "any", topic: string): boolean {
  if (rights === undefined) return true;
  return rights.some(({ topics, may }) => (right === "any" || may.includes(right)) && covers(topics, topic));
}

function covers(pattern: string, topic: string): boolean {
  return pattern.endsWith("*") ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern;
}

/** Those configured now; undefined: nobody is, and everybody may. They change when a configuration is read again. */
export class KnownCredentials {
  readonly #listeners = new Set<() => void>();
  #current: readonly Credential[] | undefined;

  constructor(current: readonly Credential[] | undefined) {
    this.#current = current;
  }

  get current(): readonly Credential[] | undefined {
    return this.#current;
  }

  replace(next: readonly Credential[] | undefined): void {
    this.#current = next;
    for (const listener of this.#listeners) listener();
  }

  onReplaced(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Whether who came in with this would come in with the same rights now. */
  stillHas(who: Credential): boolean {
    const text = JSON.stringify(who);
    return (this.#current ?? [ANYONE]).some((one) => JSON.stringify(one) === text);
  }
}
