export type RecordsErrorCode =
  | "TRUNCATED"
  | "CORRUPT"
  | "UNSUPPORTED_VERSION"
  | "UNSUPPORTED_FORMAT"
  | "UNSUPPORTED_CODEC"
  | "TOO_LARGE"
  | "INVALID_RECORD";

/** Bytes that are not what they should be, or a record that cannot be written. */
export class RecordsError extends Error {
  readonly code: RecordsErrorCode;

  constructor(code: RecordsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RecordsError";
    this.code = code;
  }
}
