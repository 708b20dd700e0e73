/** The client's side of one connection to a node: hello, then pipelined requests matched by correlation ids. */
import type { Address, Connection } from "../runtime/network.ts";
import { NetworkError } from "../runtime/network.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RaftlineError, WireError } from "./errors.ts";
import { FrameReader } from "./frames.ts";
import { RESPONSE_LIMITS } from "./limits.ts";
import { OPEN_REQUESTS_MAX, PendingRequests } from "./pending-requests.ts";
import { type Credentials, encodeRequest, PROTOCOL_VERSION, type Request } from "./protocol.ts";
import { correlationIdOf, decodeResponse, failureOf, type HelloResponse, type Responses } from "./responses.ts";

export interface RpcClientOptions {
  readonly clientName: string;
  readonly credentials: Credentials | null;
  /** For connecting and for the hello, each. */
  readonly connectTimeoutMs: number;
  /** For long answers, exactly so long; if left out, fresh memory. */
  readonly memory?: (byteLength: number) => Uint8Array;
}

/**
 * One connection. When it breaks, every open request rejects with `UNAVAILABLE` and the connection is done: make a
 * new one. A request that times out leaves it open; its late answer is dropped.
 *
 * @example
 * const connection = await RpcClient.connect(runtime, address, { clientName: "x", credentials: null, connectTimeoutMs: 2_000 });
 * const { producerId } = await connection.request({ type: "producerId" }, 5_000);
 */
export class RpcClient {
  readonly address: Address;
  /** Called once, when the connection has ended, whoever ended it. */
  onClose: (error: RaftlineError) => void = () => {};

  readonly #connection: Connection;
  readonly #reader: FrameReader;
  readonly #pending: PendingRequests;
  #ended: RaftlineError | undefined;
  #hello: HelloResponse | undefined;
  /** Frames that were made in a row, written together after it. */
  #out: Uint8Array[] = [];

  private constructor(
    runtime: Runtime,
    address: Address,
    connection: Connection,
    memory: RpcClientOptions["memory"],
  ) {
    this.address = address;
    this.#connection = connection;
    this.#pending = new PendingRequests(runtime, `${address.host}:${address.port}`);
    this.#reader = new FrameReader(RESPONSE_LIMITS, (head, body) => this.#onFrame(head, body), memory);
    connection.onRoom = () => this.#reader.room();
    connection.onData = (chunk) => this.#onData(chunk);
    connection.onDrain = () => {};
    connection.onClose = (error) => this.#end(brokenBy(this.address, error));
  }

  /**
   * @throws {RaftlineError} `UNAVAILABLE`, `UNTRUSTED`, `TIMED_OUT`, `NOT_AUTHORIZED`, `UNSUPPORTED_VERSION`,
   * `TOO_MANY_CONNECTIONS`
   */
  static async connect(runtime: Runtime, address: Address, options: RpcClientOptions): Promise<RpcClient> {
    let connection;
    try {
      connection = await runtime.network.connect(address, options.connectTimeoutMs);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      throw notBelieved(error) ?? brokenBy(address, error);
    }
    const client = new RpcClient(runtime, address, connection, options.memory);
    const { clientName, credentials } = options;
    try {
      client.#hello = await client.request(
        { type: "hello", protocolVersion: PROTOCOL_VERSION, clientName, credentials },
        options.connectTimeoutMs,
      );
    } catch (error) {
      client.close();
      // Who wants a certificate may say only now that there was none.
      throw notBelieved((error as Error).cause) ?? error;
    }
    return client;
  }

  /** What the node said of itself. */
  get hello(): HelloResponse {
    return this.#hello!;
  }

  get open(): boolean {
    return this.#ended === undefined;
  }

  get openRequests(): number {
    return this.#pending.size;
  }

  /**
   * Sends one request. Requests of the same turn leave in one write.
   * @throws {RaftlineError} What the node answered; `TIMED_OUT`: no answer in time, the outcome is not known;
   * `UNAVAILABLE`: the connection broke, the outcome is not known; `THROTTLED`; `CLOSED`; `MALFORMED`
   */
  request<R extends Request>(request: R, timeoutMs: number): Promise<Responses[R["type"]]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.openRequests >= OPEN_REQUESTS_MAX) {
      const message = `${OPEN_REQUESTS_MAX} requests wait for answers on one connection`;
      return Promise.reject(new RaftlineError("THROTTLED", message));
    }
    const frame = encodeRequest(this.#pending.nextId, request);
    // After what the caller does at once, not a turn of the loop later: a turn costs a lone record its wake-up.
    if (this.#out.length === 0) Promise.resolve().then(() => this.#flush());
    for (const chunk of frame) this.#out.push(chunk);
    return new Promise((resolve, reject) => this.#pending.add({ type: request.type, timeoutMs, resolve, reject }));
  }

  /** Ends the connection; open requests reject with `CLOSED`. */
  close(): void {
    if (this.#ended !== undefined) return;
    this.#flush();
    this.#connection.close();
    this.#end(new RaftlineError("CLOSED", "the connection was closed"));
  }

  /** Ends it at once, because it is taken for dead. */
  destroy(reason: string): void {
    if (this.#ended !== undefined) return;
    this.#connection.destroy();
    this.#end(new RaftlineError("UNAVAILABLE", reason));
  }

  #flush(): void {
    if (this.#ended !== undefined || this.#out.length === 0) return;
    const out = this.#out;
    this.#out = [];
    this.#connection.write(out);
  }

  #onData(chunk: Uint8Array): void {
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#connection.destroy();
      this.#end(new RaftlineError("MALFORMED", `${this.address.host}:${this.address.port} sent ${error.message}`));
    }
  }

  #onFrame(head: unknown[], body: Uint8Array): void {
    const id = correlationIdOf(head);
    if (id === 0) {
      // The node refuses the whole connection; it will close it.
      this.#end(failureOf(head) ?? new RaftlineError("MALFORMED", "a refusal without a code"));
      this.#connection.close();
      return;
    }
    const pending = this.#pending.take(id);
    if (pending === undefined) return;
    try {
      pending.resolve(decodeResponse(pending.type, head, body) as never);
    } catch (error) {
      if (error instanceof RaftlineError) return pending.reject(error);
      pending.reject(new RaftlineError("MALFORMED", `the answer to ${pending.type} is not valid`, { cause: error }));
      throw error;
    }
  }

  #end(error: RaftlineError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#reader.close();
    this.#out = [];
    this.#pending.rejectAll(error);
    this.onClose(error);
  }
}

function brokenBy({ host, port }: Address, cause: unknown): RaftlineError {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new RaftlineError("UNAVAILABLE", `the connection to ${host}:${port} failed${why}`, { cause });
}

/** Under TLS, before anything was asked: trying again helps nobody. */
function notBelieved(cause: unknown): RaftlineError | undefined {
  if (!(cause instanceof NetworkError) || cause.code !== "UNTRUSTED") return undefined;
  return new RaftlineError("UNTRUSTED", cause.message, { cause });
}
