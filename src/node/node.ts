/** One node: puts log, host, peers, metadata, partitions and the client port together, starts and stops them. */
import type { GroupId, Log } from "../log/types.ts";
import type { LogLimits } from "../log/limits.ts";
import { openLog } from "../log/log.ts";
import type { LogEnd, NodeId } from "../raft/types.ts";
import type { Entry } from "../records/entry.ts";
import type { Address } from "../runtime/network.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sleep } from "../runtime/sleep.ts";
import { RpcServer } from "../wire/rpc-server.ts";
import { Host } from "../../shards/host/host.ts";
import { DEFAULT_HOST_LIMITS, type HostLimits } from "../../shards/host/limits.ts";
import { PeerRequests } from "../../shards/host/peer-requests.ts";
import { Peers } from "../../shards/host/peers.ts";
import { readTails } from "../../shards/host/recovered-tails.ts";
import type { Replica } from "../../shards/host/replica.ts";
import { coordinatorReplicas } from "../../shards/coordinator/placement.ts";
import { MetadataMachine } from "../../shards/metadata/machine.ts";
import { MetadataService } from "../../shards/metadata/service.ts";
import { METADATA_SHARD, type MetadataState, type NodeRecord } from "../../shards/metadata/state.ts";
import { AdminService } from "./admin-service.ts";
import { Balance } from "./balance.ts";
import { ClientService } from "./client-service.ts";
import type { NodeConfig } from "./config.ts";
import { Coordinators } from "./coordinators.ts";
import { Damages } from "./damage.ts";
import { KnownCredentials } from "./credentials.ts";
import { dropDamaged } from "./damaged-start.ts";
import { DeadLetterOffices } from "./dead-letter-office.ts";
import { type DataFolder, isAlone, openDataFolder } from "./data-folder.ts";
import { Members } from "./members.ts";
import { MembershipKeeper } from "./membership-keeper.ts";
import type { Memory } from "./memory.ts";
import { Partitions } from "./partitions.ts";
import { ProducerIds } from "./producer-ids.ts";
import { Recollection } from "./recollection.ts";
import { Registration } from "./registration.ts";
import { ReplicaMover } from "./replica-mover.ts";
import { RetentionLoop } from "./retention.ts";
import { Routing } from "./routing.ts";
import { RepairPermits } from "./repair-permits.ts";
import { StateRepairs } from "./state-repairs.ts";

const LOOPBACK = "127.0.0.1";
const READY_POLL_MS = 5;
/** Every node reads the metadata it follows. */
const METADATA_COMMIT_NOTICE_MS = 2;
/** Heartbeats missed before a peer's silence is taken for its absence. */
const SILENT_HEARTBEATS = 20;

/** Something that runs beside a node and is reached by its own port: the admin API. */
export type NodeService = (node: RaftlineNode) => Promise<RunningService>;

export interface RunningService {
  readonly address: Address;
  close(): Promise<void>;
}

export interface NodeOptions {
  readonly runtime: Runtime;
  readonly limits?: Partial<HostLimits>;
  readonly logLimits?: Partial<LogLimits>;
}

export class RaftlineNode {
  readonly config: NodeConfig;
  readonly nodeId: NodeId;
  readonly runtime: Runtime;
  readonly metadata: MetadataState;
  readonly metadataService: MetadataService;
  readonly partitions: Partitions;
  readonly routing: Routing;
  readonly admin: AdminService;
  readonly host: Host;
  readonly peers: Peers;
  readonly log: Log;
  readonly memory: Memory;
  readonly #folder: DataFolder;
  readonly stateRepairs: StateRepairs;
  readonly #metadataMachine: MetadataMachine;
  readonly #clientService: ClientService;
  readonly balance: Balance;
  readonly credentials: KnownCredentials;
  /** How often a group held here had another leader, or the same in another term. */
  leaderChanges = 0;
  readonly #mover: ReplicaMover;
  readonly #members: Members;
  readonly #registration: Registration;
  readonly #membershipKeeper: MembershipKeeper;
  readonly #recollection: Recollection;
  readonly #requests: PeerRequests;
  readonly #coordinators: Coordinators;
  readonly #retention: RetentionLoop;
  #rpc: RpcServer | undefined;
  #peerAddress: Address | undefined;
  #adminPort = 0;
  #reconcileDue = false;
  #stopping = false;

  private constructor(
    config: NodeConfig,
    options: NodeOptions,
    folder: DataFolder,
    log: Log,
    tails: Map<GroupId, Entry>,
    damages: Damages,
  ) {
    const { runtime } = options;
    const { nodeId, clusterId } = config;
    const memory = this.memory = folder.memory;
    const limits = { ...DEFAULT_HOST_LIMITS, ...options.limits };
    this.config = config;
    this.nodeId = nodeId;
    this.runtime = runtime;
    this.log = log;
    this.#folder = folder;
    const machine = this.#metadataMachine = new MetadataMachine(() => this.#metadataChanged());
    this.metadata = machine.state;
    this.credentials = new KnownCredentials(config.credentials);
    this.credentials.onReplaced(() => this.#rpc?.endSessions((session) => this.#clientService.isStale(session)));
    const founders = config.nodes.map(({ id }) => id);
    const members = this.#members = new Members(nodeId, founders, machine.state);
    this.routing = new Routing(nodeId, (claim) => this.peers.broadcast([claim]));
    this.peers = new Peers({
      runtime,
      clusterId,
      nodeId,
      incarnation: memory.incarnation,
      run: () => memory.run(),
      forgot: () => memory.past === "lost",
      secret: config.peerSecret ?? "",
      diskWriteMs: () => log.full ? Infinity : log.writeMs,
      heartbeatMs: limits.heartbeatMs,
      silenceMsMax: limits.heartbeatMs * SILENT_HEARTBEATS,
    }, {
      meet: async (hello) => {
        if (members.has(hello.from)) return await memory.meet(hello);
        this.#registration.strangerCame(hello.from);
        return "INVALID_REQUEST";
      },
      peerRemembers: () => this.#recollection.peerRemembers(),
      deliver: (group, message, state) => this.host.deliver(group, message, state),
      peerSpoke: (peer) => this.host.peerSpoke(peer),
      peerReached: (peer) => this.#peerReached(peer),
      peerLost: (peer) => this.host.peerLost(peer),
      claims: (peer, claims) => this.routing.claimed(peer, claims),
      request: (peer, request) => requests.onRequest(peer, request),
      reply: (peer, reply) => requests.onReply(peer, reply),
    });
    const requests = new PeerRequests(runtime, this.peers);
    this.#requests = requests;
    this.host = new Host({
      runtime,
      nodeId,
      log,
      limits,
      leases: { clockDriftMax: config.clockDriftMax, mayHavePromised: folder.mayHavePromised },
      sink: this.peers,
      tails,
      onLeader: (group, term, leader) => {
        if (leader !== 0) this.leaderChanges += 1;
        this.routing.observe(group, term, leader);
      },
      onVouched: (group) => this.#recollection.vouched(group),
      onDamaged: (group, reason) => damages.notice(group, reason),
    });
    const { host, peers, metadata, routing } = this;
    const others = founders.filter((id) => id !== nodeId);
    this.#recollection = new Recollection({ runtime, nodeId, host, memory, others });
    const isAlive = (id: NodeId) => id === nodeId || peers.isAlive(id);
    const officeOf = (shard: number) => offices.of(shard);
    const isDamaged = (group: GroupId) => partitions.repairs.isUnderWay(group) || this.stateRepairs.beginsAnew(group);
    const permits: RepairPermits = new RepairPermits({ runtime, host, requests, isAlive, isDamaged });
    const partitions: Partitions = new Partitions({
      runtime,
      nodeId,
      host,
      log,
      memory,
      metadata,
      routing,
      damages,
      permits,
      isAlive,
      officeOf,
    });
    this.partitions = partitions;
    const replica = this.#addMetadata();
    this.#coordinators = new Coordinators({ runtime, nodeId, host, memory, metadata, routing, nodes: founders });
    this.metadataService = new MetadataService({
      runtime,
      host,
      replica,
      machine,
      requests,
      founders,
      takers: () => members.takers(),
      diskWriteMs: () => peers.diskWriteMs(),
    });
    const producerIds = new ProducerIds(this.metadataService);
    const partitionOf = (shard: number) => partitions.get(shard);
    const offices: DeadLetterOffices = new DeadLetterOffices({
      nodeId,
      metadata,
      routing,
      requests,
      producerIds,
      partitionOf,
    });
    this.admin = new AdminService({
      runtime,
      clusterId,
      metadata,
      metadataService: this.metadataService,
      routing,
      members,
      isAlive,
    });
    this.#clientService = new ClientService({
      runtime,
      nodeId,
      clusterId,
      credentials: this.credentials,
      partitions: this.partitions,
      coordinators: this.#coordinators,
      routing,
      metadata,
      metadataService: this.metadataService,
      producerIds,
      members,
      admin: this.admin,
    });
    this.#mover = new ReplicaMover({
      runtime,
      nodeId,
      metadata,
      metadataService: this.metadataService,
      partitions: this.partitions,
      peers,
      awayMsMax: limits.awayMsMax,
    });
    this.stateRepairs = new StateRepairs({
      runtime,
      nodeId,
      host,
      log,
      routing,
      damages,
      permits,
      isAlive,
      othersOf: (shard) =>
        (shard === METADATA_SHARD ? founders : coordinatorReplicas(founders, shard)).filter((id) => id !== nodeId),
      begin: (shard, had) => {
        if (shard === METADATA_SHARD) this.metadataService.goOnWith(this.#addMetadata(had));
        else this.#coordinators.begin(shard, had);
      },
    });
    this.stateRepairs.start();
    this.balance = new Balance({ runtime, nodeId, host, peers, delayMs: limits.balanceDelayMs });
    const { metadataService } = this;
    this.#membershipKeeper = new MembershipKeeper({ runtime, members, metadata, metadataService, peers });
    this.#registration = new Registration({
      runtime,
      nodeId,
      joins: config.join ?? false,
      memory,
      members,
      metadata,
      metadataService,
      peers,
      record: () => this.#record(),
      onCurrent: () => {
        partitions.metadataIsCurrent();
        this.#recollection.groupsAreKnown();
      },
      onRemoved: () => this.#rpc?.endSessions(),
    });
    this.#retention = new RetentionLoop({ runtime, log, metadata, partitions, lookMs: limits.retentionLookMs });
    this.partitions.reconcile();
  }

  /**
   * Opens the folder, recovers the log, listens. Nobody is dialled and nothing is served before {@link start}.
   * @throws {DiskError} `LOCKED`, … @throws {NodeError} @throws {LogError} @throws {NetworkError} `ADDRESS_IN_USE`, …
   */
  static async open(config: NodeConfig, options: NodeOptions): Promise<RaftlineNode> {
    const { runtime } = options;
    const { clusterId, nodeId, nodes } = config;
    const holdsVotes = config.clockDriftMax !== undefined;
    const owner = { clusterId, nodeId, nodes: nodes.map(({ id }) => id), holdsVotes };
    const folder = await openDataFolder(runtime, config.dataFolder, owner);
    const undo = [() => folder.lock.release()];
    try {
      const damages = new Damages();
      const log: Log = await openLog(runtime, `${config.dataFolder}/log`, {
        limits: options.logLimits ?? {},
        onDamage: (group, error) => damages.notice(group, error.message),
      });
      undo.unshift(() => log.close());
      // Somebody has met this node, and its log is gone from beside what it remembers of that.
      if (log.report.isNew && folder.memory.lastRun !== undefined) await folder.memory.setPast("lost");
      await dropDamaged(log, config, runtime, damages);
      const node = new RaftlineNode(config, options, folder, log, await readTails(log), damages);
      await node.#listen();
      return node;
    } catch (error) {
      for (const step of undo) await step();
      throw error;
    }
  }

  /** Where clients connect. */
  get clientAddress(): Address {
    return { host: this.config.advertisedHost ?? this.#rpc!.address.host, port: this.#rpc!.address.port };
  }

  /** Of clients: open now, and turned away since the start. */
  get connections(): { readonly open: number; readonly refused: number } {
    const { connectionCount: open, refusedConnections: refused } = this.#rpc!;
    return { open, refused };
  }

  /** Nodes of the cluster that are not reached from here. */
  get away(): NodeId[] {
    return this.#members.all().filter((id) => id !== this.nodeId && !this.peers.isAlive(id));
  }

  get peerAddress(): Address {
    return this.#peerAddress!;
  }

  /** Dials the other nodes and takes part. `adminPort` is told to the cluster. */
  start(peers: ReadonlyMap<NodeId, Address>, adminPort: number): void {
    this.#adminPort = adminPort;
    this.peers.start(peers);
    this.balance.start();
    this.#mover.start();
    this.#membershipKeeper.start();
    this.#retention.start();
    void this.#registration.start();
  }

  /** Serves: the metadata has a leader and is current here, and every partition held here has a leader. */
  get isReady(): boolean {
    if (this.#stopping || !this.#registration.isDone) return false;
    for (const { replica } of this.partitions.all()) {
      if (replica.raft.leader === 0) return false;
    }
    return true;
  }

  async whenReady(): Promise<void> {
    while (!this.isReady && !this.#stopping) await sleep(this.runtime, READY_POLL_MS);
  }

  /** Hands its leaders over (unless all nodes stop), finishes what was begun, and closes everything. */
  async stop({ handOver = true } = {}): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.balance.stop();
    this.#mover.stop();
    this.#membershipKeeper.stop();
    this.#registration.stop();
    this.#recollection.close();
    this.partitions.close();
    this.#retention.stop();
    this.partitions.repairs.stop();
    this.stateRepairs.stop();
    if (handOver) await this.balance.handOver();
    this.#clientService.close();
    this.#coordinators.close();
    await this.#rpc?.close();
    this.metadataService.close();
    this.#requests.close();
    this.host.checkpointAll();
    await this.peers.close();
    this.host.close();
    await this.log.close();
    await this.#folder.lock.release();
  }

  #addMetadata(had?: LogEnd): Replica {
    const { host, memory, nodeId, config: { nodes } } = this;
    const founders = nodes.map(({ id }) => id);
    return host.add({
      group: METADATA_SHARD,
      configuration: { voters: founders, outgoing: [], learners: [], learnersNext: [] },
      machine: this.#metadataMachine,
      vouched: !memory.doubts(METADATA_SHARD),
      had,
      campaign: isAlone(founders, nodeId),
      trimAtCheckpoint: true,
      commitNoticeMs: METADATA_COMMIT_NOTICE_MS,
    });
  }

  async #listen(): Promise<void> {
    const { host = LOOPBACK, peerPort = 0, clientPort = 0, tls } = this.config;
    const mutual = tls?.clientCertificates ?? false;
    try {
      this.#peerAddress = await this.peers.listen({ host, port: peerPort });
      this.#rpc = await RpcServer.listen(this.runtime, { host, port: clientPort }, this.#clientService, { mutual });
    } catch (error) {
      await this.peers.close();
      this.host.close();
      throw error;
    }
  }

  #peerReached(peer: NodeId): void {
    this.#recollection.peerKnows(peer);
    this.peers.tell(peer, this.routing.own());
    this.host.peerReached(peer);
  }

  /** Several commands may be applied in one turn: the partitions follow once, at its end. */
  #metadataChanged(): void {
    if (this.#reconcileDue) return;
    this.#reconcileDue = true;
    this.runtime.timers.defer(() => {
      this.#reconcileDue = false;
      if (this.#stopping) return;
      this.partitions.reconcile();
      this.#mover.metadataChanged();
      this.#membershipKeeper.metadataChanged();
      this.#coordinators.topicsChanged();
      this.#registration.metadataChanged();
    });
  }

  #record(): NodeRecord {
    const { host, port } = this.clientAddress;
    const record = { id: this.nodeId, host, clientPort: port, adminPort: this.#adminPort };
    return this.config.join ? { ...record, added: true } : record;
  }
}

export interface StartedNode {
  readonly node: RaftlineNode;
  readonly services: readonly RunningService[];
  /** Services first, then the node. */
  stop(): Promise<void>;
}

/** Opens and starts a node with its services. Errors as {@link RaftlineNode.open}. */
export async function startNode(
  config: NodeConfig,
  options: NodeOptions,
  services: readonly NodeService[] = [],
): Promise<StartedNode> {
  const node = await RaftlineNode.open(config, options);
  const running: RunningService[] = [];
  const stop = async () => {
    for (const service of running) await service.close();
    await node.stop();
  };
  try {
    for (const service of services) running.push(await service(node));
  } catch (error) {
    await stop();
    throw error;
  }
  node.start(addressesOf(config), running[0]?.address.port ?? 0);
  return { node, services: running, stop };
}

function addressesOf({ nodes }: NodeConfig): Map<NodeId, Address> {
  return new Map(nodes.map(({ id, host, port }) => [id, { host, port }]));
}
