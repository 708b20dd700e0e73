/** Requests from one node to another over the peers' links, each answered once or given up. */
import type { NodeId } from "../../src/raft/types.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import { RaftlineError } from "../../src/wire/errors.ts";
import type { ForwardedReply, ForwardedRequest } from "../../src/wire/peer-protocol.ts";

/**
 * Each run of a node begins its ids somewhere else: an answer to what the run before asked, which comes on the new link, is
 * none to what this one asks. More than is asked in a node's life stays free above.
 */
const FIRST_REQUEST_ID_MAX = 2 ** 48;

/** What the links carry of it. */
export interface RequestLinks {
  /** False: not reachable now; nothing was sent. */
  forward(peer: NodeId, request: ForwardedRequest): boolean;
  answer(peer: NodeId, reply: ForwardedReply): void;
}

/** Does what another node asks; throws a `RaftlineError` to refuse it. */
export type PeerRequestHandler = (args: unknown) => Promise<unknown>;

interface Asked {
  readonly peer: NodeId;
  readonly timer: Timer;
  readonly settle: (reply: ForwardedReply) => void;
}

export class PeerRequests {
  readonly #runtime: Runtime;
  readonly #links: RequestLinks;
  readonly #handlers = new Map<string, PeerRequestHandler>();
  readonly #asked = new Map<number, Asked>();
  #lastRequestId: number;

  constructor(runtime: Runtime, links: RequestLinks) {
    this.#runtime = runtime;
    this.#links = links;
    this.#lastRequestId = runtime.random.integer(FIRST_REQUEST_ID_MAX);
  }

  handle(command: string, handler: PeerRequestHandler): void {
    this.#handlers.set(command, handler);
  }

  /**
   * Code "NOT_LEADER": nothing was sent, or the other says so. "TIMED_OUT", "UNAVAILABLE": the outcome is not known.
   * Never rejects.
   */
  ask(peer: NodeId, command: string, args: unknown, timeoutMs: number): Promise<ForwardedReply> {
    const requestId = ++this.#lastRequestId;
    return new Promise((settle) => {
      const timer = this.#runtime.timers.after(timeoutMs, () => {
        const message = `node ${peer} did not answer within ${timeoutMs} ms: the outcome is not known`;
        this.onReply(peer, { requestId, code: "TIMED_OUT", message, result: null });
      });
      this.#asked.set(requestId, { peer, timer, settle });
      if (!this.#links.forward(peer, { requestId, command, args })) {
        this.onReply(peer, { requestId, code: "NOT_LEADER", message: "", result: null });
      }
    });
  }

  onRequest(peer: NodeId, { requestId, command, args }: ForwardedRequest): void {
    const answer = (code: string, message: string, result: unknown) =>
      this.#links.answer(peer, { requestId, code, message, result });
    const handler = this.#handlers.get(command);
    if (handler === undefined) return answer("UNKNOWN_COMMAND", `"${command}" is not known here`, null);
    handler(args).then(
      (result) => answer("", "", result),
      (error: unknown) => {
        const code = error instanceof RaftlineError ? error.code : "INTERNAL";
        answer(code, error instanceof Error ? error.message : String(error), null);
      },
    );
  }

  onReply(peer: NodeId, reply: ForwardedReply): void {
    const asked = this.#asked.get(reply.requestId);
    if (asked?.peer !== peer) return;
    this.#asked.delete(reply.requestId);
    asked.timer.cancel();
    asked.settle(reply);
  }

  close(): void {
    for (const [requestId, { peer }] of [...this.#asked]) {
      this.onReply(peer, { requestId, code: "UNAVAILABLE", message: "this node is stopping", result: null });
    }
  }
}
