/** What every example here is. */

/** Says one line of the story. */
export type Print = (line: string) => void;

export interface Example {
  /** In one line. */
  readonly about: string;
  /** Tells it; resolves with the figures that it ended with. Rejects if they are not what they should be. */
  readonly run: (print: Print) => Promise<object>;
}

/** @throws {Error} what the example shows is not so */
export function mustHold(condition: boolean, what: string): void {
  if (!condition) throw new Error(`this should hold, and does not: ${what}`);
}
