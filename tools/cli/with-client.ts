import { type Client, connect } from "../../src/client/client.ts";

export const DEFAULT_BOOTSTRAP = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403";

export const BOOTSTRAP_OPTION = ["--bootstrap <addresses>", "Nodes to ask first, HOST:PORT,…", {
  default: DEFAULT_BOOTSTRAP,
}] as const;

/** Connects, works, and closes whatever happens. */
export async function withClient<T>(bootstrap: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect(bootstrap.split(",").map((address) => address.trim()));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
