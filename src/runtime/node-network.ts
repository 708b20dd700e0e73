/** The real network, over `node:net`, for Node and Deno alike; under TLS, if it is given what that takes. */
import net from "node:net";
import { connectionsMax } from "./descriptors.ts";
import { Handshakes } from "./handshakes.ts";
import { type Address, type Connection, type Listener, type Network, NetworkError } from "./network.ts";
import { Arrival, format, NodeConnection, toNetworkError } from "./node-connection.ts";
import { contextOf, createTlsServer, dialTls } from "./node-tls.ts";
import { TlsIdentity, type TlsMaterial } from "./tls.ts";

/** Of one listener, those in their TLS handshake too: more than its owner takes, which says so. The next ones are closed. */
const SOCKETS_MAX = 12_000;

export function createNodeNetwork(material?: TlsMaterial): Network {
  if (!material) return { listen: (address, onConnection) => listen(plainServer(onConnection), address), connect };
  const tls = new TlsIdentity(material);
  return {
    tls,
    listen(address, onConnection, { mutual = false } = {}) {
      const server = createTlsServer(tls.material, mutual, (socket) => onConnection(new NodeConnection(socket)));
      const handshakes = new Handshakes(server);
      const ignore = tls.onRenewed((renewed) => server.setSecureContext(contextOf(renewed)));
      return listen(server, address, () => {
        ignore();
        handshakes.destroy();
      });
    },
    connect: (address, timeoutMs) => connect(address, timeoutMs, tls.material),
  };
}

function plainServer(onConnection: (connection: Connection) => void): net.Server {
  return net.createServer({ noDelay: true, pauseOnConnect: true }, (socket) => onConnection(accept(socket)));
}

/** `onClose` ends what nobody owns. */
function listen(server: net.Server, address: Address, onClose = () => {}): Promise<Listener> {
  server.maxConnections = connectionsMax(SOCKETS_MAX);
  let refused = 0;
  server.on("drop", () => refused += 1);
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(toNetworkError(`cannot listen on ${format(address)}`, error)));
    server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
      const { port } = server.address() as net.AddressInfo;
      resolve({
        address: { host: address.host, port },
        get refused() {
          return refused;
        },
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            onClose();
          }),
      });
    });
  });
}

function connect(address: Address, timeoutMs: number, tls?: TlsMaterial): Promise<Connection> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const arrival = new Arrival();
    const socket = tls
      ? dialTls(tls, host, port, arrival)
      : net.connect({ host, port, noDelay: true, onread: arrival });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new NetworkError("TIMED_OUT", `no connection to ${format(address)} within ${timeoutMs} ms`));
    }, timeoutMs);
    const failed = (error: Error) => {
      clearTimeout(timer);
      reject(toNetworkError(`cannot connect to ${format(address)}`, error));
    };
    socket.once("error", failed);
    socket.once(tls ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      resolve(new NodeConnection(socket, arrival));
    });
  });
}

/** What a socket stands on. Not in the types; where it is not what both runtimes have today, the socket stays as it is. */
interface WithHandle {
  _handle?: object | null;
}

/** A server's sockets do not take `onread`: one that does takes the place of each, on the same handle. */
function accept(socket: net.Socket): NodeConnection {
  const { _handle: handle } = socket as WithHandle;
  if (!handle) {
    const connection = new NodeConnection(socket);
    socket.resume();
    return connection;
  }
  (socket as WithHandle)._handle = null;
  const arrival = new Arrival();
  const own = new net.Socket({ handle, onread: arrival, readable: true, writable: true } as net.SocketConstructorOpts);
  // The server counts the sockets that it made.
  own.once("close", () => socket.destroy());
  const connection = new NodeConnection(own, arrival);
  own.resume();
  return connection;
}
