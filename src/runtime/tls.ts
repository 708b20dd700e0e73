/** Certificates and keys, as PEM texts. */
export interface TlsMaterial {
  /** What this side shows, its own certificate first. Needed to listen, and to reach who asks for one. */
  readonly certificate?: string;
  readonly key?: string;
  /** Whose certificates are believed; the authorities that the system knows if left out. */
  readonly authority?: string;
}

/** What this side shows and believes now: certificates end, and others take their place while it runs. */
export class TlsIdentity {
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #material: TlsMaterial;

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** For connections that begin from now on. */
  renew(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#listeners) listener(material);
  }

  /** Returns how to stop. */
  onRenewed(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
