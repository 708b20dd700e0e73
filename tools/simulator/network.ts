/**
 * A simulated network of nodes and clients: ordered byte streams with delays, that stall when a direction is cut, break
 * when their owner dies, and can be cut inside a frame.
 */
import { type Address, type Connection, type Listener, type Network, NetworkError } from "../../src/runtime/network.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** A machine: each node and each client is on one of its own. */
export type MachineId = number;

export interface NetworkFaults {
  /** Milliseconds a chunk takes, drawn anew for each. */
  delayMsMin: number;
  delayMsMax: number;
  /** Chance that a chunk is the last of its connection: part of it arrives, then the connection breaks. */
  cutChance: number;
}

/** How the network gets at a process: not while it is paused, not after it is gone. */
export interface Gate {
  pausedUntilMs(): number;
  enter(callback: () => void): void;
}

const OPEN_GATE: Gate = { pausedUntilMs: () => 0, enter: (callback) => callback() };

const ignore = () => {};

const MACHINES_MAX = 2 ** 16;

export class SimulatedNetwork {
  readonly faults: NetworkFaults = { delayMsMin: 0.05, delayMsMax: 1, cutChance: 0 };
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #listeners = new Map<string, { machine: MachineId; onConnection: (connection: Connection) => void }>();
  readonly #pairs = new Set<Pair>();
  readonly #blocked = new Set<number>();
  /** Ways that are blocked, and where a dial is refused instead of being lost. */
  readonly #rejected = new Set<number>();
  readonly #gates = new Map<MachineId, Gate>();
  /** Ports are given to machines for good, so that a cut can be told from a refusal. */
  readonly #known = new Map<string, MachineId>();
  #nextPort = 40_000;

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** What one machine sees of it. */
  of(machine: MachineId): Network {
    return {
      listen: (address, onConnection) => this.#listen(machine, address, onConnection),
      connect: (address, timeoutMs) => this.#connect(machine, address, timeoutMs),
    };
  }

  /** The machine's present process. */
  setGate(machine: MachineId, gate: Gate): void {
    this.#gates.set(machine, gate);
  }

  gate(machine: MachineId): Gate {
    return this.#gates.get(machine) ?? OPEN_GATE;
  }

  /** Cuts one direction. What is on the way waits; it arrives after healing unless the connection broke before. */
  block(from: MachineId, to: MachineId): void {
    this.#blocked.add(way(from, to));
  }

  /** Cuts both directions; what is connected breaks at once, and dials are refused. */
  reject(a: MachineId, b: MachineId): void {
    for (const each of [way(a, b), way(b, a)]) {
      this.#blocked.add(each);
      this.#rejected.add(each);
    }
    for (const pair of [...this.#pairs]) pair.breakBetween(a, b);
  }

  heal(): void {
    this.#blocked.clear();
    this.#rejected.clear();
    for (const pair of this.#pairs) pair.resume();
  }

  /** The machine's process is gone: its listeners refuse, its connections break. */
  crash(machine: MachineId): void {
    for (const [name, listener] of this.#listeners) if (listener.machine === machine) this.#listeners.delete(name);
    for (const pair of [...this.#pairs]) pair.crash(machine);
  }

  isBlocked(from: MachineId, to: MachineId): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(way(from, to));
  }

  #delayMs(): number {
    return this.#random.skewed(this.faults.delayMsMin, this.faults.delayMsMax);
  }

  #listen(machine: MachineId, address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const port = address.port === 0 ? this.#nextPort++ : address.port;
    const name = `${address.host}:${port}`;
    if (this.#listeners.has(name)) {
      return Promise.reject(new NetworkError("ADDRESS_IN_USE", `${name} is in use`));
    }
    this.#listeners.set(name, { machine, onConnection });
    const close = () => {
      if (this.#listeners.get(name)?.onConnection === onConnection) this.#listeners.delete(name);
      return Promise.resolve();
    };
    return Promise.resolve({ address: { host: address.host, port }, refused: 0, close });
  }

  #connect(machine: MachineId, address: Address, timeoutMs: number): Promise<Connection> {
    const name = `${address.host}:${address.port}`;
    return new Promise((resolve, reject) => {
      const timer = this.#scheduler.after(timeoutMs, () => {
        settled = true;
        reject(new NetworkError("TIMED_OUT", `no connection to ${name} within ${timeoutMs} ms`));
      });
      let settled = false;
      this.#scheduler.after(this.#delayMs(), () => {
        if (settled) return;
        const target = this.#machineAt(name);
        const isRejected = target !== undefined && this.#rejected.has(way(machine, target));
        const isBlocked = target !== undefined && (this.isBlocked(machine, target) || this.isBlocked(target, machine));
        if (isBlocked && !isRejected) return;
        timer.cancel();
        const listener = this.#listeners.get(name);
        if (!listener || isRejected) return reject(new NetworkError("REFUSED", `nothing listens on ${name}`));
        resolve(this.#establish(machine, listener, address));
      });
    });
  }

  #machineAt(name: string): MachineId | undefined {
    const listener = this.#listeners.get(name);
    if (listener) this.#known.set(name, listener.machine);
    return this.#known.get(name);
  }

  #establish(
    machine: MachineId,
    listener: { machine: MachineId; onConnection: (connection: Connection) => void },
    address: Address,
  ): Connection {
    const pair = new Pair(
      this.#scheduler,
      this.#random,
      this,
      machine,
      listener.machine,
      () => this.#pairs.delete(pair),
    );
    this.#pairs.add(pair);
    const [near, far] = pair.ends({ host: "simulated", port: this.#nextPort++ }, address);
    this.gate(listener.machine).enter(() => listener.onConnection(far));
    return near;
  }
}

function way(from: MachineId, to: MachineId): number {
  return from * MACHINES_MAX + to;
}

class Pair {
  readonly #ends: [End, End];

  constructor(
    scheduler: Scheduler,
    random: SeededRandom,
    network: SimulatedNetwork,
    near: MachineId,
    far: MachineId,
    onGone: () => void,
  ) {
    const gone = () => {
      if (this.#ends.every((end) => end.closed)) onGone();
    };
    const left = new End(scheduler, random, network, near, far, gone);
    const right = new End(scheduler, random, network, far, near, gone);
    left.other = right;
    right.other = left;
    this.#ends = [left, right];
  }

  ends(nearAddress: Address, farAddress: Address): [Connection, Connection] {
    this.#ends[0].remote = farAddress;
    this.#ends[1].remote = nearAddress;
    return this.#ends;
  }

  resume(): void {
    for (const end of this.#ends) end.pump();
  }

  /** Both ends hear of it. */
  breakBetween(a: MachineId, b: MachineId): void {
    if (this.#ends.some((end) => end.machine === a) && this.#ends.some((end) => end.machine === b)) {
      for (const end of this.#ends) end.break();
    }
  }

  /** The dead end says nothing to its own; the other hears of it, if it can be reached. */
  crash(machine: MachineId): void {
    for (const end of this.#ends) if (end.machine === machine) end.die();
  }
}

interface InFlight {
  /** Undefined: the end of the stream. */
  readonly bytes: Uint8Array | undefined;
  readonly arrivesMs: number;
}

class End implements Connection {
  readonly machine: MachineId;
  remote: Address = { host: "", port: 0 };
  onData: (chunk: Uint8Array) => void = ignore;
  onRoom: (() => Uint8Array) | undefined;
  onDrain: () => void = ignore;
  onClose: (error?: Error) => void = ignore;
  other!: End;
  closed = false;
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #network: SimulatedNetwork;
  readonly #peer: MachineId;
  readonly #onGone: () => void;
  /** On the way to the other end. */
  #queue: InFlight[] = [];
  #queuedBytes = 0;
  #pumping = false;
  #paused = false;
  #dead = false;

  constructor(
    scheduler: Scheduler,
    random: SeededRandom,
    network: SimulatedNetwork,
    machine: MachineId,
    peer: MachineId,
    onGone: () => void,
  ) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#network = network;
    this.machine = machine;
    this.#peer = peer;
    this.#onGone = onGone;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes;
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): void {
    if (this.closed) return onSent?.();
    // A copy: a real network has its own, whatever the sender does with its buffers afterwards.
    const bytes = concat(chunks);
    onSent?.();
    const { cutChance } = this.#network.faults;
    if (cutChance > 0 && this.#random.chance(cutChance)) {
      this.#send(bytes.subarray(0, this.#random.integer(bytes.length + 1)));
      this.#send(undefined);
      return this.#closeSoon(new NetworkError("RESET", "the connection was cut"));
    }
    this.#send(bytes);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.other.pump();
  }

  close(): void {
    if (this.closed) return;
    this.#send(undefined);
    this.#closeSoon(undefined);
  }

  destroy(): void {
    if (this.closed) return;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#send(undefined);
    this.#closeSoon(undefined);
  }

  /** What is on the way is lost, and its owner hears that the connection is reset. */
  break(): void {
    if (this.closed) return;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#closeSoon(new NetworkError("RESET", "the connection was reset"));
  }

  /** Its process was killed: no handler is called any more; the system tells the other end. */
  die(): void {
    this.#dead = true;
    if (this.closed) return;
    this.#send(undefined);
    this.closed = true;
    this.#onGone();
  }

  /** Delivers what has arrived, in order, while the way is open and the receiver takes it. */
  pump(): void {
    if (this.#pumping) return;
    const next = this.#queue[0];
    if (!next || this.other.#paused || this.#network.isBlocked(this.machine, this.#peer)) return;
    this.#pumping = true;
    this.#scheduler.after(next.arrivesMs - this.#scheduler.nowMs, () => {
      this.#pumping = false;
      const pausedMs = this.#network.gate(this.#peer).pausedUntilMs() - this.#scheduler.nowMs;
      if (pausedMs > 0) return this.#pumpAfter(pausedMs);
      if (this.other.#paused || this.#network.isBlocked(this.machine, this.#peer)) return;
      if (this.#queue[0] !== next) return this.pump();
      this.#deliver(this.#arrived());
      this.pump();
    });
  }

  /** Into the owner's memory, if it has a place. */
  #take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.closed;) {
      const room = this.onRoom?.();
      if (!room) return this.onData(bytes);
      const part = bytes.subarray(at, at + room.length);
      room.set(part);
      this.onData(room.subarray(0, part.length));
      at += part.length;
    }
  }

  /** What comes due in one instant comes as one, as from a socket's buffer. */
  #arrived(): InFlight {
    const first = this.#queue.shift()!;
    const { nowMs } = this.#scheduler;
    if (!first.bytes || !this.#queue[0]?.bytes || this.#queue[0].arrivesMs > nowMs) return first;
    const chunks = [first.bytes];
    while (this.#queue[0]?.bytes && this.#queue[0].arrivesMs <= nowMs) chunks.push(this.#queue.shift()!.bytes!);
    return { bytes: concat(chunks), arrivesMs: nowMs };
  }

  #pumpAfter(delayMs: number): void {
    this.#pumping = true;
    this.#scheduler.after(delayMs, () => {
      this.#pumping = false;
      this.pump();
    });
  }

  /** Runs a handler of this end's owner. */
  #tell(callback: () => void): void {
    if (!this.#dead) this.#network.gate(this.machine).enter(callback);
  }

  #send(bytes: Uint8Array | undefined): void {
    const last = this.#queue.at(-1)?.arrivesMs ?? 0;
    const { delayMsMin, delayMsMax } = this.#network.faults;
    const arrivesMs = Math.max(last, this.#scheduler.nowMs + this.#random.skewed(delayMsMin, delayMsMax));
    this.#queue.push({ bytes, arrivesMs });
    this.#queuedBytes += bytes?.length ?? 0;
    this.pump();
  }

  #deliver({ bytes }: InFlight): void {
    const { other } = this;
    if (bytes === undefined) return other.#ended();
    this.#queuedBytes -= bytes.length;
    if (!other.closed) other.#tell(() => other.#take(bytes));
    if (this.#queuedBytes === 0 && !this.closed) this.#tell(() => this.onDrain());
  }

  #ended(): void {
    if (this.closed) return;
    this.closed = true;
    this.#onGone();
    this.#tell(() => this.onClose());
  }

  #closeSoon(error: Error | undefined): void {
    this.closed = true;
    this.#onGone();
    this.#scheduler.after(0, () => this.#tell(() => this.onClose(error)));
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
