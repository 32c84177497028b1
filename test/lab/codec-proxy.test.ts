import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  commandKey,
  commandsOfPrograms,
  countByKind,
  type SeenCommand,
  startCodecProxy,
  writesAmong,
} from "./codec-proxy.ts";
import { connectAsMachine } from "./machine-side.ts";
import { encodeFrame, encodeMessage, FrameReader, parseMessage } from "./vm-codec.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A BMC that answers every command with one completion code and echoes the data. */
async function echoingBmc(completionCode = 0xc1): Promise<number> {
  const server = createServer((socket) => {
    const frames = new FrameReader();
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) {
        const request = frame.kind === "message" ? parseMessage(frame.bytes) : undefined;
        if (request === undefined) continue;
        const data = Uint8Array.of(completionCode, ...request.data);
        socket.write(
          encodeFrame({ kind: "message", bytes: encodeMessage({ ...request, netFn: request.netFn | 1, data }) }),
        );
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const getDeviceId = { netFn: 0x06, lun: 0, cmd: 0x01, data: Uint8Array.of(0xa0, 0xa1, 0xaa) };

describe("codec proxy", () => {
  test("passes commands on, counts them, and notes the completion codes", async () => {
    await using proxy = await startCodecProxy({ bmcPort: await echoingBmc() });
    await using machine = await connectAsMachine(proxy.port);
    const reply = await machine.exchange(getDeviceId, AbortSignal.timeout(5_000));
    expect(reply).toEqual({ completionCode: 0xc1, data: getDeviceId.data });
    expect(countByKind(proxy.seen)).toEqual({ "06/01": 1 });
    expect(proxy.seen[0]?.completionCode).toBe(0xc1);
    proxy.forget();
    expect(proxy.seen).toEqual([]);
  });

  test("makes every command wait", async () => {
    await using proxy = await startCodecProxy({ bmcPort: await echoingBmc(), delayMs: 60 });
    await using machine = await connectAsMachine(proxy.port);
    const start = performance.now();
    await machine.exchange(getDeviceId, AbortSignal.timeout(5_000));
    expect(performance.now() - start).toBeGreaterThanOrEqual(58);
  });
});

test("a BMC can be made to say that it has fewer user IDs", async () => {
  await using proxy = await startCodecProxy({ bmcPort: await echoingBmc(0x00) });
  await using machine = await connectAsMachine(proxy.port);
  const getUserAccess = { netFn: 0x06, lun: 0, cmd: 0x44, data: Uint8Array.of(0x3f, 0x01, 0x00, 0x14) };
  proxy.maxUserIds = 16;
  const reply = await machine.exchange(getUserAccess, AbortSignal.timeout(5_000));
  expect([...reply.data]).toEqual([16, 0x01, 0x00, 0x14]);
});

const seen = (...keys: string[]): SeenCommand[] =>
  keys.map((key) => {
    const [netFn = "", cmd = ""] = key.split("/");
    return {
      netFn: Number.parseInt(netFn, 16),
      cmd: Number.parseInt(cmd, 16),
      atMs: 0,
      completionCode: 0,
      answeredAtMs: 1,
    };
  });
// What Debian's ipmi_si 6.1 sends when it finds ipmi_sim.
const driver = [
  ...["06/01", "06/2f", "06/2f", "06/2e", "06/30", "06/08", "06/35", "06/01"],
  ...Array.from({ length: 17 }, () => "06/42"),
];

describe("commands of one boot", () => {
  test("those of the kernel driver are not those of a program", () => {
    const boot = seen(...driver, "06/01", "06/31", "0c/02", "06/35");
    expect(commandsOfPrograms(boot).map(commandKey)).toEqual(["06/01", "0c/02"]);
  });

  test("a program's own look at some channels is not the driver's scan", () => {
    const boot = seen(...driver, "06/01", "06/42", "06/42", "06/46");
    expect(commandsOfPrograms(boot).map(commandKey)).toEqual(["06/01", "06/42", "06/42", "06/46"]);
  });

  test("a second scan is a program's", () => {
    const scan = Array.from({ length: 16 }, () => "06/42");
    expect(commandsOfPrograms(seen(...driver, "06/01", ...scan, "06/46"))).toHaveLength(18);
    expect(commandsOfPrograms(seen(...driver, "06/01", ...scan, "06/46"), driver.length + 3)).toHaveLength(15);
  });

  test("a driver that meets a BMC without Get Channel Info scans no further", () => {
    const boot = seen("06/01", "06/42", "06/01", "0c/02");
    const refused = boot.map((command) => (command.cmd === 0x42 ? { ...command, completionCode: 0xc1 } : command));
    expect(commandsOfPrograms(refused).map(commandKey)).toEqual(["06/01", "0c/02"]);
  });

  test("without a scan there was no way for a program", () => {
    expect(commandsOfPrograms(seen("06/01", "06/01"))).toEqual([]);
  });

  test("writes are told from reads", () => {
    expect(writesAmong(seen("06/46", "06/47", "06/01", "06/43")).map(commandKey)).toEqual(["06/47", "06/43"]);
  });
});
