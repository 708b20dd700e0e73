/**
 * One process of the bare pipeline: a leader or a follower that does what no replicated, durable log can leave out
 * (sockets, a checksum, one writev + fdatasync at a time, a majority) and nothing else. No Raft, no index, no recovery.
 * Arguments: file, port, then the followers' ports if it leads. Prints "ready".
 */
import fs from "node:fs";
import net from "node:net";
import process from "node:process";
import { crc32 } from "node:zlib";
import { lengthPrefix, LengthReader } from "./frame-lengths.ts";

const [file = "", port = "0", ...followerPorts] = process.argv.slice(2);
const fd = fs.openSync(file, "w");
let position = 0;
let waiting: { frame: Uint8Array; done: () => void }[] = [];
let writing = false;

/** Group commit: what arrives while the disk is busy goes out together next. */
function persist(frame: Uint8Array, done: () => void): void {
  waiting.push({ frame, done });
  if (!writing) flush();
}

function flush(): void {
  const batch = waiting;
  waiting = [];
  if (batch.length === 0) return;
  writing = true;
  const chunks = batch.map(({ frame }) => frame);
  fs.writev(fd, chunks, position, (writeError, written) => {
    if (writeError) throw writeError;
    position += written;
    fs.fdatasync(fd, (syncError) => {
      if (syncError) throw syncError;
      writing = false;
      flush();
      for (const { done } of batch) done();
    });
  });
}

function send(socket: net.Socket, frame: Uint8Array): void {
  socket.cork();
  socket.write(lengthPrefix(frame.length));
  socket.write(frame);
  socket.uncork();
}

/** Answers are counted: each byte acknowledges one more frame, in order. */
const ONE = new Uint8Array(1);
const followers = followerPorts.map((followerPort) => {
  const socket = net.connect({ port: Number(followerPort), host: "127.0.0.1", noDelay: true });
  return { socket, acknowledged: 0 };
});
let received = 0;
let durable = 0;
let answered = 0;

function answerMajority(client: net.Socket): void {
  const counts = [durable, ...followers.map((follower) => follower.acknowledged)].sort((a, b) => b - a);
  const majority = counts[Math.floor(counts.length / 2)]!;
  if (majority > answered) client.write(majority - answered === 1 ? ONE : new Uint8Array(majority - answered));
  answered = Math.max(answered, majority);
}

const server = net.createServer({ noDelay: true }, (socket) => {
  for (const follower of followers) {
    follower.socket.removeAllListeners("data");
    follower.socket.on("data", (bytes: Uint8Array) => {
      follower.acknowledged += bytes.length;
      answerMajority(socket);
    });
  }
  const reader = new LengthReader((frame) => {
    received += crc32(frame) >= 0 ? 1 : 0;
    for (const follower of followers) send(follower.socket, frame);
    persist(frame, () => {
      durable += 1;
      if (followers.length > 0) answerMajority(socket);
      else socket.write(ONE);
    });
  });
  socket.on("data", (chunk: Uint8Array) => reader.push(chunk));
  socket.on("error", () => socket.destroy());
});
server.listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
