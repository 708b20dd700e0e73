/**
 * This node's links to the others: raft frames, one heartbeat per node pair for all groups, who leads what, and
 * requests passed on. Each node sends only on the connections it dialled.
 */
import type { GroupId } from "../../src/log/types.ts";
import type { Message, NodeId } from "../../src/raft/types.ts";
import type { Entry } from "../../src/records/entry.ts";
import type { Address } from "../../src/runtime/network.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import { encodeFrame } from "../../src/wire/frames.ts";
import { PeerLink } from "../../src/wire/peer-link.ts";
import { PeerListener, type PeerSession } from "../../src/wire/peer-listener.ts";
import {
  decodeForward,
  decodeHeartbeat,
  decodeLeadership,
  decodeReply,
  encodeForward,
  encodeHeartbeat,
  encodeLeadership,
  encodeReply,
  type ForwardedReply,
  type ForwardedRequest,
  type LeadershipClaim,
  type NodeRun,
  type PeerHello,
  PeerMessageType,
  peerMessageType,
} from "../../src/wire/peer-protocol.ts";
import { areSameAppends, packRaft, type RaftItem, unpackRaft } from "../../src/wire/replication.ts";
import type { MessageSink } from "./host.ts";
import type { IncomingState } from "./replica.ts";

export interface PeersOptions {
  readonly runtime: Runtime;
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Number of this run on its data folder. */
  readonly incarnation: number;
  /** See `PeerLinkOptions`. */
  readonly run: () => Promise<NodeRun>;
  readonly forgot: () => boolean;
  readonly secret: string;
  /** How long a write to this node's disk takes just now, Infinity while it is full: told with every heartbeat. */
  readonly diskWriteMs: () => number;
  readonly heartbeatMs: number;
  /** A session without any frame for this long is taken for dead and dialled anew. */
  readonly silenceMsMax: number;
}

/** What arrives from the other nodes. */
export interface PeersHandler {
  /** See `PeerListenerOptions`. */
  meet(hello: PeerHello): Promise<string>;
  /** The peer remembers what this node does not. */
  peerRemembers(): void;
  deliver(group: GroupId, message: Message<Entry>, state: IncomingState | undefined): void;
  /** A peer's new session with us began. */
  peerSpoke(peer: NodeId): void;
  /** Our link to the peer is up. */
  peerReached(peer: NodeId): void;
  /** The peer's process is gone. */
  peerLost(peer: NodeId): void;
  claims(peer: NodeId, claims: readonly LeadershipClaim[]): void;
  request(peer: NodeId, request: ForwardedRequest): void;
  reply(peer: NodeId, reply: ForwardedReply): void;
}

/**
 * Where other frames go anyway only every fifth heartbeat does (it tells of the disk, and any frame tells of life), unless
 * the disk is full now, or is not any more.
 */
const BEATS_SKIPPED_MAX = 4;

class Peer {
  readonly link: PeerLink;
  address: Address;
  /** Raft messages of this turn. */
  items: RaftItem[] = [];
  heardMs = -Infinity;
  session: PeerSession | undefined;
  sequence = 0;
  /** Whether a frame went to it since the last beat, and how many heartbeats were left out for that. */
  spokenTo = false;
  beatsSkipped = 0;
  echo = 0;
  echoIncarnation = 0;
  diskWriteMs = 0;

  constructor(link: PeerLink, address: Address) {
    this.link = link;
    this.address = address;
  }
}

export class Peers implements MessageSink {
  readonly full = new Set<NodeId>();
  readonly #options: PeersOptions;
  readonly #handler: PeersHandler;
  readonly #peers = new Map<NodeId, Peer>();
  #listener: PeerListener | undefined;
  #started = false;
  #timer: Timer | undefined;
  #waiting: Peer[] = [];
  /** Whether the last beat said that the disk is full here. */
  #saidFull = false;

  constructor(options: PeersOptions, handler: PeersHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  /** @throws {NetworkError} */
  async listen(address: Address): Promise<Address> {
    const { runtime, clusterId, nodeId, incarnation, secret } = this.#options;
    this.#listener = await PeerListener.listen(runtime, address, {
      clusterId,
      self: nodeId,
      incarnation,
      secret,
      meet: (hello) => this.#handler.meet(hello),
      onSessionStart: (session) => this.#sessionStarted(session),
      onFrame: (session, head, body) => this.#onFrame(session, head, body),
      onSessionEnd: (session) => this.#sessionEnded(session),
    });
    return this.#listener.address;
  }

  /** Dials the others, from now on and for ever. */
  start(addresses: ReadonlyMap<NodeId, Address>): void {
    this.#started = true;
    for (const [peer, address] of addresses) this.#dial(peer, address);
    this.#beat();
  }

  /** One more, or one that is reached elsewhere now. */
  follow(peer: NodeId, address: Address): void {
    const known = this.#peers.get(peer);
    if (!this.#started) return;
    if (!known) return this.#dial(peer, address);
    if (known.address.host === address.host && known.address.port === address.port) return;
    known.address = address;
    known.link.setAddress(address);
    if (known.link.up) known.link.reset("it is reached elsewhere now");
  }

  /** It is of this cluster no more. */
  forget(peer: NodeId): void {
    const known = this.#peers.get(peer);
    if (!known) return;
    this.#peers.delete(peer);
    this.full.delete(peer);
    this.#waiting = this.#waiting.filter((waiting) => waiting !== known);
    known.link.close();
    known.session?.destroy();
  }

  #dial(peer: NodeId, address: Address): void {
    const { runtime, clusterId, nodeId, run, forgot, secret } = this.#options;
    if (peer === nodeId) return;
    const link = new PeerLink(runtime, {
      clusterId,
      self: nodeId,
      peer,
      run,
      forgot,
      secret,
      address,
      onUp: () => this.#handler.peerReached(peer),
      onDown: () => {},
      onRefused: () => this.#handler.peerLost(peer),
      onForgot: () => this.#handler.peerRemembers(),
    });
    this.#peers.set(peer, new Peer(link, address));
    link.start();
  }

  heardMs(peer: NodeId): number {
    return this.#peers.get(peer)?.heardMs ?? -Infinity;
  }

  /** How long a write to its disk takes on each node that is alive, this one included. */
  diskWriteMs(): Map<NodeId, number> {
    const found = new Map([[this.#options.nodeId, this.#options.diskWriteMs()]]);
    for (const [node, { diskWriteMs }] of this.#peers) if (this.isAlive(node)) found.set(node, diskWriteMs);
    return found;
  }

  /** Reached and heard of late. */
  isAlive(peer: NodeId): boolean {
    const found = this.#peers.get(peer);
    if (!found) return false;
    return found.link.up && this.#nowMs() - found.heardMs < this.#options.silenceMsMax;
  }

  queue(group: GroupId, message: Message<Entry>, state: IncomingState | undefined): void {
    const peer = this.#peers.get(message.to);
    if (!peer?.link.up) return;
    if (peer.items.length === 0) this.#waiting.push(peer);
    const item = { shard: group, message };
    peer.items.push(state ? { ...item, state: { nextOffset: state.nextOffset, bytes: state.state } } : item);
  }

  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let before: readonly RaftItem[] = [];
    let frames: readonly Uint8Array[][] = [];
    for (const peer of waiting) {
      const { items } = peer;
      peer.items = [];
      // Followers that keep up are told the same.
      if (!areSameAppends(items, before)) frames = packRaft(items).map(({ head, body }) => encodeFrame(head, body));
      before = items;
      for (const frame of frames) peer.link.sendFrame(frame);
      peer.spokenTo = true;
    }
  }

  broadcast(claims: readonly LeadershipClaim[]): void {
    for (const { link } of this.#peers.values()) link.send(encodeLeadership(claims));
  }

  tell(peer: NodeId, claims: readonly LeadershipClaim[]): void {
    this.#peers.get(peer)?.link.send(encodeLeadership(claims));
  }

  /** False: not reachable now; nothing was sent. */
  forward(peer: NodeId, request: ForwardedRequest): boolean {
    return this.#peers.get(peer)?.link.send(encodeForward(request)) ?? false;
  }

  answer(peer: NodeId, reply: ForwardedReply): void {
    this.#peers.get(peer)?.link.send(encodeReply(reply));
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    for (const { link } of this.#peers.values()) link.close();
    await this.#listener?.close();
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }

  #beat(): void {
    const { runtime, incarnation, heartbeatMs, silenceMsMax } = this.#options;
    const nowMs = this.#nowMs();
    const diskWriteMs = Math.round(this.#options.diskWriteMs());
    const isFull = diskWriteMs === Infinity;
    const isNews = isFull !== this.#saidFull;
    this.#saidFull = isFull;
    for (const peer of this.#peers.values()) {
      const { echo, echoIncarnation, link, session } = peer;
      const isNeeded = isNews || !peer.spokenTo || peer.beatsSkipped >= BEATS_SKIPPED_MAX;
      peer.spokenTo = false;
      peer.beatsSkipped = isNeeded ? 0 : peer.beatsSkipped + 1;
      if (isNeeded) {
        peer.sequence += 1;
        link.send(encodeHeartbeat({ incarnation, sequence: peer.sequence, echo, echoIncarnation, diskWriteMs }));
      }
      // A partition or a lost machine tells no one: what is silent for long is cut, and dialled anew.
      if (session && nowMs - peer.heardMs > silenceMsMax) {
        session.destroy();
        if (link.up) link.reset(`silent for ${silenceMsMax} ms`);
      }
    }
    this.#timer = runtime.timers.after(heartbeatMs, () => this.#beat());
  }

  #sessionStarted(session: PeerSession): void {
    const peer = this.#peers.get(session.from);
    if (!peer) return session.destroy();
    peer.session = session;
    peer.heardMs = this.#nowMs();
    this.#handler.peerSpoke(session.from);
  }

  #sessionEnded(session: PeerSession): void {
    const peer = this.#peers.get(session.from);
    if (peer?.session !== session) return;
    peer.session = undefined;
  }

  #onFrame(session: PeerSession, head: unknown[], body: Uint8Array): void {
    const peer = this.#peers.get(session.from);
    if (peer?.session !== session) return;
    peer.heardMs = this.#nowMs();
    switch (peerMessageType(head)) {
      case PeerMessageType.raft:
        return this.#onRaft(unpackRaft(head, body, session.from, this.#options.nodeId));
      case PeerMessageType.heartbeat: {
        const { sequence, incarnation, diskWriteMs } = decodeHeartbeat(head);
        peer.diskWriteMs = diskWriteMs;
        if (diskWriteMs === Infinity) this.full.add(session.from);
        else this.full.delete(session.from);
        peer.echo = sequence;
        peer.echoIncarnation = incarnation;
        return;
      }
      case PeerMessageType.leadership:
        return this.#handler.claims(session.from, decodeLeadership(head));
      case PeerMessageType.forward:
        return this.#handler.request(session.from, decodeForward(head));
      case PeerMessageType.reply:
        return this.#handler.reply(session.from, decodeReply(head));
    }
  }

  #onRaft(items: readonly RaftItem[]): void {
    for (const { shard, message, state } of items) {
      const incoming = message.type === "snapshot" && state
        ? { index: message.snapshot.index, nextOffset: state.nextOffset, state: state.bytes }
        : undefined;
      this.#handler.deliver(shard, message, incoming);
    }
  }
}
