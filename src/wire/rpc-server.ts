/**
 * The server's side of the client protocol: accepts connections, checks every byte, hands requests to a handler and
 * sends its answers, one write per connection and turn. A connection that misbehaves costs its own bounds and no more.
 */
import type { Address, Connection, Listener } from "../runtime/network.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { CONNECTIONS_MAX, HALF_FRAME_MS_MAX, HELLO_MS_MAX, IDLE_MS_MAX, LINGER_MS_MAX } from "./limits.ts";
import { encodeFailure } from "./responses.ts";
import { type RpcHandler, RpcSession } from "./rpc-session.ts";

const SWEEP_MS = 1_000;

export interface RpcServerOptions {
  readonly connectionsMax?: number;
  readonly idleMsMax?: number;
  readonly halfFrameMsMax?: number;
  readonly helloMsMax?: number;
  /** Under TLS clients must show a certificate, too. */
  readonly mutual?: boolean;
}

/**
 * @example
 * const server = await RpcServer.listen(runtime, { host: "127.0.0.1", port: 0 }, handler);
 * server.address.port;
 * await server.close();
 */
export class RpcServer {
  readonly #runtime: Runtime;
  readonly #handler: RpcHandler;
  readonly #connectionsMax: number;
  readonly #idleMsMax: number;
  readonly #halfFrameMsMax: number;
  readonly #helloMsMax: number;
  readonly #sessions = new Set<RpcSession>();
  /** Sessions with answers of this turn. */
  #dirty: RpcSession[] = [];
  #listener: Listener | undefined;
  #sweep: Timer | undefined;
  #sessionsOpened = 0;
  #refused = 0;
  #closed = false;

  private constructor(runtime: Runtime, handler: RpcHandler, options: RpcServerOptions) {
    this.#runtime = runtime;
    this.#handler = handler;
    this.#connectionsMax = options.connectionsMax ?? CONNECTIONS_MAX;
    this.#idleMsMax = options.idleMsMax ?? IDLE_MS_MAX;
    this.#halfFrameMsMax = options.halfFrameMsMax ?? HALF_FRAME_MS_MAX;
    this.#helloMsMax = options.helloMsMax ?? HELLO_MS_MAX;
  }

  /** @throws {NetworkError} if the address cannot be listened on */
  static async listen(
    runtime: Runtime,
    address: Address,
    handler: RpcHandler,
    options: RpcServerOptions = {},
  ): Promise<RpcServer> {
    const server = new RpcServer(runtime, handler, options);
    const { mutual = false } = options;
    server.#listener = await runtime.network.listen(address, (connection) => server.#accept(connection), { mutual });
    return server;
  }

  /** Where it listens, with the port the system chose. */
  get address(): Address {
    return this.#listener!.address;
  }

  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** That were turned away since the start, because there were too many. */
  get refusedConnections(): number {
    return this.#refused + this.#listener!.refused;
  }

  /** Stops listening and ends every connection after the answers that are ready; who does not take them is cut off. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.endSessions();
    await this.#listener!.close();
  }

  /** Ends connections likewise; new ones are taken. */
  endSessions(isMeant: (session: RpcSession) => boolean = () => true): void {
    this.#flush();
    for (const session of [...this.#sessions]) if (isMeant(session)) session.close();
  }

  #accept(connection: Connection): void {
    if (this.#closed || this.#sessions.size >= this.#connectionsMax) {
      this.#refused += 1;
      connection.onData = () => {};
      connection.onDrain = () => {};
      connection.onClose = () => {};
      connection.write(encodeFailure(0, "TOO_MANY_CONNECTIONS", `this node takes ${this.#connectionsMax} connections`));
      connection.close();
      return;
    }
    const session = new RpcSession({
      id: ++this.#sessionsOpened,
      connection,
      runtime: this.#runtime,
      handler: this.#handler,
      onAnswer: () => this.#markDirty(session),
      onClosed: () => {
        this.#sessions.delete(session);
        this.#handler.closed?.(session);
      },
    });
    this.#sessions.add(session);
    if (this.#sweep === undefined) this.#armSweep();
  }

  #markDirty(session: RpcSession): void {
    this.#dirty.push(session);
    // After all that is answered in a row, not a turn of the loop later: a turn costs a lone record its wake-up.
    if (this.#dirty.length === 1) Promise.resolve().then(() => this.#flush());
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const session of dirty) session.flush();
  }

  /** One timer for all connections; none while there are none. */
  #armSweep(): void {
    this.#sweep = this.#runtime.timers.after(SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#runtime.clock.monotonicMs();
      for (const session of [...this.#sessions]) this.#check(session, nowMs);
      if (this.#sessions.size > 0) this.#armSweep();
    });
  }

  #check(session: RpcSession, nowMs: number): void {
    if (session.closingSinceMs !== undefined) {
      if (nowMs - session.closingSinceMs > LINGER_MS_MAX) session.destroy();
    } else if (!session.greeted && nowMs - session.openedMs > this.#helloMsMax) {
      session.refuse("TIMED_OUT", `no hello within ${this.#helloMsMax} ms`);
    } else if (nowMs - session.halfFrameSinceMs > this.#halfFrameMsMax) {
      session.refuse("TIMED_OUT", `a frame was not whole within ${this.#halfFrameMsMax} ms`);
    } else if (session.openRequests === 0 && nowMs - session.lastFrameMs > this.#idleMsMax) {
      session.close();
    }
  }
}
