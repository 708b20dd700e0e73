/** What a test file's process tells its parent, in a line of its own behind the mark. */
export interface FileResult {
  readonly passed: number;
  readonly failed: number;
  readonly problems: readonly string[];
}

export const RESULT_MARK = "\u0001result ";
