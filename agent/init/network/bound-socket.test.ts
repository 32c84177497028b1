import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BoundSocket, bindSocket } from "./bound-socket.ts";

const host = "127.0.0.1";
const other = () => createSocket("udp4").bind(0, host);
let socket: BoundSocket;
let port: number;
let peer: ReturnType<typeof other>;

beforeEach(async () => {
  peer = other();
  const free = other();
  await Promise.all([once(peer, "listening"), once(free, "listening")]);
  ({ port } = free.address());
  free.close();
  socket = await bindSocket("udp4", port, host);
});

afterEach(() => {
  socket.close();
  peer.close();
});

const never = new AbortController().signal;
const textOf = async () => Buffer.from((await socket.receive(60_000, never)) ?? []).toString();

test("what comes is kept in its order, and what is waited for comes at once", async () => {
  peer.send("one", port, host);
  peer.send("two", port, host);
  expect(await textOf()).toBe("one");
  expect(await textOf()).toBe("two");
});

test("a wait ends without a message, and by its signal", async () => {
  expect(await socket.receive(10, never)).toBeUndefined();
  const stop = new AbortController();
  const received = socket.receive(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(received).rejects.toThrow("enough");
  await expect(socket.receive(60_000, stop.signal)).rejects.toThrow("enough");
});

test("sends from its port; a host that refuses ends nothing", async () => {
  const heard = once(peer, "message");
  socket.send(Buffer.from("hello"), peer.address().port, host);
  const [message, from] = await heard;
  expect([String(message), from.port]).toEqual(["hello", port]);
  socket.send(Buffer.from("nobody"), 1, host);
  expect(await socket.receive(20, never)).toBeUndefined();
});

test("an address that is not ours is an error", async () => {
  await expect(bindSocket("udp4", port, "192.0.2.1")).rejects.toThrow("EADDRNOTAVAIL");
});
