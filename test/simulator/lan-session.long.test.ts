import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { send } from "../../ipmi/command.ts";
import { chassisControl, getDeviceId, getSystemGuid } from "../../ipmi/commands/index.ts";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply } from "../../ipmi/transport.ts";
import { suite3, suite17 } from "../../outband-client/lan/cipher-suite.ts";
import {
  connectLan,
  type LanOptions,
  type LanSession,
  ping,
  SessionError,
  type SessionStatus,
  sessionless,
} from "../../outband-client/lan/index.ts";
import { encodeRefused } from "../../outband-client/lan/open-session.ts";
import { encodePacket20 } from "../../outband-client/lan/packet.ts";
import { damaged, type Fault, FaultyLink, losing } from "./faulty-link.ts";
import { LanServer, type LanServerOptions, listenOnLoopback } from "./lan-server.ts";

const deviceId = Uint8Array.of(0x20, 1, 9, 8, 2, 0xbf, 0x91, 0x12, 0, 2, 15);
const password20 = "Twenty-byte-passw0rd";

function handle(message: Message): Reply {
  if (message.netFn === 6 && message.cmd === getDeviceId.cmd) return { completionCode: 0, data: deviceId };
  if (message.netFn === 0 && message.cmd === 2) return { completionCode: 0, data: new Uint8Array(0) };
  return { completionCode: 0xc1, data: new Uint8Array(0) };
}

const users = [
  { name: "root", password: "sixteen-letters!" },
  { name: "long", password: password20 },
  { name: "low", password: "low", limit: 2 },
  { name: "off", password: "off", enabled: false },
  { name: "", password: "nobody" },
  { name: "open", password: "" },
];

const shortTimeouts = {
  handshakeMs: [25, 25, 25],
  cipherSuitesMs: 25,
  requestMs: [25, 25, 25],
  keepAliveMs: 0,
  closeMs: 25,
  loginMs: 5000,
};

function world(options: Partial<LanServerOptions> = {}) {
  const server = new LanServer({ users, handle, ...options });
  const link = new FaultyLink(server);
  const connect = (login: Partial<LanOptions> = {}): Promise<LanSession> =>
    connectLan({
      host: "bmc.test",
      user: "root",
      password: Buffer.from("sixteen-letters!"),
      timeouts: shortTimeouts,
      signal: new AbortController().signal,
      datagram: link,
      ...login,
    });
  return { server, link, connect };
}

async function failure<T>(work: Promise<T>): Promise<Error> {
  return work.then(
    () => expect.unreachable("it should have failed"),
    (error) => error as Error,
  );
}

async function status(work: Promise<unknown>): Promise<SessionStatus> {
  const error = await failure(work);
  if (!(error instanceof SessionError)) throw error;
  return error.status;
}

const never = new AbortController().signal;
const ask = (session: LanSession) => send(session, getDeviceId, {}, never);

describe("cipher suites", () => {
  it.each([
    ["the best of both", {}, 17],
    ["3 when the BMC has only that", { suites: [suite3] }, 3],
    ["17 when the BMC has only that", { suites: [suite17] }, 17],
    ["17 when the BMC does not answer Get Channel Cipher Suites", { listedSuites: "silent" }, 17],
    ["the listed one first", { listedSuites: [suite3] }, 3],
    ["an unlisted one when the listed one is refused", { suites: [suite3], listedSuites: [suite17] }, 3],
    ["3 when the BMC keeps silent on 17", { suites: [suite3], listedSuites: "silent", silentOnUnknownSuite: true }, 3],
  ] satisfies [string, Partial<LanServerOptions>, number][])("%s", async (_title, options, expected) => {
    const { connect } = world(options);
    await using session = await connect();
    expect(session.cipherSuite).toBe(expected);
    expect(await ask(session)).toMatchObject({ manufacturerId: 0x1291 });
  });

  it.each([0x01, 0x09, 0x0a, 0x12, 0x55])("3 when the BMC refuses 17 with status %d", async (unknownSuiteStatus) => {
    const { connect } = world({ suites: [suite3], listedSuites: "silent", unknownSuiteStatus });
    await using session = await connect();
    expect(session.cipherSuite).toBe(3);
  });

  it("a full BMC that refuses 17 with a status of its own: what it says to 3 counts", async () => {
    const { connect } = world({ suites: [suite3], listedSuites: "silent", unknownSuiteStatus: 0x12, maxSessions: 0 });
    expect(await status(connect())).toBe("no free session");
  });

  it("none in common", async () => {
    expect(await status(world({ suites: [suite3] }).connect({ cipherSuites: [17] }))).toBe("no cipher suite in common");
  });

  it("one that the caller does not allow is not taken, though the BMC would", async () => {
    await using session = await world().connect({ cipherSuites: [3] });
    expect(session.cipherSuite).toBe(3);
  });
});

describe.each([3, 17] as const)("who may log in, suite %d", (suite) => {
  const only = { cipherSuites: [suite] };
  it.each([
    ["wrong password", { password: Buffer.from("wrong") }],
    ["unknown user", { user: "nobody" }],
    ["unknown user", { user: "off", password: Buffer.from("off") }],
    ["insufficient privilege", { user: "low", password: Buffer.from("low") }],
    ["wrong K_g", { kg: Buffer.from("a key that is not there").subarray(0, 20) }],
  ] satisfies [SessionStatus, Partial<LanOptions>][])("%s: %o", async (expected, login) => {
    const { connect, server, link } = world();
    expect(await status(connect({ ...only, ...login }))).toBe(expected);
    expect(link.closed).toBe(true);
    // A BMC has few sessions: only the one whose K_G is wrong is left, because the BMC takes it for open.
    expect(server.sessionCount).toBe(expected === "wrong K_g" ? 1 : 0);
  });

  it("a limit that shows only when the session is raised", async () => {
    const { connect, server } = world({ lateLimit: true });
    expect(await status(connect({ ...only, user: "low", password: Buffer.from("low") }))).toBe(
      "insufficient privilege",
    );
    expect(server.sessionCount).toBe(0);
  });

  it("a disabled user of OpenBMC: invalid role, and the message names what else it can be", async () => {
    const { connect, link } = world();
    link.fromBmc = (datagram) => {
      if (datagram[5] !== 0x13) return [datagram];
      return [encodePacket20("rakp2", encodeRefused({ tag: datagram[16] ?? 0, refusal: 0x09 }, 0))];
    };
    const error = await failure(connect(only));
    expect(error).toMatchObject({ status: "insufficient privilege" });
    expect(error.message).toContain("is disabled");
  });

  it("a lower level than asked for, answered with 00h", async () => {
    const { connect, server } = world({ raisesTo: 2 });
    expect(await status(connect(only))).toBe("insufficient privilege");
    expect(server.sessionCount).toBe(0);
    await using session = await world({ raisesTo: 0 }).connect(only);
    expect(session.privilege).toBe("administrator");
  });

  it("a BMC that computes its codes with the privilege of Open Session", async () => {
    const { connect, link } = world({ codesWithOpenSessionPrivilege: true });
    await using session = await connect(only);
    expect(await ask(session)).toMatchObject({ deviceId: 0x20 });
    expect(link.sent.filter((each) => each[5] === 0x10)).toHaveLength(2);
    const other = world({ codesWithOpenSessionPrivilege: true });
    expect(await status(other.connect({ ...only, password: Buffer.from("wrong") }))).toBe("wrong password");
    // A wrong password is not tried a second time: it counts towards a lock-out.
    expect(other.link.sent.filter((each) => each[5] === 0x12)).toHaveLength(1);
  });

  it("with a lower privilege", async () => {
    await using session = await world().connect({
      ...only,
      user: "low",
      password: Buffer.from("low"),
      privilege: "user",
    });
    expect(session.privilege).toBe("user");
  });

  it("a password of 20 bytes; its first 16 are not enough", async () => {
    const { connect } = world();
    const long = Buffer.from(password20);
    await using session = await connect({ ...only, user: "long", password: long });
    expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
    expect(await status(world().connect({ ...only, user: "long", password: long.subarray(0, 16) }))).toBe(
      "wrong password",
    );
  });

  it("a password filled up with zeros is the same password", async () => {
    const padded = Buffer.concat([Buffer.from("sixteen-letters!"), Buffer.alloc(4)]);
    await using session = await world().connect({ ...only, password: padded });
    expect(session.cipherSuite).toBe(suite);
  });

  it("K_g of 20 bytes: needed, and right or wrong", async () => {
    const kg = "twenty bytes of K_g.";
    await using session = await world({ kg }).connect({ ...only, kg: Buffer.from(kg) });
    expect(await ask(session)).toMatchObject({ deviceId: 0x20 });
    expect(await status(world({ kg }).connect(only))).toBe("wrong K_g");
  });

  it("found by name and privilege: only the one with just that limit", async () => {
    const low = { ...only, user: "low", password: Buffer.from("low"), lookup: "name and privilege" } as const;
    await using session = await world().connect({ ...low, privilege: "user" });
    expect(session.privilege).toBe("user");
    expect(await status(world().connect({ ...low, privilege: "operator" }))).toBe("unknown user");
  });

  it("an empty password", async () => {
    await using session = await world().connect({ ...only, user: "open", password: new Uint8Array(0) });
    expect(session.cipherSuite).toBe(suite);
  });

  it("the null user", async () => {
    await using session = await world().connect({ ...only, user: "", password: Buffer.from("nobody") });
    expect(session.cipherSuite).toBe(suite);
  });
});

describe("a login that cannot begin", () => {
  it("no free session, until one is closed", async () => {
    const server = new LanServer({ users, handle, maxSessions: 1 });
    const connect = (link: FaultyLink) => world().connect({ datagram: link });
    const first = await connect(new FaultyLink(server));
    expect(await status(connect(new FaultyLink(server)))).toBe("no free session");
    await first[Symbol.asyncDispose]();
    await using second = await connect(new FaultyLink(server));
    expect(await ask(second)).toMatchObject({ deviceId: 0x20 });
  });

  it("nobody there: no answer, within the limit", async () => {
    const { connect, link } = world();
    link.toBmc = () => [];
    const error = await failure(connect());
    expect(error).toMatchObject({ name: "SessionError", status: "no answer", bmc: "lan:bmc.test:623" });
    expect(link.sent).toHaveLength(3);
    expect(link.closed).toBe(true);
  });

  it("one suite is refused and the other one's question lost: no answer, not a refusal", async () => {
    const { connect, link } = world({ suites: [suite3], listedSuites: "silent" });
    // Byte 28 is the authentication algorithm: 1 is suite 3's.
    link.toBmc = (datagram) => (datagram[5] === 0x10 && datagram[28] === 1 ? [] : [datagram]);
    const error = await failure(connect());
    expect(error).toMatchObject({ status: "no answer" });
    expect(error.message).toContain("cipher suite 3");
  });

  it("silence after Open Session says which message was not answered", async () => {
    const { connect, link } = world();
    link.fromBmc = (datagram) => (datagram[5] === 0x13 ? [] : [datagram]);
    const error = await failure(connect());
    expect(error).toMatchObject({ status: "no answer" });
    expect(error.message).toContain("RAKP Message 1");
  });

  it("the limit of the whole login holds, whatever the waits are", async () => {
    const { connect, link } = world();
    link.toBmc = () => [];
    const error = await failure(connect({ timeouts: { ...shortTimeouts, handshakeMs: [60_000], loginMs: 30 } }));
    expect(error).toMatchObject({ status: "no answer" });
    expect(error.message).toContain("0.03 s");
  });

  it("the caller's signal ends it, and is not taken for a fact about the BMC", async () => {
    const { connect, link } = world();
    link.toBmc = () => [];
    const reason = new Error("enough");
    const controller = new AbortController();
    const waiting = failure(
      connect({ signal: controller.signal, timeouts: { ...shortTimeouts, handshakeMs: [60_000] } }),
    );
    controller.abort(reason);
    expect(await waiting).toMatchObject({ name: "TransportError", cause: reason });
    expect(link.closed).toBe(true);
  });

  it.each([
    ["user name", { user: "seventeen letters" }],
    ["user name", { user: "ж" }],
    ["password", { password: Buffer.alloc(21, 1) }],
    ["K_G", { kg: Buffer.alloc(21, 1) }],
  ])("a %s that does not fit is refused before anything is sent", async (field, login) => {
    const { connect, link } = world();
    expect(await failure(connect(login))).toMatchObject({ name: "EncodeError", field });
    expect(link.sent).toHaveLength(0);
  });
});

describe("a bad network", () => {
  // 0 capabilities, 1 cipher suites, 2 open session, 3 RAKP 1, 4 RAKP 3, 5 Set Session Privilege Level, 6 Get Device ID.
  it.each([0, 1, 2, 3, 4, 5, 6])("question %d lost", async (lost) => {
    const { connect, link } = world();
    link.toBmc = losing(lost);
    await using session = await connect();
    expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
    expect(link.sent).toHaveLength(lost === 1 ? 7 : 8);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])("answer %d lost", async (lost) => {
    const { connect, link } = world();
    link.fromBmc = losing(lost);
    await using session = await connect();
    expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
  });

  it("everything comes twice", async () => {
    const { connect, link, server } = world();
    const twice: Fault = (datagram) => [datagram, datagram];
    // RAKP messages that come twice make this BMC choose a new random number, as real ones do: only answers are doubled.
    link.fromBmc = twice;
    await using session = await connect();
    link.toBmc = twice;
    for (let i = 0; i < 5; i += 1) expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
    expect(server.executed.filter((each) => each.cmd === getDeviceId.cmd)).toHaveLength(5);
  });

  it("a late answer is not taken for the next one's", async () => {
    let asked = 0;
    const { connect, link } = world({
      handle: () => {
        asked += 1;
        return { completionCode: 0, data: Uint8Array.of(asked, ...deviceId.subarray(1)) };
      },
    });
    await using session = await connect();
    const late: Uint8Array[] = [];
    link.fromBmc = (datagram) => {
      late.push(datagram);
      return [];
    };
    await failure(ask(session));
    expect(late).toHaveLength(3);
    link.fromBmc = (datagram) => [...late, datagram];
    expect(await ask(session)).toMatchObject({ deviceId: 4 });
  });

  it.each([
    ["RAKP Message 2", 0x13],
    ["RAKP Message 4", 0x15],
  ])("%s lost as often as it is waited for: the login begins once more", async (_name, payloadType) => {
    const { connect, link } = world();
    let lost = 0;
    link.fromBmc = (datagram) => {
      if (datagram[5] !== payloadType || lost === 3) return [datagram];
      lost += 1;
      return [];
    };
    await using session = await connect();
    expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
    expect(link.sent.filter((each) => each[5] === 0x10)).toHaveLength(2);
  });

  it("a BMC that has forgotten the half-open session: the login begins once more", async () => {
    const { connect, link } = world();
    let forgotten = false;
    link.fromBmc = (datagram) => {
      if (datagram[5] !== 0x13 || forgotten) return [datagram];
      forgotten = true;
      const refusal = encodeRefused({ tag: datagram[16] ?? 0, refusal: 0x02 }, 0);
      return [encodePacket20("rakp2", refusal)];
    };
    await using session = await connect();
    expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
  });

  it("an answer with an old session sequence number is a replay and dropped", async () => {
    const { connect, link } = world();
    await using session = await connect();
    let recorded: Uint8Array | undefined;
    link.fromBmc = (datagram) => {
      recorded ??= datagram;
      return [datagram];
    };
    await ask(session);
    // 64 requests later the request sequence number is the same again.
    for (let i = 0; i < 63; i += 1) await ask(session);
    link.fromBmc = () => (recorded === undefined ? [] : [recorded]);
    expect(await failure(ask(session))).toMatchObject({ name: "TransportError", sent: "unknown" });
  });

  it.each([
    ["its authentication code", -1],
    ["its encrypted payload", 35],
    ["its session id", 7],
    ["its sequence number", 10],
    ["its payload type", 5],
  ])("an answer damaged in %s is dropped, and the repetition is taken", async (_where, at) => {
    const { connect, link } = world();
    await using session = await connect();
    let first = true;
    link.fromBmc = (datagram) => {
      const arrived = first ? damaged(datagram, at) : datagram;
      first = false;
      return [arrived];
    };
    expect(await ask(session)).toMatchObject({ productId: 0x0f02 });
    expect(link.sent).toHaveLength(8);
  });

  it("an answer that is authenticated but not encrypted, or neither, is dropped", async () => {
    const { connect, link } = world();
    await using session = await connect();
    const plain = Buffer.from("0600ff07060000000000000000000800811c632000010000", "hex");
    link.fromBmc = () => [Uint8Array.from(plain)];
    expect(await failure(ask(session))).toMatchObject({ name: "TransportError" });
  });

  // 16 is the header checksum of a message outside a session, -1 the data checksum.
  it.each([16, -1])("a wrong checksum at %d outside a session is no reason to ask again", async (at) => {
    const { connect, link } = world();
    link.fromBmc = (datagram, index) => [index < 2 ? damaged(datagram, at) : datagram];
    await using session = await connect();
    expect(session.cipherSuite).toBe(17);
    expect(link.sent).toHaveLength(6);
  });

  it("garbage in between does no harm", async () => {
    const { connect, link } = world();
    link.fromBmc = (datagram) => [
      new Uint8Array(0),
      Uint8Array.of(6, 0, 255, 7),
      new Uint8Array(2000).fill(6),
      datagram,
    ];
    await using session = await connect();
    expect(await ask(session)).toMatchObject({ deviceId: 0x20 });
  });
});

describe("commands that must not be executed twice", () => {
  const cycle = (session: LanSession) => send(session, chassisControl, { control: { operation: "powerCycle" } }, never);
  const cycles = (server: LanServer) => server.executed.filter((each) => each.netFn === 0 && each.cmd === 2).length;

  it("when the answer is lost: once, and the caller hears that it is unknown", async () => {
    const { connect, link, server } = world();
    await using session = await connect();
    link.fromBmc = () => [];
    const before = link.sent.length;
    expect(await failure(cycle(session))).toMatchObject({ name: "TransportError", sent: "unknown" });
    expect(link.sent.length - before).toBe(1);
    expect(cycles(server)).toBe(1);
  });

  it("when the question is lost: not at all", async () => {
    const { connect, link, server } = world();
    await using session = await connect();
    link.toBmc = () => [];
    expect(await failure(cycle(session))).toMatchObject({ sent: "unknown" });
    expect(cycles(server)).toBe(0);
  });

  it("a command that nobody declared is treated the same", async () => {
    const { connect, link, server } = world();
    await using session = await connect();
    link.fromBmc = () => [];
    const oem = { netFn: 0x30, lun: 0, cmd: 0x70, data: new Uint8Array(0) };
    expect(await failure(session.exchange(oem, never))).toMatchObject({ sent: "unknown" });
    expect(server.executed.filter((each) => each.netFn === 0x30)).toHaveLength(1);
  });

  it("a repeatable one is sent as often as there are waits, and no more", async () => {
    const { connect, link, server } = world();
    await using session = await connect();
    link.fromBmc = () => [];
    expect(await failure(ask(session))).toMatchObject({ name: "TransportError", sent: "unknown" });
    expect(server.executed.filter((each) => each.cmd === getDeviceId.cmd)).toHaveLength(3);
  });
});

describe("the session's life", () => {
  it("dispose closes it on the BMC, also twice, and afterwards nothing is sent", async () => {
    const { connect, server, link } = world();
    const session = await connect();
    expect(server.sessionCount).toBe(1);
    await Promise.all([session[Symbol.asyncDispose](), session[Symbol.asyncDispose]()]);
    expect(server.sessionCount).toBe(0);
    expect(link.closed).toBe(true);
    expect(await failure(ask(session))).toMatchObject({ name: "TransportError", sent: "no" });
  });

  it("dispose ends in time when the BMC is gone, and ends a request that waits", async () => {
    const { connect, link } = world();
    const session = await connect({ timeouts: { ...shortTimeouts, requestMs: [60_000] } });
    link.toBmc = () => [];
    const before = link.sent.length;
    const waiting = failure(ask(session));
    await expect.poll(() => link.sent.length).toBe(before + 1);
    await session[Symbol.asyncDispose]();
    expect(await waiting).toMatchObject({ name: "TransportError", sent: "unknown" });
  });

  it("requests at the same time take turns", async () => {
    const { connect, server } = world();
    await using session = await connect();
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(session)));
    expect(answers).toHaveLength(10);
    expect(server.executed).toHaveLength(11);
  });

  it("a request whose signal ends before its turn was not sent", async () => {
    const { connect, link, server } = world();
    await using session = await connect();
    link.fromBmc = () => [];
    const first = failure(ask(session));
    const controller = new AbortController();
    const second = failure(send(session, getDeviceId, {}, controller.signal));
    controller.abort(new Error("enough"));
    expect(await second).toMatchObject({ name: "TransportError", sent: "no" });
    await first;
    link.fromBmc = (datagram) => [datagram];
    expect(await ask(session)).toMatchObject({ deviceId: 0x20 });
    // Three times the first, which was not answered, and once the last.
    expect(server.executed.filter((each) => each.cmd === getDeviceId.cmd)).toHaveLength(4);
  });

  it("idle, it is kept alive by Get Device ID; when that fails, it says so", async () => {
    const { connect, link, server } = world();
    await using session = await connect({ timeouts: { ...shortTimeouts, keepAliveMs: 10 } });
    const count = () => server.executed.filter((each) => each.cmd === getDeviceId.cmd).length;
    await expect.poll(count).toBeGreaterThan(1);
    expect(session.keepAlive).toEqual({ intervalMs: 10, failure: undefined });
    link.fromBmc = () => [];
    await expect.poll(() => session.keepAlive.failure).toBeInstanceOf(TransportError);
    link.fromBmc = (datagram) => [datagram];
    await expect.poll(() => session.keepAlive.failure).toBeUndefined();
  });

  it("shows no secret: not itself, not its errors", async () => {
    const { connect } = world({ kg: "the secret K_g" });
    await using session = await connect({ kg: Buffer.from("the secret K_g") });
    const wrong = await failure(connect({ password: Buffer.from("Wrong-Secret") }));
    const shown = [session, wrong].map((each) => inspect(each, { depth: 9, showHidden: true })).join("\n");
    for (const secret of ["sixteen-letters!", "the secret K_g", "Wrong-Secret"]) {
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain(Buffer.from(secret).toString("hex"));
      expect(shown.replaceAll(" ", "")).not.toContain([...Buffer.from(secret)].join(","));
      expect(shown).not.toContain(
        Buffer.from(secret)
          .toString("hex")
          .replaceAll(/(..)(?=.)/g, "$1 "),
      );
    }
  });
});

describe("over UDP", () => {
  it.each([
    ["127.0.0.1", 4],
    ["::1", 6],
    ["localhost", 4],
  ] as const)("%s: ping, GUID without a session, login", async (host, family) => {
    const server = new LanServer({ users, handle });
    await using listening = await listenOnLoopback(server, family);
    const { port } = listening;
    // "localhost" may be ::1 first, where nobody listens: then the refusal is what must be said.
    const there = await import("node:dns/promises").then((dns) => dns.lookup(host));
    if (there.family !== family) {
      expect((await failure(ping(host, never, { port }))).message).toContain("ECONNREFUSED");
      return;
    }
    expect(await ping(host, never, { port })).toMatchObject({ ipmi: true });
    await using outside = await sessionless(host, never, { port });
    expect(outside.name).toBe(family === 6 ? `lan:[::1]:${port}` : `lan:${host}:${port}`);
    await send(outside, getSystemGuid, {}, never);
    const password = Buffer.from("sixteen-letters!");
    await using session = await connectLan({ host, port, user: "root", password, signal: never });
    expect(await ask(session)).toMatchObject({ deviceId: 0x20 });
  });

  it("a refused port is said at once", async () => {
    const listening = await listenOnLoopback(new LanServer({ users, handle }));
    const { port } = listening;
    await listening[Symbol.asyncDispose]();
    const login = { host: "127.0.0.1", port, user: "root", password: Buffer.from("x"), signal: never };
    const error = await failure(connectLan(login));
    expect(error).toMatchObject({ status: "no answer" });
    expect(error.message).toContain("ECONNREFUSED");
  });
});
