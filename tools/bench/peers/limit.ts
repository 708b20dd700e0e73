/** The bare pipeline among the peers: what three processes need at least that wait for a majority's disks, at latency alone. */
import { withBarePipeline } from "../bare-pipeline.ts";
import type { Send } from "../pace.ts";
import type { Peer, PeerPublisher, PeerSystem, PublisherOptions, RunningPeer } from "./peer.ts";

export const limit: Peer = {
  name: "limit",
  missing: () => undefined,
  start: (): Promise<RunningPeer> =>
    Promise.resolve({ version: "", pids: [], systems: [new BarePipeline()], stop: () => Promise.resolve() }),
};

class BarePipeline implements PeerSystem {
  readonly system = "Bare pipeline";
  readonly fsyncBeforeAck = true;
  readonly work = ["latency"];

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  publisher({ recordBytes }: PublisherOptions): Promise<PeerPublisher> {
    return new Promise((resolve, reject) => {
      let end: () => void = () => {};
      const isOver = new Promise<void>((over) => end = over);
      const measure = (send: Send): Promise<void> => {
        resolve({ unitRecords: 1, unitsInFlight: 1, send: (_topic, acked) => send(acked), close });
        return isOver;
      };
      const running = withBarePipeline(recordBytes, measure);
      running.catch(reject);
      const close = () => {
        end();
        return running;
      };
    });
  }

  drain(): Promise<void> {
    return Promise.reject(new Error("the bare pipeline keeps nothing to be read"));
  }
}
