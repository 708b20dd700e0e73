/** Serves HTTP for a fetch-style handler, on both runtimes. */
import type http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { connectionsMax } from "./descriptors.ts";
import { type Address, NetworkError } from "./network.ts";
import { HANDSHAKE_MS_MAX, Handshakes } from "./handshakes.ts";
import { contextOf } from "./node-tls.ts";
import type { TlsIdentity } from "./tls.ts";

/** Anybody may connect, and keep a file descriptor: the next ones are closed. */
const HTTP_CONNECTIONS_MAX = 128;
/** Who connects and asks nothing is let go, so that there is room again. */
const HEADERS_MS_MAX = 5_000;

export interface HttpServer {
  readonly address: Address;
  /** Ends open connections too. */
  close(): Promise<void>;
}

/** HTTPS, if `tls` is given. @throws {NetworkError} `ADDRESS_IN_USE`, `ADDRESS_INVALID`, `PERMISSION` */
export function serveHttp(
  address: Address,
  fetch: (request: Request) => Response | Promise<Response>,
  tls?: TlsIdentity,
): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    const server = createAdaptorServer({
      fetch,
      hostname: address.host,
      serverOptions: {
        headersTimeout: HEADERS_MS_MAX,
        connectionsCheckingInterval: HEADERS_MS_MAX,
        ...(tls && { ...contextOf(tls.material), handshakeTimeout: HANDSHAKE_MS_MAX }),
      },
      ...(tls && { createServer: https.createServer }),
    });
    (server as http.Server).maxConnections = connectionsMax(HTTP_CONNECTIONS_MAX);
    const handshakes = tls && new Handshakes(server as https.Server);
    const ignore = tls?.onRenewed((material) => (server as https.Server).setSecureContext(contextOf(material)));
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
            ignore?.();
            if ("closeAllConnections" in server) server.closeAllConnections();
            handshakes?.destroy();
          }),
      });
    });
  });
}
