/** Reads what a node's configuration names for TLS. */
import { checkTlsMaterial } from "../runtime/node-tls.ts";
import { readTextFile } from "../runtime/text-file.ts";
import type { TlsMaterial } from "../runtime/tls.ts";
import type { NodeConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";

/** @throws {ConfigError} `INVALID_CONFIG`, with the field: no such file, not PEM, another certificate's key */
export function readTlsFiles({ tls }: NodeConfig): TlsMaterial | undefined {
  if (tls === undefined) return undefined;
  const material = {
    certificate: read("tls.certificateFile", tls.certificateFile),
    key: read("tls.keyFile", tls.keyFile),
    authority: read("tls.authorityFile", tls.authorityFile),
  };
  try {
    checkTlsMaterial(material);
  } catch (error) {
    throw invalid("tls", `these files do not make a certificate with its key: ${(error as Error).message}`, error);
  }
  return material;
}

function read(field: string, file: string): string {
  try {
    return readTextFile(file);
  } catch (error) {
    throw invalid(field, `cannot read ${file}: ${(error as Error).message}`, error);
  }
}

function invalid(field: string, message: string, cause: unknown): ConfigError {
  return new ConfigError("INVALID_CONFIG", field, `${field}: ${message}`, { cause });
}
