/** The outgoing half of what two nodes share: dials one peer, again and again, and sends this node's messages. */
import type { Address, Connection } from "../runtime/network.ts";
import { NetworkError } from "../runtime/network.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { WireError } from "./errors.ts";
import { encodeFrame, FrameReader } from "./frames.ts";
import { HELLO_LIMITS, PEER_UNSENT_BYTES_MAX } from "./limits.ts";
import { decodePeerHelloAnswer, encodePeerHello, type NodeRun, PEER_PROTOCOL_VERSION } from "./peer-protocol.ts";

const RETRY_MS_FIRST = 20;
const RETRY_MS_MAX = 500;
const CONNECT_MS_MAX = 1_000;

export interface PeerLinkOptions {
  readonly clusterId: string;
  readonly self: number;
  readonly peer: number;
  /** What is said of this run; it is durable here before a peer hears of it. May fail when it cannot be, for now. */
  readonly run: () => Promise<NodeRun>;
  /** Whether this node knows, and its disk says so, that it has forgotten what it promised before. */
  readonly forgot: () => boolean;
  /** Shared by the nodes of the cluster; "" where none is configured. */
  readonly secret: string;
  readonly address: Address;
  /** Messages may be sent; nothing sent before on an earlier connection is known to have arrived. */
  readonly onUp: (remoteIncarnation: number) => void;
  /** It was up and is not any more. */
  readonly onDown: (reason: string) => void;
  /** Nothing listens there: the peer's process is gone. May come again with every attempt. */
  readonly onRefused: () => void;
  /** The peer remembers what this node does not. It is dialled again, and let in when `forgot` says so. */
  readonly onForgot: () => void;
  /** All that was sent has gone to the system. */
  readonly onDrain?: () => void;
}

type State = "idle" | "connecting" | "greeting" | "up" | "closed";

/**
 * @example
 * const link = new PeerLink(runtime, { clusterId, self: 1, peer: 2, run, secret: "", address, … });
 * link.start();
 * link.send(encodeHeartbeat(heartbeat));
 */
export class PeerLink {
  readonly peer: number;
  readonly #runtime: Runtime;
  readonly #options: PeerLinkOptions;
  #address: Address;
  #state: State = "idle";
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  #retryMs = 0;
  /** What the peer said last, if it did not let this node in: told once, however often it is asked. */
  #refusedWith = "";
  /** Counts attempts: what a late event of an earlier one says is ignored. */
  #attempt = 0;

  constructor(runtime: Runtime, options: PeerLinkOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#address = options.address;
    this.peer = options.peer;
  }

  get up(): boolean {
    return this.#state === "up";
  }

  /** Sent, not yet taken by the system. */
  get bufferedBytes(): number {
    return this.#connection?.bufferedBytes ?? 0;
  }

  start(): void {
    if (this.#state === "idle" && this.#timer === undefined) this.#connect();
  }

  /** For the next attempt: the peer is reached elsewhere now. */
  setAddress(address: Address): void {
    this.#address = address;
  }

  /**
   * Sends one message; chunks go by reference. False if it was dropped: the link is not up, or too much waits already.
   * Raft repeats what matters.
   */
  send(head: readonly unknown[], body?: readonly Uint8Array[]): boolean {
    const connection = this.#taking();
    connection?.write(encodeFrame(head, body));
    return connection !== undefined;
  }

  /** The same of a frame that is encoded already. */
  sendFrame(frame: readonly Uint8Array[]): boolean {
    const connection = this.#taking();
    connection?.write(frame);
    return connection !== undefined;
  }

  /** The connection, if it takes more now. */
  #taking(): Connection | undefined {
    return this.#state === "up" && this.bufferedBytes <= PEER_UNSENT_BYTES_MAX ? this.#connection : undefined;
  }

  /** Ends the connection, because it is taken for dead, and dials anew. */
  reset(reason: string): void {
    if (this.#state !== "closed") this.#fail(reason);
  }

  /** For good. What was sent goes out first. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#attempt++;
    this.#timer?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #connect(): void {
    const attempt = ++this.#attempt;
    this.#state = "connecting";
    this.#runtime.network.connect(this.#address, CONNECT_MS_MAX).then(
      (connection) => {
        if (attempt !== this.#attempt) return abandon(connection);
        void this.#greet(connection, attempt);
      },
      (error: unknown) => {
        if (attempt !== this.#attempt) return;
        this.#fail(error instanceof Error ? error.message : String(error));
        if (error instanceof NetworkError && error.code === "REFUSED") this.#options.onRefused();
      },
    );
  }

  async #greet(connection: Connection, attempt: number): Promise<void> {
    this.#state = "greeting";
    this.#connection = connection;
    const reader = new FrameReader(HELLO_LIMITS, (head) => this.#onAnswer(head));
    connection.onRoom = () => reader.room();
    connection.onData = (chunk) => {
      if (attempt !== this.#attempt) return;
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.#fail(error.message);
      }
    };
    connection.onDrain = () => {
      if (attempt === this.#attempt) this.#options.onDrain?.();
    };
    connection.onClose = (error) => {
      if (attempt === this.#attempt) this.#fail(error?.message ?? "the peer closed the connection");
    };
    this.#timer = this.#runtime.timers.after(CONNECT_MS_MAX, () => this.#fail("no answer to the hello"));
    const { clusterId, self: from, peer: to, forgot, secret } = this.#options;
    const run = await this.#options.run().catch((error: unknown) => String(error));
    if (attempt !== this.#attempt) return;
    if (typeof run === "string") return this.#fail(`this node has no run yet: ${run}`);
    const hello = { protocolVersion: PEER_PROTOCOL_VERSION, clusterId, from, to, ...run, forgot: forgot(), secret };
    connection.write(encodeFrame(encodePeerHello(hello)));
  }

  #onAnswer(head: unknown[]): void {
    if (this.#state !== "greeting") {
      throw new WireError("INVALID_MESSAGE", "a peer sent on a connection it did not dial");
    }
    const { code, incarnation } = decodePeerHelloAnswer(head);
    if (code === "FORGOT") {
      this.#fail("the peer remembers more of this node than it does itself");
      return this.#options.onForgot();
    }
    if (code !== "") {
      const { self, peer } = this.#options;
      if (code !== this.#refusedWith) this.#runtime.log.write("warn", "a peer refused this node", { code, self, peer });
      this.#refusedWith = code;
      this.#retryMs = RETRY_MS_MAX;
      return this.#fail(`the peer refused: ${code}`);
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state = "up";
    this.#retryMs = 0;
    this.#refusedWith = "";
    this.#options.onUp(incarnation);
  }

  /** Ends this attempt; the next follows after a pause that doubles. The first is short: a restart is quick. */
  #fail(reason: string): void {
    const wasUp = this.#state === "up";
    this.#attempt++;
    this.#timer?.cancel();
    if (this.#connection !== undefined) abandon(this.#connection);
    this.#connection = undefined;
    this.#state = "idle";
    const pauseMs = Math.max(RETRY_MS_FIRST, this.#retryMs);
    this.#retryMs = Math.min(RETRY_MS_MAX, pauseMs * 2);
    const jitteredMs = pauseMs * (0.5 + this.#runtime.random.next() / 2);
    this.#timer = this.#runtime.timers.after(jitteredMs, () => {
      this.#timer = undefined;
      this.#connect();
    });
    if (wasUp) this.#options.onDown(reason);
  }
}

function abandon(connection: Connection): void {
  connection.onData = () => {};
  connection.onDrain = () => {};
  connection.onClose = () => {};
  connection.destroy();
}
