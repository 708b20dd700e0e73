/**
 * A small world for tests: simulated time, and a network in memory between named hosts that can die, freeze and split
 * chunks. Everything is drawn from one seed. Bytes are copied on their way, as on a real network.
 */
import { type Address, type Connection, type Listener, type Network, NetworkError } from "../../src/runtime/network.ts";
import type { Disk } from "../../src/runtime/disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class FakeWorld {
  nowMs = 0;
  readonly log: string[] = [];
  /** Longest piece in which bytes arrive. */
  chunkBytesMax = 65_536;
  delayMs = 1;
  #events: Event[] = [];
  #order = 0;
  #seed: number;
  #portsUsed = 0;
  readonly #listeners = new Map<string, (connection: FakeConnection) => void>();
  readonly #connections = new Set<FakeConnection>();
  readonly #frozen = new Set<string>();

  constructor(seed = 1) {
    this.#seed = seed;
  }

  random(): number {
    // mulberry32
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  after(delayMs: number, run: () => void): { cancel(): void } {
    let cancelled = false;
    const event = { atMs: this.nowMs + delayMs, order: ++this.#order, run: () => cancelled || run() };
    let at = this.#events.length;
    while (at > 0 && this.#events[at - 1]!.atMs > event.atMs) at--;
    this.#events.splice(at, 0, event);
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }

  /** What the code on `host` is handed. */
  runtime(host: string): Runtime {
    return {
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 1_700_000_000_000 + Math.floor(this.nowMs) },
      random: {
        next: () => this.random(),
        integer: (limit) => Math.floor(this.random() * limit),
        bytes: (length) => Uint8Array.from({ length }, () => Math.floor(this.random() * 256)),
      },
      timers: {
        after: (delayMs, run) => this.after(delayMs, run),
        defer: (run) => void this.after(0, run),
        endTurn: (run) => void this.after(0, run),
      },
      disk: undefined as unknown as Disk,
      network: this.#network(host),
      log: {
        write: (level, message, fields) => this.log.push(`${host} ${level} ${message} ${JSON.stringify(fields)}`),
      },
      memory: () => ({ resident: 0, heapReserved: 0, heapUsed: 0, external: 0 }),
      fatal: (reason, cause) => {
        throw new Error(`fatal on ${host}: ${reason}`, { cause });
      },
    };
  }

  /** Lets time pass until `promise` settles. */
  async run<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    const untilMs = this.nowMs + limitMs;
    for (;;) {
      await turn();
      if (settled) return promise;
      const event = this.#events.shift();
      if (event === undefined) throw new Error("nothing will happen any more, and the promise is pending");
      if (event.atMs > untilMs) throw new Error(`pending after ${limitMs} ms`);
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.run();
    }
  }

  pass(ms: number): Promise<void> {
    return this.run(new Promise((resolve) => this.after(ms, resolve)), ms + 1);
  }

  /** The process on `host` is gone: its connections are reset, dialling it is refused. */
  kill(host: string): void {
    for (const key of [...this.#listeners.keys()]) if (key.startsWith(`${host}:`)) this.#listeners.delete(key);
    for (const connection of [...this.#connections]) {
      if (connection.host === host || connection.remote.host === host) {
        connection.break(new NetworkError("RESET", "reset"));
      }
    }
  }

  /** The host neither receives nor sends, and nothing says so. */
  freeze(host: string): void {
    this.#frozen.add(host);
  }

  thaw(host: string): void {
    this.#frozen.delete(host);
  }

  isFrozen(host: string): boolean {
    return this.#frozen.has(host);
  }

  connectionCount(): number {
    return this.#connections.size / 2;
  }

  forget(connection: FakeConnection): void {
    this.#connections.delete(connection);
  }

  #network(host: string): Network {
    return {
      listen: (address, onConnection) => {
        const port = address.port === 0 ? 10_000 + ++this.#portsUsed : address.port;
        const key = `${host}:${port}`;
        if (this.#listeners.has(key)) return Promise.reject(new NetworkError("ADDRESS_IN_USE", key));
        this.#listeners.set(key, onConnection);
        const listener: Listener = {
          refused: 0,
          address: { host, port },
          close: () => {
            this.#listeners.delete(key);
            return Promise.resolve();
          },
        };
        return Promise.resolve(listener);
      },
      connect: (address, timeoutMs) =>
        new Promise((resolve, reject) => {
          if (this.isFrozen(address.host) || this.isFrozen(host)) {
            this.after(timeoutMs, () => reject(new NetworkError("TIMED_OUT", "no answer")));
            return;
          }
          this.after(this.delayMs, () => {
            const accept = this.#listeners.get(`${address.host}:${address.port}`);
            if (accept === undefined) return reject(new NetworkError("REFUSED", `${address.host} refused`));
            const near = new FakeConnection(this, host, address);
            const far = new FakeConnection(this, address.host, { host, port: 40_000 + ++this.#portsUsed });
            near.other = far;
            far.other = near;
            this.#connections.add(near);
            this.#connections.add(far);
            accept(far);
            resolve(near);
          });
        }),
    };
  }
}

class FakeConnection implements Connection {
  readonly host: string;
  readonly remote: Address;
  other: FakeConnection | undefined;
  onData: (chunk: Uint8Array) => void = () => {};
  onRoom: (() => Uint8Array) | undefined;
  onDrain: () => void = () => {};
  onClose: (error?: Error) => void = () => {};
  bufferedBytes = 0;
  readonly #world: FakeWorld;
  #queue: Uint8Array[] = [];
  #moving = false;
  #paused = false;
  #ending = false;
  #ended = false;

  constructor(world: FakeWorld, host: string, remote: Address) {
    this.#world = world;
    this.host = host;
    this.remote = remote;
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): void {
    if (this.#ended || this.#ending) return onSent?.();
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    const joined = new Uint8Array(bytes);
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    onSent?.();
    this.bufferedBytes += bytes;
    this.#queue.push(joined);
    this.#move();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.other !== undefined) this.other.#move();
  }

  close(): void {
    if (this.#ended || this.#ending) return;
    this.#ending = true;
    this.#move();
  }

  destroy(): void {
    this.break(undefined);
  }

  /** Both ends learn of it. */
  break(error: Error | undefined): void {
    this.#end(error);
    this.#world.after(this.#world.delayMs, () => this.other!.#end(error));
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = [];
    this.#world.forget(this);
    this.#world.after(0, () => this.onClose(error));
  }

  #move(): void {
    if (this.#moving) return;
    this.#moving = true;
    this.#world.after(this.#world.delayMs, () => {
      this.#moving = false;
      const other = this.other!;
      if (this.#ended || other.#paused) return;
      if (this.#world.isFrozen(this.host) || this.#world.isFrozen(other.host)) return this.#move();
      const chunk = this.#queue[0];
      if (chunk === undefined) {
        if (this.#ending) this.break(undefined);
        return;
      }
      const room = other.onRoom?.();
      const sizeMax = Math.min(chunk.length, room?.length ?? Infinity);
      const size = Math.min(sizeMax, 1 + Math.floor(this.#world.random() * this.#world.chunkBytesMax));
      if (size === chunk.length) this.#queue.shift();
      else this.#queue[0] = chunk.subarray(size);
      this.bufferedBytes -= size;
      if (!other.#ended) other.onData(put(chunk.subarray(0, size), room));
      if (this.bufferedBytes === 0) this.onDrain();
      if (this.#queue.length > 0 || this.#ending) this.#move();
    });
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function put(bytes: Uint8Array, room: Uint8Array | undefined): Uint8Array {
  if (!room) return bytes.slice();
  room.set(bytes);
  return room.subarray(0, bytes.length);
}
