/** Every bound of the wire in one place; the unit is last in the name. Nothing that a peer declares costs more. */

/** What one CBOR head may hold; see cbor-guard.ts. */
export interface HeadLimits {
  readonly headBytesMax: number;
  readonly depthMax: number;
  /** Data items in all, the nested ones included. */
  readonly itemsMax: number;
}

/** What a reader of frames accepts. */
export interface FrameLimits extends HeadLimits {
  /** Of a whole frame, without its 4 bytes of length. */
  readonly frameBytesMax: number;
  /**
   * Room that may be reserved for a declared frame before its bytes arrive. `Infinity` for peers that have proved who
   * they are; for strangers it grows with the largest frame they really sent.
   */
  readonly eagerBytesMax: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Largest batch (header included) a producer may send. */
export const BATCH_BYTES_MAX = 4 * MIB;

/** What a node accepts from clients. */
export const REQUEST_LIMITS: FrameLimits = {
  frameBytesMax: 16 * MIB,
  eagerBytesMax: 64 * KIB,
  headBytesMax: MIB,
  depthMax: 12,
  itemsMax: 200_000,
};

/** What a client accepts from a node: fetches are long, and a big cluster's metadata has a long head. */
export const RESPONSE_LIMITS: FrameLimits = {
  frameBytesMax: 64 * MIB,
  eagerBytesMax: MIB,
  headBytesMax: 16 * MIB,
  depthMax: 12,
  itemsMax: 4_000_000,
};

/** What a node accepts from another node of its cluster. */
export const PEER_LIMITS: FrameLimits = {
  frameBytesMax: 64 * MIB,
  eagerBytesMax: Infinity,
  headBytesMax: 16 * MIB,
  depthMax: 16,
  itemsMax: 4_000_000,
};

/** Before its hello is accepted nobody gets more than this. */
export const HELLO_LIMITS: FrameLimits = {
  frameBytesMax: 16 * KIB,
  eagerBytesMax: 0,
  headBytesMax: 16 * KIB,
  depthMax: 4,
  itemsMax: 1_100,
};

/** Replication frames are cut near this size, so that a heartbeat never waits behind much more. */
export const PEER_FRAME_BYTES_TARGET = 8 * MIB;

/** Accepted connections of one server. */
export const CONNECTIONS_MAX = 10_000;

/** Requests of one connection that wait for their answer: above either, reading from it pauses. */
export const IN_FLIGHT_BYTES_MAX = 32 * MIB;
export const IN_FLIGHT_REQUESTS_MAX = 1_000;

/** Long polls (fetches, leases) of one connection that wait: one more is answered `THROTTLED`. */
export const LONG_POLLS_IN_FLIGHT_MAX = 64;

/** Batches, partitions or names in one request. */
export const REQUEST_PARTS_MAX = 10_000;

/** Records that one item of a settling names: as many as a lease may hold. */
export const LEASE_RECORDS_MAX = 10_000;

/** Of their offsets, packed: so many that lie far apart fit. */
export const LEASE_OFFSETS_BYTES_MAX = 128 * KIB;

/** Partitions that one lease request asks of. */
export const LEASE_PARTS_MAX = 1_000;

/** Shards that look after consumer groups. Which one a group belongs to follows from it: it can never be changed. */
export const COORDINATORS = 4;

/** Topics that one member of a consumer group reads, and partitions that it holds. */
export const MEMBER_TOPICS_MAX = 1_000;
export const MEMBER_PARTITIONS_MAX = 50_000;

/** Fetch sessions of one connection, and the partitions that are asked for in all of them: beyond, `THROTTLED`. */
export const FETCH_SESSIONS_MAX = 64;
export const FETCH_PARTS_MAX = 50_000;

/** What one fetch may ask for; more is taken as this much. */
export const FETCH_BYTES_MAX = 16 * MIB;

/** Answers a client has not taken: above this its next requests wait. */
export const UNSENT_BYTES_MAX = 32 * MIB;

/** A frame that began must be whole after this; a slower sender is cut off. */
export const HALF_FRAME_MS_MAX = 30_000;

/** A new connection must have said hello after this. */
export const HELLO_MS_MAX = 10_000;

/** A connection without any request is closed after this. */
export const IDLE_MS_MAX = 600_000;

/** A connection that was ended but whose last bytes nobody takes is cut after this. */
export const LINGER_MS_MAX = 5_000;

/** Unsent bytes on a peer link above which `send` refuses: raft repeats what matters. */
export const PEER_UNSENT_BYTES_MAX = 64 * MIB;

/**
 * Batches a producer may have in flight to one partition: so many of its latest the partition recognises when they are sent
 * again (KIP-98). With twelve, one partition did 0.72 of what sixteen do (`bench publish`): it waited for answers.
 */
export const PRODUCER_WINDOW_BATCHES = 64;
