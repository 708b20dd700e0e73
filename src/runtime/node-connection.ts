/** One connection over a socket of `node:net` or `node:tls`. */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type Address, type Connection, NetworkError, type NetworkErrorCode } from "./network.ts";

const CODES: Readonly<Record<string, NetworkErrorCode>> = {
  ECONNREFUSED: "REFUSED",
  EADDRINUSE: "ADDRESS_IN_USE",
  EADDRNOTAVAIL: "ADDRESS_INVALID",
  ENOTFOUND: "ADDRESS_INVALID",
  EAI_AGAIN: "ADDRESS_INVALID",
  EACCES: "PERMISSION",
  EPERM: "PERMISSION",
  ETIMEDOUT: "TIMED_OUT",
  ECONNRESET: "RESET",
  EPIPE: "RESET",
};

/** What the platform calls it when one side does not believe the other, or hears something else than TLS. */
const UNTRUSTED =
  /^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** How bytes come in: into memory that the connection's owner chose (`onread` of `net.connect`). */
export class Arrival {
  connection: NodeConnection | undefined;

  readonly buffer = (): Uint8Array => this.connection?.onRoom?.() ?? new Uint8Array(FRESH_BYTES);

  readonly callback = (count: number, memory: Uint8Array): boolean => {
    this.connection?.onData(memory.subarray(0, count));
    return true;
  };
}

const ignore = () => {};

/** Of memory for one read that nobody has chosen other memory for. */
const FRESH_BYTES = 16 * 1024;

/** Below it, copying is cheaper than a vector of buffers through the stream and the system. */
const TOGETHER_BYTES_MAX = 4_096;

export class NodeConnection implements Connection {
  readonly remote: Address;
  onData: (chunk: Uint8Array) => void = ignore;
  onRoom: (() => Uint8Array) | undefined;
  onDrain: () => void = ignore;
  onClose: (error?: Error) => void = ignore;
  readonly #socket: Socket;
  #error: Error | undefined;

  /** `arrival`: how its bytes come, unless as the socket's data. */
  constructor(socket: Socket, arrival?: Arrival) {
    this.#socket = socket;
    this.remote = { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    if (arrival) arrival.connection = this;
    else socket.on("data", (chunk: Uint8Array) => this.onData(chunk));
    socket.on("error", (error) => {
      this.#error = toNetworkError(`the connection with ${format(this.remote)} broke`, error);
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => this.onClose(this.#error));
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): void {
    const socket = this.#socket;
    if (!socket.writable || chunks.length === 0) return onSent?.();
    const written = onSent ? this.#writtenAnd(onSent) : this.#written;
    const last = chunks.length - 1;
    const small = last > 0 ? together(chunks) : undefined;
    if (small) {
      socket.write(small, written);
      return;
    }
    if (last > 0) socket.cork();
    for (let i = 0; i < last; i++) socket.write(chunks[i]!);
    socket.write(chunks[last]!, written);
    if (last > 0) socket.uncork();
  }

  #writtenAnd(onSent: () => void): (error?: Error | null) => void {
    return (error) => {
      onSent();
      this.#written(error);
    };
  }

  readonly #written = (error?: Error | null): void => {
    if (!error && this.#socket.writableLength === 0) this.onDrain();
  };

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.end();
    // The other side may never close its half: what is left is only waiting for it.
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Few bytes in many chunks cost less as one; undefined when they are more. */
function together(chunks: readonly Uint8Array[]): Uint8Array | undefined {
  let byteLength = 0;
  for (const chunk of chunks) {
    byteLength += chunk.length;
    if (byteLength > TOGETHER_BYTES_MAX) return undefined;
  }
  const whole = Buffer.allocUnsafe(byteLength);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

export function format(address: Address): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

export function toNetworkError(what: string, error: NodeJS.ErrnoException): NetworkError {
  const { code: name = "" } = error;
  const code = CODES[name] ?? (UNTRUSTED.test(name) ? "UNTRUSTED" : "UNREACHABLE");
  return new NetworkError(code, `${what}: ${error.message}`, { cause: error });
}
