/** FETCH requests: the sessions of each connection, by the numbers that its clients chose. */
import { RaftlineError } from "../../src/wire/errors.ts";
import { FETCH_PARTS_MAX, FETCH_SESSIONS_MAX } from "../../src/wire/limits.ts";
import type { FetchRequest } from "../../src/wire/protocol.ts";
import type { Exchange, RpcSession } from "../../src/wire/rpc-session.ts";
import { FetchSession, type FetchSessionOptions } from "./fetch-session.ts";

export class FetchService {
  readonly #options: FetchSessionOptions;
  readonly #connections = new Map<RpcSession, Map<number, FetchSession>>();

  constructor(options: FetchSessionOptions) {
    this.#options = options;
  }

  /** @throws {RaftlineError} `UNKNOWN_SESSION`, `THROTTLED` */
  handle(exchange: Exchange<FetchRequest>): void {
    const { request, session: connection } = exchange;
    let sessions = this.#connections.get(connection);
    if (!sessions) this.#connections.set(connection, sessions = new Map());
    if (request.step === "end") {
      sessions.get(request.session)?.end();
      sessions.delete(request.session);
      return exchange.ok("fetch", { parts: [] });
    }
    if (request.step === "open") this.#open(sessions, request.session);
    const session = sessions.get(request.session);
    if (!session) throw new RaftlineError("UNKNOWN_SESSION", `fetch session ${request.session} was not opened here`);
    this.#admit(sessions, request.parts.length);
    session.ask(exchange);
  }

  /** The connection is gone, and with it all that was asked on it. */
  closed(connection: RpcSession): void {
    for (const session of this.#connections.get(connection)?.values() ?? []) session.end();
    this.#connections.delete(connection);
  }

  close(): void {
    for (const connection of [...this.#connections.keys()]) this.closed(connection);
  }

  #open(sessions: Map<number, FetchSession>, number: number): void {
    sessions.get(number)?.end();
    if (!sessions.has(number) && sessions.size >= FETCH_SESSIONS_MAX) {
      throw new RaftlineError("THROTTLED", `at most ${FETCH_SESSIONS_MAX} fetch sessions on one connection`);
    }
    sessions.set(number, new FetchSession(this.#options));
  }

  #admit(sessions: ReadonlyMap<number, FetchSession>, more: number): void {
    let parts = more;
    for (const { size } of sessions.values()) parts += size;
    if (parts > FETCH_PARTS_MAX) {
      throw new RaftlineError("THROTTLED", `at most ${FETCH_PARTS_MAX} partitions are asked for on one connection`);
    }
  }
}
