/**
 * The client's picture of the cluster: nodes, topics, leaders; and how it is kept true. Whoever needs a leader that is not
 * known asks with `needLeader` and is told by `onChange` when there is news; refreshes are shared, and spaced by a
 * back-off while they bring nothing.
 */
import type { Address } from "../runtime/network.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { RaftlineError } from "../wire/errors.ts";
import type { Request } from "../wire/protocol.ts";
import type { MetadataResponse, Responses } from "../wire/responses.ts";
import type { RpcClient } from "../wire/rpc-client.ts";
import { checkName } from "./checks.ts";
import { closedError, Connections, type Lane } from "./connections.ts";
import { FrameMemory } from "./frame-memory.ts";
import type { ClientSettings } from "./options.ts";
import { type Route, TopicView } from "./topic-view.ts";

const REFRESH_MS_FIRST = 20;
const REFRESH_MS_MAX = 250;
/** The next node is asked as well when one has not answered after this. */
const STAGGER_MS = 200;
const METADATA_TIMEOUT_MS = 2_000;
/** Partitions may be added to topics that nobody asks about, because all goes well. */
const LOOK_AGAIN_MS = 30_000;
/** A topic that was just created may not be known everywhere at once. */
const UNKNOWN_TOPIC_RETRIES = 5;
const UNKNOWN_TOPIC_RETRY_MS = 50;
/** Not retriable on the same node; another may do better. */
const NODE_ITSELF: ReadonlySet<string> = new Set(["MALFORMED", "INTERNAL", "UNTRUSTED"]);

export class Cluster {
  readonly runtime: Runtime;
  readonly settings: ClientSettings;
  readonly memory = new FrameMemory();
  readonly #bootstrap: readonly Address[];
  readonly #connections: Connections;
  readonly #topics = new Map<string, TopicView>();
  /** Topics that were known and may not be any more. */
  readonly #refused = new Set<string>();
  readonly #listeners = new Set<() => void>();
  /** Routes that somebody waits for since the last refresh. */
  readonly #needed = new Set<Route>();
  #refreshing: Promise<void> | undefined;
  #refreshTimer: Timer | undefined;
  #refreshDelayMs = 0;
  #lookAgain: Timer | undefined;
  /** The last refresh brought what was needed; if not, the node that answered may be the one that does not know. */
  #satisfied = true;
  #revision = 0;
  #closed = false;
  #lastNumber = 0;

  private constructor(runtime: Runtime, bootstrap: readonly Address[], settings: ClientSettings) {
    this.runtime = runtime;
    this.settings = settings;
    this.#bootstrap = bootstrap;
    this.#connections = new Connections(runtime, settings, this.memory);
    this.#connections.onLost = (nodeId) => this.#lost(nodeId);
  }

  /** @throws {RaftlineError} `UNAVAILABLE`: no node answered in time; `NOT_AUTHORIZED`, `UNTRUSTED` */
  static async open(runtime: Runtime, bootstrap: readonly Address[], settings: ClientSettings): Promise<Cluster> {
    const cluster = new Cluster(runtime, bootstrap, settings);
    const deadlineMs = runtime.clock.monotonicMs() + settings.connectTimeoutMs;
    for (;;) {
      try {
        await cluster.#refresh([]);
        cluster.#armLookAgain();
        return cluster;
      } catch (error) {
        const final = !(error instanceof RaftlineError) || !error.retriable;
        if (final || runtime.clock.monotonicMs() >= deadlineMs) {
          cluster.close();
          throw error;
        }
      }
      await cluster.sleep(100);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** For what needs a number of its own on every connection of this client. */
  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /** Called after every refresh and every lost connection. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The topic, if it is known already. */
  topic(name: string): TopicView | undefined {
    const view = this.#topics.get(name);
    return view?.gone === false ? view : undefined;
  }

  /** @throws {RaftlineError} `INVALID_NAME`, `UNKNOWN_TOPIC`, `NOT_AUTHORIZED`, `UNAVAILABLE`, `CLOSED` */
  async loadTopic(name: string): Promise<TopicView> {
    checkName("topic", name);
    for (let attempt = 0;; attempt++) {
      const known = this.topic(name);
      if (known !== undefined) return known;
      const response = await this.#refresh([name]);
      const found = this.topic(name);
      if (found !== undefined) return found;
      const code = response.topics.find((topic) => topic.name === name)?.code || "UNKNOWN_TOPIC";
      if (code !== "UNKNOWN_TOPIC" || attempt >= UNKNOWN_TOPIC_RETRIES) {
        throw new RaftlineError(
          code,
          code === "UNKNOWN_TOPIC" ? `there is no topic "${name}"` : `topic "${name}": ${code}`,
        );
      }
      await this.sleep(UNKNOWN_TOPIC_RETRY_MS);
    }
  }

  /** Asks about topics anew, and tells what there is. @throws {RaftlineError} `UNAVAILABLE`, `CLOSED`, … */
  async look(names: readonly string[]): Promise<void> {
    await this.#refresh(names);
    this.#changed();
  }

  /** As `loadTopic`, with all the partitions that there are by now. */
  async freshTopic(name: string): Promise<TopicView> {
    checkName("topic", name);
    // If nobody answers now, what follows says so.
    if (this.topic(name) !== undefined) await this.look([name]).catch(() => {});
    return await this.loadTopic(name);
  }

  /** What became of a topic that was known: `UNKNOWN_TOPIC`, or `NOT_AUTHORIZED`. */
  whyGone(name: string): RaftlineError {
    if (this.#refused.has(name)) {
      return new RaftlineError("NOT_AUTHORIZED", `there is no right on topic "${name}" any more`);
    }
    return new RaftlineError("UNKNOWN_TOPIC", `topic "${name}" was deleted`);
  }

  /** The topic is not what it was: the next `loadTopic` asks. */
  forgetTopic(name: string): void {
    const view = this.#topics.get(name);
    if (view !== undefined) view.gone = true;
    this.#topics.delete(name);
  }

  /** Its leader is not known, or is wrong: `onChange` will tell when the cluster was asked. */
  needLeader(route: Route): void {
    this.#needed.add(route);
    this.#scheduleRefresh();
  }

  /** A request to one node. @throws {RaftlineError} what the node answered, `UNAVAILABLE`, `TIMED_OUT` */
  async request<R extends Request>(
    nodeId: number,
    lane: Lane,
    request: R,
    timeoutMs: number,
  ): Promise<Responses[R["type"]]> {
    if (this.#closed) throw closedError();
    const connection = this.#connections.current(nodeId, lane) ?? await this.#connections.to(nodeId, lane);
    return connection.request(request, timeoutMs);
  }

  /** A request any node can answer; other nodes are tried if one cannot be reached. For requests that change nothing. */
  anyRequest<R extends Request>(request: R, timeoutMs: number): Promise<Responses[R["type"]]> {
    return this.#firstAnswer((connection) => connection.request(request, timeoutMs));
  }

  /** An open connection to any node. */
  anyConnection(): Promise<RpcClient> {
    return this.#firstAnswer((connection) => Promise.resolve(connection));
  }

  /**
   * `nodeId` has been silent for long: should the others say that these routes are led elsewhere by now, its
   * connections are taken for dead, so that what waits on them fails and goes to the new leaders.
   */
  async checkSilent(nodeId: number, routes: readonly Route[]): Promise<void> {
    try {
      await this.#refresh([...new Set(routes.map((route) => route.topic))], nodeId);
    } catch {
      return;
    }
    if (!routes.some((route) => route.leader !== nodeId && route.leader !== 0)) return;
    for (const lane of ["write", "read"] as const) {
      this.#connections.current(nodeId, lane)?.destroy(`node ${nodeId} is silent and leads no more`);
    }
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.runtime.timers.after(delayMs, resolve));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#refreshTimer?.cancel();
    this.#lookAgain?.cancel();
    this.#connections.close();
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #lost(nodeId: number): void {
    for (const view of this.#topics.values()) {
      for (const route of view.routes) if (route.leader === nodeId) route.leader = 0;
    }
    this.#changed();
  }

  #armLookAgain(): void {
    this.#lookAgain = this.runtime.timers.after(LOOK_AGAIN_MS, () => {
      const names = [...this.#topics.keys()];
      // If nobody answers now, somebody does the next time.
      if (names.length > 0) this.look(names).catch(() => {});
      if (!this.#closed) this.#armLookAgain();
    });
  }

  #scheduleRefresh(): void {
    if (this.#refreshTimer !== undefined || this.#refreshing !== undefined || this.#closed) return;
    this.#refreshTimer = this.runtime.timers.after(this.#refreshDelayMs, () => {
      this.#refreshTimer = undefined;
      this.#refreshing = this.#refreshNeeded().finally(() => {
        this.#refreshing = undefined;
        this.#changed();
      });
    });
  }

  async #refreshNeeded(): Promise<void> {
    const routes = [...this.#needed];
    this.#needed.clear();
    try {
      await this.#refresh([...new Set(routes.map((route) => route.topic))]);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.runtime.log.write("debug", "no node answered a metadata request", { reason });
      // Its credentials are good for nothing any more.
      const isRefused = error instanceof RaftlineError && error.code === "NOT_AUTHORIZED";
      if (isRefused) { for (const name of [...this.#topics.keys()]) this.#refuse(name); }
    }
    this.#satisfied = routes.every((route) => route.leader !== 0 || this.topic(route.topic) === undefined);
    this.#refreshDelayMs = this.#satisfied
      ? REFRESH_MS_FIRST
      : Math.min(REFRESH_MS_MAX, Math.max(20, this.#refreshDelayMs * 2));
  }

  async #refresh(names: readonly string[], avoid = 0): Promise<MetadataResponse> {
    const request = { type: "metadata", topics: names } as const;
    const response = await this.#firstAnswer((connection) => connection.request(request, METADATA_TIMEOUT_MS), avoid);
    this.#learn(response);
    return response;
  }

  #learn(response: MetadataResponse): void {
    // A node that lags knows fewer topics and older addresses; of leaders it may still know the newest.
    const older = response.revision < this.#revision;
    if (!older) {
      this.#revision = response.revision;
      this.#connections.learn(response.nodes);
    }
    for (const metadata of response.topics) {
      const view = this.#topics.get(metadata.name);
      if (metadata.code === "NOT_AUTHORIZED") this.#refuse(metadata.name);
      else if (metadata.code !== "") {
        if (!older && metadata.code === "UNKNOWN_TOPIC") this.forgetTopic(metadata.name);
      } else if (view?.topicId === metadata.topicId) view.learn(metadata);
      else if (!older) {
        this.forgetTopic(metadata.name);
        this.#refused.delete(metadata.name);
        this.#topics.set(metadata.name, new TopicView(metadata));
      }
    }
  }

  #refuse(name: string): void {
    if (!this.#topics.has(name)) return;
    this.#refused.add(name);
    this.forgetTopic(name);
  }

  /**
   * Asks nodes in turn, the next one early if one is slow, and takes the first answer. Nodes with an open connection
   * come first (unless what they said last did not help), then the known ones, then the addresses the client was given.
   */
  #firstAnswer<T>(ask: (connection: RpcClient) => Promise<T>, avoid = 0): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    const candidates = this.#candidates(avoid);
    return new Promise((resolve, reject) => {
      let started = 0;
      let failed = 0;
      let settled = false;
      const next = () => {
        if (settled || started === candidates.length) return;
        const candidate = candidates[started++]!;
        const stagger = this.runtime.timers.after(STAGGER_MS, next);
        candidate().then(ask).then(
          (answer) => {
            settled = true;
            stagger.cancel();
            resolve(answer);
          },
          (error: RaftlineError) => {
            stagger.cancel();
            failed++;
            // What the cluster says is final; that one node is out of reach or out of its mind is not.
            const final = error.retriable === false && !NODE_ITSELF.has(error.code);
            if (!settled && (failed === candidates.length || final)) {
              settled = true;
              reject(this.#closed ? closedError() : error);
            } else next();
          },
        );
      };
      next();
    });
  }

  #candidates(avoid: number): (() => Promise<RpcClient>)[] {
    const nodes = this.#shuffled(this.#connections.nodeIds.filter((id) => id !== avoid));
    const isOpen = (id: number) => this.#satisfied && this.#connections.current(id, "read") !== undefined;
    const ordered = [...nodes.filter(isOpen), ...nodes.filter((id) => !isOpen(id))];
    const dials = this.#shuffled([...this.#bootstrap]).map((address) => async () =>
      this.#connections.adopt(await this.#connections.dial(address), "read")
    );
    return [...ordered.map((id) => () => this.#connections.to(id, "read")), ...dials];
  }

  #shuffled<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.runtime.random.integer(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
