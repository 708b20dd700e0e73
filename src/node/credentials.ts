import type { Credentials } from "../wire/protocol.ts";
import { sameSecret } from "../wire/secrets.ts";

export interface Credential {
  readonly name: string;
  readonly secret: string;
}

/** Whether somebody who says this may enter. Without configured credentials everyone may: it listens on loopback. */
export function mayEnter(known: readonly Credential[] | undefined, given: Credentials | Credential | null): boolean {
  if (known === undefined) return true;
  if (given === null) return false;
  return known.some(({ name, secret }) => name === given.name && sameSecret(given.secret, secret));
}
