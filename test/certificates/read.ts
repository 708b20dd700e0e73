/** The certificates of this folder, as what listens and what connects is given. */
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import type { TlsMaterial } from "../../src/runtime/tls.ts";

/** Where it is, for who names it in a configuration. */
export function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** As a PEM text. */
export function textOf(name: string): string {
  return fs.readFileSync(pathOf(name), "utf8");
}

/** Certificate and key of `name`, and who is believed. */
export function material(name: string, authority = "authority"): Required<TlsMaterial> {
  return { certificate: textOf(`${name}.pem`), key: textOf(`${name}.key`), authority: textOf(`${authority}.pem`) };
}
