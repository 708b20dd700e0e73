export type ConfigErrorCode = "INVALID_CONFIG";

/** A configuration that cannot be used; `field` says where, as `nodes.0.port`. */
export class ConfigError extends Error {
  readonly code: ConfigErrorCode;
  readonly field: string;

  constructor(code: ConfigErrorCode, field: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConfigError";
    this.code = code;
    this.field = field;
  }
}

export type NodeErrorCode = "FOREIGN_DATA_FOLDER" | "UNSUPPORTED_VERSION" | "CORRUPT";

/** A node that cannot start, and why. */
export class NodeError extends Error {
  readonly code: NodeErrorCode;

  constructor(code: NodeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NodeError";
    this.code = code;
  }
}
