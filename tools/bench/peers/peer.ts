/** What a system must offer to be given the work. */

/** A cluster of three nodes on loopback, and what it can be used as (a queue, a stream, …). */
export interface Peer {
  readonly name: string;
  /** What has to be done before it can run here; undefined if nothing. */
  missing(): string | undefined;
  /** @throws if it does not come up; whatever was started has been stopped then */
  start(folder: string): Promise<RunningPeer>;
}

export interface RunningPeer {
  readonly version: string;
  /** Of its servers, for what they use. */
  readonly pids: readonly number[];
  readonly systems: readonly PeerSystem[];
  stop(): Promise<void>;
}

export interface PeerSystem {
  readonly system: string;
  /** Whether an acknowledged record is on disks, as the system runs here. */
  readonly fsyncBeforeAck: boolean;
  /** The kinds of work that it can be given; without, all. */
  readonly work?: readonly string[];
  /** Makes `count` topics of three replicas (or one topic of as many partitions), empty ones. */
  prepare(count: number): Promise<void>;
  /** For {@link PeerSystem.prepare}'s topics. */
  publisher(options: PublisherOptions): Promise<PeerPublisher>;
  /** Reads this many records, as fast as the client can; from the start of the topics. */
  drain(records: number): Promise<void>;
}

export interface PublisherOptions {
  readonly recordBytes: number;
  /** `latency`: one record at a time, sent at once; `rate`: as serves the system best; `backlog`: to be read afterwards. */
  readonly purpose: "latency" | "rate" | "backlog";
}

export interface PeerPublisher {
  /** Records in one {@link PeerPublisher.send}. */
  readonly unitRecords: number;
  /** Units in flight to a topic that serve the system best. */
  readonly unitsInFlight: number;
  /** Sends one unit to a topic; `acked` is called when all of it is acknowledged. */
  send(topic: number, acked: () => void): void;
  close(): Promise<void>;
}
