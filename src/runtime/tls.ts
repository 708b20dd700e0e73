/** Certificates and keys, as PEM texts. */
export interface TlsMaterial {
  /** What this side shows, its own certificate first. Needed to listen, and to reach who asks for one. */
  readonly certificate?: string;
  readonly key?: string;
  /** Whose certificates are believed; the authorities that the system knows if left out. */
  readonly authority?: string;
}
