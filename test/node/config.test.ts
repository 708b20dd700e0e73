import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isLoopback, loadConfig, unknownVariables } from "../../src/node/config.ts";
import { ConfigError } from "../../src/node/errors.ts";

const config = suite("configuration");

const YAML = `
nodeId: 1
dataFolder: ./data
nodes:
  - { id: 1, host: 127.0.0.1, port: 7501 }
  - { id: 2, host: 127.0.0.1, port: 7502 }
`;

function fieldOfError(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError && error.code === "INVALID_CONFIG" && error.message.startsWith(error.field)) {
      return error.field;
    }
    if (error instanceof ConfigError) return error.field;
    throw error;
  }
  return "no error";
}

function errorOf(load: () => unknown): Error {
  try {
    load();
  } catch (error) {
    return error as Error;
  }
  return new Error("no error");
}

config("file, then environment, then flags: later ones win", () => {
  const env = { RAFTLINE_NODE_ID: "2", RAFTLINE_CLIENT_PORT: "7000", RAFTLINE_PEER_PORT: "7502" };
  const loaded = loadConfig({ yaml: YAML, env, flags: { clientPort: 9000, adminPort: undefined } });
  assert.is(loaded.nodeId, 2);
  assert.is(loaded.clientPort, 9000);
  assert.is(loaded.peerPort, 7502);
  assert.is(loaded.clusterId, "raftline");
});

config("errors name the field", () => {
  assert.is(fieldOfError(() => loadConfig({ yaml: `${YAML}\nclientPrt: 1` })), "clientPrt");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML, flags: { clientPort: 70_000 } })), "clientPort");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML, env: { RAFTLINE_CLIENT_PORT: "x" } })), "clientPort");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML.replace("7502", "-1") })), "nodes.1.port");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML.replace("id: 2", "id: 1") })), "nodes");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML.replace("nodeId: 1", "nodeId: 9") })), "nodeId");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML.replace("nodeId: 1", "") })), "nodeId");
});

config("a variable that is empty is no port, and one that is misspelt is found", () => {
  for (const text of ["", " ", "0x10", "1e3"]) {
    assert.is(fieldOfError(() => loadConfig({ yaml: YAML, env: { RAFTLINE_ADMIN_PORT: text } })), "adminPort", text);
  }
  const env = { RAFTLINE_CLIENT_PORT: "1", RAFTLINE_CLOCK_DRIFT_MAX: "1.2", RAFTLINE_CLIENTPORT: "1", PATH: "/bin" };
  assert.equal(unknownVariables(env), ["RAFTLINE_CLIENTPORT"]);
});

config("a drift of clocks is a ratio that clocks can have, or none", () => {
  assert.is(loadConfig({ yaml: YAML }).clockDriftMax, undefined);
  assert.is(loadConfig({ yaml: `${YAML}\nclockDriftMax: 1.2` }).clockDriftMax, 1.2);
  assert.is(loadConfig({ yaml: YAML, env: { RAFTLINE_CLOCK_DRIFT_MAX: "1.5" } }).clockDriftMax, 1.5);
  for (const wrong of ["1", "0.9", "2.1", "-1.2", ".inf", ".nan", "'1.2'", "true", "null"]) {
    assert.is(fieldOfError(() => loadConfig({ yaml: `${YAML}\nclockDriftMax: ${wrong}` })), "clockDriftMax", wrong);
  }
});

config("what is no configuration at all is said so", () => {
  for (const yaml of ["[1, 2]", "a: [", "just text", "&a [*a, *a]"]) {
    assert.is(fieldOfError(() => loadConfig({ yaml })), "(the whole)");
  }
});

config("listening wider than loopback wants authentication", () => {
  const wide = { yaml: `${YAML}\nhost: 0.0.0.0` };
  assert.is(fieldOfError(() => loadConfig(wide)), "peerSecret");
  const secret = "0123456789abcdef";
  assert.is(fieldOfError(() => loadConfig({ ...wide, flags: { peerSecret: secret } })), "credentials");
  const credentials = [{ name: "shop", secret }];
  const flags = { peerSecret: secret, credentials };
  assert.is(loadConfig({ yaml: `${YAML}\nhost: 10.0.0.1`, flags }).host, "10.0.0.1");
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert.ok(isLoopback(host));
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example"]) assert.not.ok(isLoopback(host));
});

config("a wildcard is nothing that clients can be told", () => {
  const secret = "0123456789abcdef";
  const flags = { peerSecret: secret, credentials: [{ name: "shop", secret }] };
  for (const host of ["0.0.0.0", "'::'", "'::0'", "'0'", "'0:0:0:0:0:0:0:0'"]) {
    const yaml = `${YAML}\nhost: ${host}`;
    assert.is(fieldOfError(() => loadConfig({ yaml, flags })), "advertisedHost", host);
    assert.is(fieldOfError(() => loadConfig({ yaml: `${yaml}\nadvertisedHost: ${host}`, flags })), "advertisedHost");
    assert.is(loadConfig({ yaml: `${yaml}\nadvertisedHost: node-1`, flags }).advertisedHost, "node-1");
  }
});

config("the peer port is that of the node's own line in nodes, and contradicts it nowhere", () => {
  assert.is(loadConfig({ yaml: YAML }).peerPort, 7501);
  assert.is(loadConfig({ yaml: YAML, flags: { nodeId: 2 } }).peerPort, 7502);
  assert.is(loadConfig({ yaml: YAML, flags: { peerPort: 7501 } }).peerPort, 7501);
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML, flags: { peerPort: 7502 } })), "peerPort");
  assert.is(loadConfig({ yaml: YAML, flags: { peerPort: 0 } }).peerPort, 0);
  assert.is(loadConfig({ yaml: YAML.replace("7501", "0"), flags: { peerPort: 7600 } }).peerPort, 7600);
});

config("what is wrong in the file is told by its place, and no secret with it", () => {
  const secret = "never-to-be-printed";
  const cases = [
    `${YAML}\npeerSecret: "${secret}\nhost: x`,
    `${YAML}\npeerSecret: ${secret}: x`,
    `${YAML}\n\tpeerSecret: ${secret}`,
    `${YAML}\npeerSecret: *${secret}`,
  ];
  for (const yaml of cases) {
    const error = errorOf(() => loadConfig({ yaml }));
    assert.not.match(`${error.stack} ${JSON.stringify(error)} ${error.cause}`, secret);
  }
  assert.match(errorOf(() => loadConfig({ yaml: cases[1]! })).message, "line 8, column 13");
  assert.is(errorOf(() => loadConfig({ yaml: `${YAML}\npeerSecret: !x ${secret}` })).message, "no error");
});

config("a node that joins is none of those that the cluster was made with, and tells its port", () => {
  const joining = { nodeId: 4, peerPort: 7504, join: true };
  assert.is(loadConfig({ yaml: YAML, flags: joining }).peerPort, 7504);
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML, flags: { ...joining, join: undefined } })), "nodeId");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML, flags: { ...joining, nodeId: 2 } })), "join");
  assert.is(fieldOfError(() => loadConfig({ yaml: YAML, flags: { ...joining, peerPort: undefined } })), "peerPort");
});

config("rights are on a topic or on those that begin alike, and somebody has all", () => {
  const load = (...credentials: object[]) => loadConfig({ yaml: YAML, flags: { credentials } });
  const all = { name: "root", secret: "a-secret-of-some-length" };
  const some = (topics: string, ...may: string[]) => ({ ...all, name: "shop", rights: [{ topics, may }] });
  assert.is(load(all, some("orders*", "produce", "consume")).credentials!.length, 2);
  assert.is(fieldOfError(() => load(some("*", "produce", "consume", "manage"))), "credentials");
  for (const [topics, right] of [["a*b", "produce"], ["", "produce"], ["orders", "read"], ["orders"]] as const) {
    assert.match(fieldOfError(() => load(all, some(topics, ...(right ? [right] : [])))), "credentials");
  }
});

config.run();
