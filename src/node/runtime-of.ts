import { createNodeRuntime } from "../runtime/node-runtime.ts";
import type { LogLevel, Runtime } from "../runtime/runtime.ts";
import type { NodeConfig } from "./config.ts";
import { readTlsFiles } from "./tls-files.ts";

/** The real world, as a node's configuration wants it. @throws {ConfigError} `INVALID_CONFIG`, with the field */
export function runtimeOf(config: NodeConfig, logLevel: LogLevel): Runtime {
  const tls = readTlsFiles(config);
  const { logFormat = "text" } = config;
  return createNodeRuntime({ logLevel: config.logLevel ?? logLevel, logFormat, ...(tls && { tls }) });
}
