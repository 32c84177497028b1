import { expect, test } from "vitest";
import { send } from "../../ipmi/command.ts";
import { getDeviceId } from "../../ipmi/commands/index.ts";
import { connectLan, type LanOptions } from "../../outband-client/lan/index.ts";
import { deliver } from "./delivery.ts";
import { FaultyLink } from "./faulty-link.ts";
import { LanServer, type LanServerOptions, type LanUser } from "./lan-server.ts";

const admin: LanUser = { name: "root", password: "sixteen-letters!" };
const never = new AbortController().signal;

function world(options: Partial<LanServerOptions> = {}) {
  const server = new LanServer({
    users: [admin, { name: "reader", password: "reader", limit: 2 }],
    handle: () => ({ completionCode: 0, data: new Uint8Array(16) }),
    ...options,
  });
  const connect = (login: Partial<LanOptions> = {}) =>
    connectLan({
      host: "bmc.test",
      user: "root",
      password: Buffer.from("sixteen-letters!"),
      timeouts: { handshakeMs: [25], cipherSuitesMs: 25, requestMs: [25], keepAliveMs: 0, closeMs: 25, loginMs: 5000 },
      signal: never,
      datagram: new FaultyLink(server),
      ...login,
    });
  return { server, connect };
}

test.each([
  ["user", 2],
  ["operator", 3],
  ["administrator", 4],
] as const)("a command is handled at the level of its session: %s", async (privilege, level) => {
  const seen: number[] = [];
  const { connect } = world({
    handle: (_message, at) => {
      seen.push(at);
      return { completionCode: 0, data: new Uint8Array(16) };
    },
  });
  await using session = await connect({ privilege });
  await send(session, getDeviceId, {}, never);
  expect(seen).toEqual([level]);
});

test("users that change are asked for at every login", async () => {
  let users: LanUser[] = [];
  const { connect } = world({ users: (wanted) => users.find(({ name }) => name === wanted) });
  await expect(connect()).rejects.toMatchObject({ status: "unknown user" });
  // A password of 16 bytes as a BMC stores it: filled up to 20.
  users = [{ ...admin, password: Buffer.concat([Buffer.from("sixteen-letters!"), Buffer.alloc(4)]) }];
  await using session = await connect();
  expect(session.cipherSuite).toBe(17);
});

test("a session that is silent for too long is closed, one that is used is not", async () => {
  let ms = 0;
  const { connect, server } = world({ now: () => ms, sessionTimeoutMs: 60_000 });
  await using used = await connect();
  await using _silent = await connect();
  ms = 50_000;
  await send(used, getDeviceId, {}, never);
  expect(server.sessionCount).toBe(2);
  ms = 60_001;
  await send(used, getDeviceId, {}, never);
  expect(server.sessionCount).toBe(1);
});

test("all answers go out, each with its delay", async () => {
  const reply = { completionCode: 0, data: new Uint8Array(16) };
  const { connect, server } = world({
    handle: (message) => [...deliver(message, reply, {}), ...deliver(message, reply, { delayMs: 40 })],
  });
  await using session = await connect();
  const delays: number[] = [];
  const answers = server.answers.bind(server);
  server.answers = (datagram) => {
    const all = answers(datagram);
    delays.push(...all.map(({ delayMs }) => delayMs));
    return all;
  };
  await send(session, getDeviceId, {}, never);
  expect(delays).toEqual([0, 40]);
});
