import type { TlsIdentity } from "./tls.ts";

/** What Raftline needs of a network: ordered, reliable byte streams that can break at any time. */
export interface Network {
  /** With it everything that listens and connects here speaks TLS, and nothing else. */
  readonly tls?: TlsIdentity;
  /** @throws {NetworkError} `ADDRESS_IN_USE`, `ADDRESS_INVALID`, `PERMISSION` */
  listen(
    address: Address,
    onConnection: (connection: Connection) => void,
    options?: ListenOptions,
  ): Promise<Listener>;
  /**
   * @throws {NetworkError} `REFUSED` (nothing listens there: the process is gone), `UNREACHABLE`, `TIMED_OUT`,
   * `UNTRUSTED`
   */
  connect(address: Address, timeoutMs: number): Promise<Connection>;
}

export interface Address {
  readonly host: string;
  /** 0 to 65535; 0 when listening: the system chooses. */
  readonly port: number;
}

export interface ListenOptions {
  /** Under TLS who connects must show a certificate of the same authority. */
  readonly mutual?: boolean;
}

export interface Listener {
  /** With the port that was chosen. */
  readonly address: Address;
  /** Connections that were closed at once, because there were too many. */
  readonly refused: number;
  /** Stops listening. Connections that are open stay open: their owner ends them. */
  close(): Promise<void>;
}

/**
 * One connection. The owner sets the three handlers in the same turn in which it gets the connection.
 * `onClose` comes exactly once, last, whoever ended it; with an error if it broke.
 */
export interface Connection {
  readonly remote: Address;
  onData: (chunk: Uint8Array) => void;
  /**
   * Where the owner wants what comes next, if it has a place for it: a connection that can put bytes there gives `onData`
   * views of that memory, which is the owner's, and asks again after each. Not empty. Other chunks are fresh memory.
   */
  onRoom: (() => Uint8Array) | undefined;
  /** All that was written has gone to the system: `bufferedBytes` is 0. */
  onDrain: () => void;
  onClose: (error?: Error) => void;
  /**
   * Sends the chunks in order, as one `writev`. By reference: they must not change until `onSent`, which is called once,
   * when they have gone to the system or never will.
   */
  write(chunks: readonly Uint8Array[], onSent?: () => void): void;
  /** Written, not yet taken by the system. */
  readonly bufferedBytes: number;
  /** No more `onData` until `resume`: back-pressure to the sender. */
  pause(): void;
  resume(): void;
  /** Ends it after what was written has gone. */
  close(): void;
  /** Ends it at once. */
  destroy(): void;
}

export type NetworkErrorCode =
  | "REFUSED"
  | "UNREACHABLE"
  | "TIMED_OUT"
  | "ADDRESS_IN_USE"
  | "ADDRESS_INVALID"
  | "PERMISSION"
  | "RESET"
  /** Under TLS: one side does not believe the other's certificate, or does not speak TLS. */
  | "UNTRUSTED";

/** A network operation that failed; `cause` is the platform's own error. */
export class NetworkError extends Error {
  readonly code: NetworkErrorCode;

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NetworkError";
    this.code = code;
  }
}
