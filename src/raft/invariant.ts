/** A rule of consensus is broken: going on could lose what was acknowledged. The host ends the process. */
export class InvariantError extends Error {
  readonly code = "INVARIANT";

  constructor(message: string) {
    super(message);
    this.name = "InvariantError";
  }
}

/** @throws {InvariantError} unless `condition` holds. Hot paths test first and throw themselves: no message is built. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
