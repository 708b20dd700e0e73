/** The same sockets under TLS (RFC 8446), over `node:tls`. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import tls from "node:tls";
import { HANDSHAKE_MS_MAX } from "./handshakes.ts";
import type { Arrival } from "./node-connection.ts";
import type { TlsMaterial } from "./tls.ts";

/** `mutual`: who connects must show a certificate, too. */
export function createTlsServer(
  material: TlsMaterial,
  mutual: boolean,
  onSocket: (socket: tls.TLSSocket) => void,
): tls.Server {
  const server = tls.createServer({
    ...contextOf(material),
    requestCert: mutual,
    rejectUnauthorized: mutual,
    handshakeTimeout: HANDSHAKE_MS_MAX,
    noDelay: true,
  }, (socket) => {
    // Not left to the runtime alone: one that does not know `requestCert` would let everybody in.
    if (mutual && !socket.authorized) socket.destroy();
    else onSocket(socket);
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

/** Emits `secureConnect` when the other side is believed. */
export function dialTls(material: TlsMaterial, host: string, port: number, arrival: Arrival): tls.TLSSocket {
  // `onread` goes to the socket (nodejs.org/api/tls.html, tls.connect), but is not in the types.
  const socket = tls.connect({ ...contextOf(material), host, port, onread: arrival } as tls.ConnectionOptions);
  socket.setNoDelay(true);
  return socket;
}

/** @throws {Error} Not PEM, or the key is another certificate's. */
export function checkTlsMaterial({ certificate, key, authority }: TlsMaterial): void {
  if (authority !== undefined) certificatesIn(authority);
  if (certificate === undefined && key === undefined) return;
  if (certificate === undefined || key === undefined) throw new Error("a certificate and its key belong together");
  const [shown] = certificatesIn(certificate);
  if (!shown!.checkPrivateKey(createPrivateKey(key))) throw new Error("the key is not this certificate's");
}

/** All of them: the platforms look at the first alone, or at those behind it when they are used. @throws {Error} */
function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [pem];
  return blocks.map((block) => new X509Certificate(block));
}

/** As the platform wants it. */
export function contextOf({ certificate, key, authority }: TlsMaterial): tls.SecureContextOptions {
  return {
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(authority !== undefined && { ca: authority }),
  };
}
