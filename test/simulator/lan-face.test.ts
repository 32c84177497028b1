import { describe, expect, test } from "vitest";
import { send } from "../../ipmi/command.ts";
import { getDeviceId, getUserAccess, setUserName } from "../../ipmi/commands/index.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { connectLan, type LanOptions } from "../../outband-client/lan/index.ts";
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

const code = (work: Promise<unknown>) =>
  work.then(
    () => 0,
    (error) => (error instanceof CompletionCodeError ? error.completionCode : String(error)),
  );

describe("what a session may do", () => {
  test.each([
    ["user", 0, 0xd4, 0xd4],
    ["operator", 0, 0, 0xd4],
    ["administrator", 0, 0, 0],
  ] as const)("%s", async (privilege, asUser, asOperator, asAdministrator) => {
    const { connect } = world();
    await using session = await connect({ privilege });
    expect(await code(send(session, getDeviceId, {}, never))).toBe(asUser);
    expect(await code(send(session, getUserAccess, { channelNumber: 1, userId: 2 }, never))).toBe(asOperator);
    expect(await code(send(session, setUserName, { userId: 2, userName: "x" }, never))).toBe(asAdministrator);
  });
});

test("users that change are asked for at every login", async () => {
  let users: LanUser[] = [];
  const { connect } = world({ users: () => users });
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

test("every reply of a command goes out, each with its delay", async () => {
  const reply = { netFn: 7, lun: 0, cmd: 1, completionCode: 0, data: new Uint8Array(16) };
  const { connect, server } = world({
    handle: () => [
      { ...reply, delayMs: 0 },
      { ...reply, delayMs: 40 },
    ],
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
