/** The real network, over `node:net`, for Node and Deno alike. */
import { Buffer } from "node:buffer";
import net from "node:net";
import {
  type Address,
  type Connection,
  type Listener,
  type Network,
  NetworkError,
  type NetworkErrorCode,
} from "./network.ts";

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

export function createNodeNetwork(): Network {
  return { listen, connect };
}

function listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ noDelay: true, pauseOnConnect: true }, (socket) => onConnection(accept(socket)));
    server.once("error", (error) => reject(toNetworkError(`cannot listen on ${format(address)}`, error)));
    server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
      const { port } = server.address() as net.AddressInfo;
      resolve({
        address: { host: address.host, port },
        close: () => new Promise((closed) => server.close(() => closed())),
      });
    });
  });
}

function connect(address: Address, timeoutMs: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const arrival = new Arrival();
    const socket = net.connect({ host: address.host, port: address.port, noDelay: true, onread: arrival });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new NetworkError("TIMED_OUT", `no connection to ${format(address)} within ${timeoutMs} ms`));
    }, timeoutMs);
    const failed = (error: Error) => {
      clearTimeout(timer);
      reject(toNetworkError(`cannot connect to ${format(address)}`, error));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      resolve(new NodeConnection(socket, arrival));
    });
  });
}

/** What a socket stands on. Not in the types; where it is not what both runtimes have today, the socket stays as it is. */
interface WithHandle {
  _handle?: object | null;
}

/** A server's sockets do not take `onread`: one that does takes the place of each, on the same handle. */
function accept(socket: net.Socket): NodeConnection {
  const { _handle: handle } = socket as WithHandle;
  if (!handle) {
    const connection = new NodeConnection(socket);
    socket.resume();
    return connection;
  }
  (socket as WithHandle)._handle = null;
  const arrival = new Arrival();
  const own = new net.Socket({ handle, onread: arrival, readable: true, writable: true } as net.SocketConstructorOpts);
  // The server counts the sockets that it made.
  own.once("close", () => socket.destroy());
  const connection = new NodeConnection(own, arrival);
  own.resume();
  return connection;
}

/** How bytes come in: into memory that the connection's owner chose (`onread` of `net.connect`). */
class Arrival {
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

class NodeConnection implements Connection {
  readonly remote: Address;
  onData: (chunk: Uint8Array) => void = ignore;
  onRoom: (() => Uint8Array) | undefined;
  onDrain: () => void = ignore;
  onClose: (error?: Error) => void = ignore;
  readonly #socket: net.Socket;
  #error: Error | undefined;

  /** `arrival`: how its bytes come, unless as the socket's data. */
  constructor(socket: net.Socket, arrival?: Arrival) {
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

function format(address: Address): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function toNetworkError(what: string, error: NodeJS.ErrnoException): NetworkError {
  const code = CODES[error.code ?? ""] ?? "UNREACHABLE";
  return new NetworkError(code, `${what}: ${error.message}`, { cause: error });
}
