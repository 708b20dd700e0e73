import net from "node:net";

/**
 * Below the ports that systems give to outgoing connections (Linux: from 32768 on, others: from 49152 on): one of those
 * could take a port between here and the process that is to listen on it, and keep it.
 */
const FIRST_PORT = 15_000;
const PORTS = 17_000;
const TRIES_MAX = 100;

/** `count` ports of loopback that nobody listens on at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: net.Server[] = [];
  for (let tries = 0; servers.length < count; tries++) {
    const server = await listen(FIRST_PORT + Math.floor(Math.random() * PORTS));
    if (server) servers.push(server);
    else if (tries >= count + TRIES_MAX) throw new Error("no free ports were found");
  }
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

/** Undefined: the port is taken. */
function listen(port: number): Promise<net.Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
