import type net from "node:net";
import type tls from "node:tls";

/** Who connects and says nothing is let go. */
export const HANDSHAKE_MS_MAX = 5_000;

/** Those who have connected to a server under TLS and not yet said who they are: nobody owns them, so a close must end them. */
export class Handshakes {
  readonly #sockets = new Map<string, net.Socket>();

  constructor(server: tls.Server) {
    server.on("connection", (socket: net.Socket) => {
      const key = keyOf(socket);
      this.#sockets.set(key, socket);
      socket.once("close", () => this.#forget(key, socket));
    });
    server.on("secureConnection", (socket) => this.#sockets.delete(keyOf(socket)));
  }

  destroy(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
  }

  #forget(key: string, socket: net.Socket): void {
    if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
  }
}

/** The socket that speaks TLS is another object than the one below it; the other side's address is the same. */
function keyOf({ remoteAddress, remotePort }: net.Socket): string {
  return `${remoteAddress}:${remotePort}`;
}
