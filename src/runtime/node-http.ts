/** Serves HTTP for a fetch-style handler, on both runtimes. */
import https from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Address, NetworkError } from "./network.ts";
import { HANDSHAKE_MS_MAX, Handshakes } from "./handshakes.ts";
import { contextOf } from "./node-tls.ts";
import type { TlsMaterial } from "./tls.ts";

export interface HttpServer {
  readonly address: Address;
  /** Ends open connections too. */
  close(): Promise<void>;
}

/** HTTPS, if `tls` is given. @throws {NetworkError} `ADDRESS_IN_USE`, `ADDRESS_INVALID`, `PERMISSION` */
export function serveHttp(
  address: Address,
  fetch: (request: Request) => Response | Promise<Response>,
  tls?: TlsMaterial,
): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    const server = createAdaptorServer({
      fetch,
      hostname: address.host,
      ...(tls &&
        { createServer: https.createServer, serverOptions: { ...contextOf(tls), handshakeTimeout: HANDSHAKE_MS_MAX } }),
    });
    const handshakes = tls && new Handshakes(server as https.Server);
    server.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "EADDRINUSE"
        ? "ADDRESS_IN_USE"
        : error.code === "EACCES"
        ? "PERMISSION"
        : "ADDRESS_INVALID";
      const message = `cannot listen on ${address.host}:${address.port}: ${error.message}`;
      reject(new NetworkError(code, message, { cause: error }));
    });
    server.listen(address.port, address.host, () => {
      const { port } = server.address() as AddressInfo;
      resolve({
        address: { host: address.host, port },
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            if ("closeAllConnections" in server) server.closeAllConnections();
            handshakes?.destroy();
          }),
      });
    });
  });
}
