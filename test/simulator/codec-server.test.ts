import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import type { Message } from "../../ipmi/transport.ts";
import { until } from "../lab/deadline.ts";
import { connectAsMachine } from "../lab/machine-side.ts";
import { encodeFrame, type Frame, FrameReader } from "../lab/vm-codec.ts";
import { startCodecServer } from "./codec-server.ts";
import { type Delivery, deliver } from "./delivery.ts";

const getDeviceId = { netFn: 0x06, lun: 0, cmd: 0x01, data: Uint8Array.of(0xa0, 0xaa) };

const echo = (request: Message, delayMs = 0): readonly Delivery[] =>
  deliver(request, { completionCode: 0xc1, data: request.data }, { delayMs });

const soon = () => AbortSignal.timeout(5_000);

test("answers a machine, data bytes escaped where the framing needs it", async () => {
  await using server = await startCodecServer({ execute: (request) => echo(request) });
  await using machine = await connectAsMachine(server.port);
  expect(await machine.exchange(getDeviceId, soon())).toEqual({ completionCode: 0xc1, data: getDeviceId.data });
});

test("silence, and a delayed answer", async () => {
  const delays = [undefined, 30];
  const execute = (request: Message) => {
    const delayMs = delays.shift();
    return delayMs === undefined ? [] : echo(request, delayMs);
  };
  await using server = await startCodecServer({ execute });
  await using machine = await connectAsMachine(server.port);
  await expect(machine.exchange(getDeviceId, AbortSignal.timeout(20))).rejects.toThrow("no answer in time");
  const start = performance.now();
  await machine.exchange(getDeviceId, soon());
  expect(performance.now() - start).toBeGreaterThanOrEqual(28);
});

test("the next machine takes the place of the one before", async () => {
  await using server = await startCodecServer({ execute: (request) => echo(request) });
  await using first = await connectAsMachine(server.port);
  await first.exchange(getDeviceId, soon());
  await using second = await connectAsMachine(server.port);
  await second.exchange(getDeviceId, soon());
  await expect(first.exchange(getDeviceId, AbortSignal.timeout(200))).rejects.toThrow();
  expect(server.connections).toBe(2);
  expect(server.connected).toBe(true);
});

test("control commands in both directions, by their numbers in QEMU", async () => {
  const told: string[] = [];
  await using server = await startCodecServer({ execute: () => [], onMachine: (what) => told.push(what) });
  expect(server.control("reset")).toBe(false);
  const socket = connect(server.port, "127.0.0.1");
  await once(socket, "connect");
  const received: Frame[] = [];
  const reader = new FrameReader();
  socket.on("data", (chunk: Buffer) => received.push(...reader.push(chunk)));
  socket.write(encodeFrame({ kind: "control", bytes: Uint8Array.of(0x04) }));
  await until("the reset to arrive", 5_000, () => told.length === 2, { everyMs: 2 });
  expect(server.control("powerOff")).toBe(true);
  expect(server.control("reset")).toBe(true);
  await until("four controls", 5_000, () => received.length === 4, { everyMs: 2 });
  expect(received.map(({ kind, bytes }) => [kind, ...bytes])).toEqual([
    ["control", 0xff, 1],
    ["control", 0],
    ["control", 3],
    ["control", 4],
  ]);
  socket.destroy();
  await until("the end to arrive", 5_000, () => told.length === 3, { everyMs: 2 });
  expect(told).toEqual(["connected", "reset", "gone"]);
});

test("a port that is taken", async () => {
  await using server = await startCodecServer({ execute: () => [] });
  await expect(startCodecServer({ port: server.port, execute: () => [] })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
});
