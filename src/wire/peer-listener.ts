/** The accepting half of what two nodes share: checks who dials, and delivers what it sends. */
import type { Address, Connection, Listener } from "../runtime/network.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { RecordsError } from "../records/errors.ts";
import { WireError } from "./errors.ts";
import { encodeFrame, FrameReader } from "./frames.ts";
import { HELLO_LIMITS, HELLO_MS_MAX, PEER_LIMITS } from "./limits.ts";
import { decodePeerHello, encodePeerHelloAnswer, PEER_PROTOCOL_VERSION, type PeerHello } from "./peer-protocol.ts";
import { sameSecret } from "./secrets.ts";

/** Accepted connections that have not said who they are. */
const STRANGERS_MAX = 256;
/** The same refusal is told so often. */
const REFUSAL_TOLD_MS = 60_000;
const REFUSALS_KEPT_MAX = 256;

export interface PeerListenerOptions {
  readonly clusterId: string;
  readonly self: number;
  readonly incarnation: number;
  /** As in `PeerLinkOptions`; a peer with another one is refused. */
  readonly secret: string;
  /**
   * Before a peer is let in: "" when its run is known here for good, else the code it is refused with. A run that is over
   * must not take the place of the one that followed it.
   */
  readonly meet: (hello: PeerHello) => Promise<string>;
  readonly onSessionStart: (session: PeerSession) => void;
  /** A `WireError` or `RecordsError` thrown here ends the session: the bytes were not what they should be. */
  readonly onFrame: (session: PeerSession, head: unknown[], body: Uint8Array) => void;
  readonly onSessionEnd: (session: PeerSession) => void;
}

/** A connection that a peer dialled. At most one per peer lives: a newer one ends the older. */
export interface PeerSession {
  readonly from: number;
  /** Rises with every session of this listener. */
  readonly number: number;
  readonly incarnation: number;
  /** No more frames until `resume`: back-pressure to the peer. */
  pause(): void;
  resume(): void;
  destroy(): void;
}

/** @example const listener = await PeerListener.listen(runtime, { host: "127.0.0.1", port: 7501 }, options); */
export class PeerListener {
  readonly #runtime: Runtime;
  readonly #options: PeerListenerOptions;
  readonly #strangers = new Set<Inbound>();
  /** By node id. */
  readonly #peers = new Map<number, Inbound>();
  #listener: Listener | undefined;
  /** When each node's refusal with a code was told last. */
  readonly #refusalToldMs = new Map<string, number>();
  #sessionsStarted = 0;
  #closed = false;

  private constructor(runtime: Runtime, options: PeerListenerOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /** @throws {NetworkError} if the address cannot be listened on */
  static async listen(runtime: Runtime, address: Address, options: PeerListenerOptions): Promise<PeerListener> {
    const self = new PeerListener(runtime, options);
    self.#listener = await runtime.network.listen(address, (connection) => self.#accept(connection), { mutual: true });
    return self;
  }

  get address(): Address {
    return this.#listener!.address;
  }

  /** Ends all sessions; their ends are reported. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const inbound of [...this.#strangers, ...this.#peers.values()]) inbound.destroy();
    await this.#listener!.close();
  }

  #accept(connection: Connection): void {
    const inbound: Inbound = new Inbound(this.#runtime, connection, {
      onHello: (hello) => this.#greet(inbound, hello),
      onFrame: (head, body) => this.#options.onFrame(inbound, head, body),
      onEnd: () => this.#remove(inbound),
    });
    this.#strangers.add(inbound);
    if (this.#closed || this.#strangers.size > STRANGERS_MAX) inbound.destroy();
  }

  #greet(inbound: Inbound, hello: PeerHello): void {
    const code = this.#judge(hello);
    if (code !== "") return this.#refuse(inbound, hello, code);
    this.#options.meet(hello).then(
      (met) => {
        if (inbound.ended) return;
        if (met !== "") this.#refuse(inbound, hello, met);
        else this.#letIn(inbound, hello);
      },
      () => {
        if (!inbound.ended) this.#refuse(inbound, hello, "UNAVAILABLE");
      },
    );
  }

  #refuse(inbound: Inbound, { from }: PeerHello, code: string): void {
    this.#tellRefusal(from, code, inbound.remote.host);
    inbound.refuse(encodeFrame(encodePeerHelloAnswer({ code, incarnation: 0 })));
  }

  /** It asks again and again. */
  #tellRefusal(from: number, code: string, host: string): void {
    const nowMs = this.#runtime.clock.monotonicMs();
    const what = `${from} ${code}`;
    if (nowMs - (this.#refusalToldMs.get(what) ?? -Infinity) < REFUSAL_TOLD_MS) return;
    if (this.#refusalToldMs.size >= REFUSALS_KEPT_MAX) this.#refusalToldMs.clear();
    this.#refusalToldMs.set(what, nowMs);
    this.#runtime.log.write("warn", "a peer was refused", { code, from, host });
  }

  #letIn(inbound: Inbound, hello: PeerHello): void {
    this.#peers.get(hello.from)?.destroy();
    this.#strangers.delete(inbound);
    this.#peers.set(hello.from, inbound);
    inbound.accept(hello, ++this.#sessionsStarted);
    this.#options.onSessionStart(inbound);
    inbound.answer(encodeFrame(encodePeerHelloAnswer({ code: "", incarnation: this.#options.incarnation })));
  }

  #judge(hello: PeerHello): string {
    const { clusterId, self, secret } = this.#options;
    if (hello.protocolVersion !== PEER_PROTOCOL_VERSION) return "UNSUPPORTED_VERSION";
    if (!sameSecret(hello.secret, secret)) return "NOT_AUTHORIZED";
    if (hello.clusterId !== clusterId || hello.to !== self || hello.from === self) return "INVALID_REQUEST";
    return "";
  }

  #remove(inbound: Inbound): void {
    this.#strangers.delete(inbound);
    if (inbound.number === 0) return;
    if (this.#peers.get(inbound.from) === inbound) this.#peers.delete(inbound.from);
    this.#options.onSessionEnd(inbound);
  }
}

interface InboundHandler {
  readonly onHello: (hello: PeerHello) => void;
  readonly onFrame: (head: unknown[], body: Uint8Array) => void;
  /** Once. */
  readonly onEnd: () => void;
}

class Inbound implements PeerSession {
  from = 0;
  /** 0: not accepted. */
  number = 0;
  incarnation = 0;
  ended = false;
  readonly #runtime: Runtime;
  readonly #connection: Connection;
  readonly #handler: InboundHandler;
  readonly #reader: FrameReader;
  readonly #helloTimer: Timer;
  /** Said hello, and waits for the answer. */
  #greets = false;

  constructor(runtime: Runtime, connection: Connection, handler: InboundHandler) {
    this.#runtime = runtime;
    this.#connection = connection;
    this.#handler = handler;
    this.#reader = new FrameReader(HELLO_LIMITS, (head, body) => this.#onFrame(head, body));
    this.#helloTimer = runtime.timers.after(HELLO_MS_MAX, () => this.destroy());
    connection.onRoom = () => this.#reader.room();
    connection.onData = (chunk) => this.#guarded(() => this.#reader.push(chunk));
    connection.onDrain = () => {};
    connection.onClose = () => this.#end();
  }

  get remote(): Address {
    return this.#connection.remote;
  }

  accept(hello: PeerHello, number: number): void {
    this.#helloTimer.cancel();
    this.from = hello.from;
    this.incarnation = hello.incarnation;
    this.number = number;
    this.#reader.setLimits(PEER_LIMITS);
  }

  answer(frame: Uint8Array[]): void {
    if (!this.ended) this.#connection.write(frame);
  }

  /** The hello's timer still runs: it cuts a stranger that does not go. */
  refuse(frame: Uint8Array[]): void {
    this.#reader.close();
    this.#connection.write(frame);
    this.#connection.close();
  }

  pause(): void {
    this.#reader.pause();
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
    this.#guarded(() => this.#reader.resume());
  }

  destroy(): void {
    this.#connection.destroy();
    this.#end();
  }

  #onFrame(head: unknown[], body: Uint8Array): void {
    if (this.number > 0) return this.#handler.onFrame(head, body);
    if (this.#greets) throw new WireError("INVALID_MESSAGE", "a peer sent before its hello was answered");
    this.#greets = true;
    this.#handler.onHello(decodePeerHello(head));
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof RecordsError)) throw error;
      const { from, number } = this;
      this.#runtime.log.write("warn", "a peer sent bytes that are not valid", { from, number, reason: error.message });
      this.destroy();
    }
  }

  #end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#reader.close();
    this.#helloTimer.cancel();
    this.#handler.onEnd();
  }
}
