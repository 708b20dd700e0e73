/** One accepted client connection, and one request on it. */
import type { Address, Connection } from "../runtime/network.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type ErrorCode, RaftlineError, WireError } from "./errors.ts";
import { FrameReader } from "./frames.ts";
import {
  FETCH_BYTES_MAX,
  HELLO_LIMITS,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_REQUESTS_MAX,
  LONG_POLLS_IN_FLIGHT_MAX,
  REQUEST_LIMITS,
  UNSENT_BYTES_MAX,
} from "./limits.ts";
import { decodeRequest, type HelloRequest, LONG_POLLS, PROTOCOL_VERSION, type Request } from "./protocol.ts";
import { encodeFailure, encodeResponse, type Responses } from "./responses.ts";

/**
 * What a node does with requests. Each exchange is answered exactly once, now or later; a `RaftlineError` thrown at once
 * is the answer. Anything else thrown is logged and answered `INTERNAL`: one request must not end the node, so code whose
 * invariants are broken calls `runtime.fatal` itself.
 */
export interface RpcHandler {
  /** The first request of a connection: `session.accept(principal)` and an answer, or `fail`, which ends it. */
  hello(exchange: Exchange<HelloRequest>): void;
  /** Every other request, only from accepted sessions. */
  request(exchange: Exchange<Exclude<Request, HelloRequest>>): void;
  /** The connection is gone; answers to its open exchanges go nowhere. */
  closed?(session: RpcSession): void;
}

export interface RpcSessionOptions {
  readonly id: number;
  readonly connection: Connection;
  readonly runtime: Runtime;
  readonly handler: RpcHandler;
  /** Called once when there is something to {@link RpcSession.flush}. */
  readonly onAnswer: () => void;
  readonly onClosed: () => void;
}

/** One request that waits for its answer. */
export class Exchange<R extends Request = Request> {
  readonly session: RpcSession;
  readonly request: R;
  readonly #correlationId: number;
  readonly #frameBytes: number;
  #answered = false;

  constructor(session: RpcSession, request: R, correlationId: number, frameBytes: number) {
    this.session = session;
    this.request = request;
    this.#correlationId = correlationId;
    this.#frameBytes = frameBytes;
  }

  /** Whether an answer is still wanted: not given yet, and the connection is there. */
  get open(): boolean {
    return !this.#answered && this.session.open;
  }

  /** `type` is the request's own. `onSent`: once the response's bytes are not needed any more, sent or not. */
  ok<T extends R["type"]>(type: T, response: Responses[T], onSent?: () => void): void {
    this.#answer(encodeResponse(type, this.#correlationId, response), onSent);
  }

  fail(code: ErrorCode, message: string, details?: unknown): void {
    this.#answer(encodeFailure(this.#correlationId, code, message, details));
    if (this.request.type === "hello") this.session.close();
  }

  /** Answers with what a handler's own call threw. */
  failWith(error: RaftlineError): void {
    this.fail(error.code as ErrorCode, error.message, error.details);
  }

  #answer(frame: Uint8Array[], onSent?: () => void): void {
    if (this.#answered) throw new Error(`request ${this.#correlationId} (${this.request.type}) was answered twice`);
    this.#answered = true;
    this.session.answer(frame, this.#frameBytes, LONG_POLLS.has(this.request.type), onSent);
  }
}

export class RpcSession {
  /** Unique in its server. */
  readonly id: number;
  readonly openedMs: number;
  lastFrameMs: number;
  /** When the frame that is not whole yet began; Infinity if there is none. */
  halfFrameSinceMs = Infinity;
  closingSinceMs: number | undefined;
  greeted = false;
  /** Who it is, once accepted. */
  principal: string | undefined;
  openRequests = 0;

  readonly #options: RpcSessionOptions;
  readonly #connection: Connection;
  readonly #reader: FrameReader;
  #inFlightBytes = 0;
  #openLongPolls = 0;
  #framesRead = 0;
  #out: Uint8Array[] = [];
  /** Who wants to know when `#out` has gone. */
  #whenSent: (() => void)[] = [];
  #paused = false;
  #gone = false;

  constructor(options: RpcSessionOptions) {
    this.id = options.id;
    this.#options = options;
    this.#connection = options.connection;
    this.openedMs = options.runtime.clock.monotonicMs();
    this.lastFrameMs = this.openedMs;
    this.#reader = new FrameReader(HELLO_LIMITS, (head, body, frameBytes) => this.#onFrame(head, body, frameBytes));
    options.connection.onRoom = () => this.#reader.room();
    options.connection.onData = (chunk) => this.#read(() => this.#reader.push(chunk));
    options.connection.onDrain = () => this.#regulate();
    options.connection.onClose = () => {
      this.#gone = true;
      this.#reader.close();
      this.#takeWhenSent()?.();
      options.onClosed();
    };
  }

  get remote(): Address {
    return this.#connection.remote;
  }

  /** Whether answers still arrive. */
  get open(): boolean {
    return !this.#gone && this.closingSinceMs === undefined;
  }

  /** The client is who it says: requests are taken from now on. */
  accept(principal: string): void {
    this.principal = principal;
    this.#reader.setLimits(REQUEST_LIMITS);
  }

  /** Says why, and ends the connection. */
  refuse(code: ErrorCode, message: string, correlationId = 0): void {
    if (!this.open) return;
    this.#options.runtime.log.write("debug", "client connection refused", { code, message, remote: this.remote.host });
    this.#out.push(...encodeFailure(correlationId, code, message));
    this.close();
  }

  /** Ends the connection after what is ready to be sent. */
  close(): void {
    if (!this.open) return;
    this.flush();
    this.closingSinceMs = this.#options.runtime.clock.monotonicMs();
    this.#reader.close();
    this.#connection.close();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  /** Queues an answer for the end of the turn; the request's bytes no longer count. Used by {@link Exchange}. */
  answer(frame: Uint8Array[], frameBytes: number, longPoll: boolean, onSent?: () => void): void {
    this.openRequests--;
    this.#inFlightBytes -= frameBytes;
    if (longPoll) this.#openLongPolls--;
    if (!this.open) return onSent?.();
    if (onSent) this.#whenSent.push(onSent);
    if (this.#out.length === 0) this.#options.onAnswer();
    for (const chunk of frame) this.#out.push(chunk);
  }

  /** Writes the turn's answers at once, and reads on if that is possible again. */
  flush(): void {
    const out = this.#out;
    if (!this.open || out.length === 0) return;
    this.#out = [];
    this.#connection.write(out, this.#takeWhenSent());
    this.#regulate();
  }

  #takeWhenSent(): (() => void) | undefined {
    const whenSent = this.#whenSent;
    if (whenSent.length === 0) return undefined;
    this.#whenSent = [];
    return () => {
      for (const tell of whenSent) tell();
    };
  }

  /** Reading goes on while both what waits to be done and what waits to be sent are within their bounds. */
  #regulate(): void {
    const full = this.#inFlightBytes > IN_FLIGHT_BYTES_MAX || this.openRequests >= IN_FLIGHT_REQUESTS_MAX ||
      this.#connection.bufferedBytes > UNSENT_BYTES_MAX;
    if (full === this.#paused || !this.open) return;
    this.#paused = full;
    if (full) {
      this.halfFrameSinceMs = Infinity;
      this.#reader.pause();
      this.#connection.pause();
    } else {
      this.#connection.resume();
      this.#read(() => this.#reader.resume());
    }
  }

  #read(step: () => void): void {
    const before = this.#framesRead;
    try {
      step();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.refuse("MALFORMED", `${error.code}: ${error.message}`);
      return;
    }
    if (this.#paused || !this.#reader.midFrame) this.halfFrameSinceMs = Infinity;
    else if (this.#framesRead !== before || this.halfFrameSinceMs === Infinity) {
      this.halfFrameSinceMs = this.#options.runtime.clock.monotonicMs();
    }
  }

  #onFrame(head: unknown[], body: Uint8Array, frameBytes: number): void {
    this.#framesRead++;
    this.lastFrameMs = this.#options.runtime.clock.monotonicMs();
    let decoded;
    try {
      decoded = decodeRequest(head, body);
    } catch (error) {
      if (!(error instanceof WireError) || error.correlationId === undefined) throw error;
      if (!this.greeted) return this.refuse("INVALID_REQUEST", error.message, error.correlationId);
      this.#track(frameBytes, false);
      this.answer(encodeFailure(error.correlationId, "INVALID_REQUEST", error.message), frameBytes, false);
      return;
    }
    this.#dispatch(decoded.request, decoded.correlationId, frameBytes);
  }

  #dispatch(request: Request, correlationId: number, frameBytes: number): void {
    if (request.type === "hello") return this.#hello(request, correlationId, frameBytes);
    if (this.principal === undefined) {
      return this.refuse("NOT_AUTHORIZED", "a connection begins with a hello, and waits for its answer", correlationId);
    }
    this.#track(frameBytes, LONG_POLLS.has(request.type));
    const bounded = (request.type === "fetch" || request.type === "lease") && request.bytesMax > FETCH_BYTES_MAX
      ? { ...request, bytesMax: FETCH_BYTES_MAX }
      : request;
    const exchange = new Exchange(this, bounded, correlationId, frameBytes);
    if (this.#openLongPolls > LONG_POLLS_IN_FLIGHT_MAX && LONG_POLLS.has(request.type)) {
      const message = `at most ${LONG_POLLS_IN_FLIGHT_MAX} fetches and leases may wait on one connection`;
      return exchange.fail("THROTTLED", message);
    }
    this.#run(exchange, () => this.#options.handler.request(exchange));
    this.#regulate();
  }

  #hello(request: HelloRequest, correlationId: number, frameBytes: number): void {
    if (this.greeted) return this.refuse("INVALID_REQUEST", "a connection says hello once", correlationId);
    this.greeted = true;
    if (request.protocolVersion !== PROTOCOL_VERSION) {
      const message = `protocol version ${request.protocolVersion} is not spoken here, ${PROTOCOL_VERSION} is`;
      return this.refuse("UNSUPPORTED_VERSION", message, correlationId);
    }
    this.#track(frameBytes, false);
    const exchange = new Exchange(this, request, correlationId, frameBytes);
    this.#run(exchange, () => this.#options.handler.hello(exchange));
  }

  #track(frameBytes: number, longPoll: boolean): void {
    this.openRequests++;
    this.#inFlightBytes += frameBytes;
    if (longPoll) this.#openLongPolls++;
  }

  #run(exchange: Exchange, call: () => void): void {
    try {
      call();
    } catch (error) {
      if (error instanceof RaftlineError && exchange.open) return exchange.failWith(error);
      this.#options.runtime.log.write("error", "a request failed unexpectedly", { type: exchange.request.type, error });
      if (exchange.open) exchange.fail("INTERNAL", "the node failed to handle this request; its log says why");
    }
  }
}
