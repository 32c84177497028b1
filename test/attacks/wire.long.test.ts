import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { call, connectClients, refusal } from "../../bmc-service/fixture/clients.ts";
import { EnrollingAgent, machineOf, uuid2 } from "../../bmc-service/fixture/enrolling.ts";
import { defaultLimits, type Limits } from "../../bmc-service/rpc/limits.ts";
import { makeAuthority } from "../../outband-client/service/fixture/pki.ts";
import { type AttackedSite, attackedSite } from "./site.ts";

let shared: AttackedSite;
let site: AttackedSite;
let before: string;

beforeAll(async () => {
  shared = await attackedSite();
});
afterAll(() => shared[Symbol.asyncDispose]());

/** One of its own only for other limits. */
async function start(limits?: Partial<Limits>): Promise<void> {
  site = limits === undefined ? shared : await attackedSite({ limits: { ...defaultLimits, ...limits } });
  before = await site.state();
  site.attacks();
}

afterEach(async () => {
  if (site !== shared) await site[Symbol.asyncDispose]();
});

/** Each call tells all attacks that were logged since the first. */
function attacksFromNow(): () => unknown[] {
  const logged: unknown[] = [];
  return () => {
    logged.push(...site.attacks());
    return logged;
  };
}

/** It is in the log, and the service serves others as before. */
async function isHarmless(attack: string, more: object = {}): Promise<void> {
  await expect.poll(attacksFromNow()).toContainEqual(expect.objectContaining({ attack, from: "127.0.0.1", ...more }));
  expect(await site.state()).toBe(before);
  const machine = await site.machine(uuid2);
  await machine.beginWith((await site.token(uuid2)).text);
}

const port = () => site.service.running.port;
const tlsOptions = () => ({
  host: "127.0.0.1",
  servername: "localhost",
  port: port(),
  ca: readFileSync(join(site.pki, "ca.pem")),
  cert: readFileSync(join(site.pki, "agent.pem")),
  key: readFileSync(join(site.pki, "agent.key")),
  ALPNProtocols: ["h2"],
});

/** Resolves when the connection has ended, with what ended it. */
function ended(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let reason = "closed";
  socket.on("error", (error: NodeJS.ErrnoException) => (reason = error.code ?? error.message));
  socket.on("close", () => resolve(reason));
  socket.resume();
  return promise;
}

/** A verified connection on which raw bytes can be sent. */
async function rawConnection(): Promise<TLSSocket> {
  const socket = connectTls(tlsOptions());
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  return socket;
}

const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from("000000040000000000", "hex"),
]);

describe("a downgrade", () => {
  test("to TLS 1.2 fails in the handshake", async () => {
    await start();
    const socket = connectTls({ ...tlsOptions(), maxVersion: "TLSv1.2" });
    expect(await ended(socket)).toMatch(/PROTOCOL_VERSION/);
    await isHarmless("no TLS");
  });

  test("to plaintext is answered by nothing but an alert", async () => {
    await start();
    const socket = connectTcp(port(), "127.0.0.1");
    const said: Buffer[] = [];
    socket.on("data", (data) => said.push(Buffer.from(data)));
    socket.write(preface);
    await ended(socket);
    // RFC 8446 section 5.1: 21 is an alert.
    expect(Buffer.concat(said)[0] ?? 21).toBe(21);
    await isHarmless("no TLS");
  });
});

test("a certificate of another authority is looked at, and refused", async () => {
  await start();
  const stranger = await (await makeAuthority("site CA")).client("admin");
  expect(await ended(connectTls({ ...tlsOptions(), ...stranger }))).toMatch(/closed|ECONNRESET/);
  await isHarmless("client certificate", { reason: expect.stringMatching(/^[A-Z_]+$/) });
});

test("who does not finish the handshake is not waited for", async () => {
  await start({ requestMs: 100 });
  const socket = connectTcp(port(), "127.0.0.1");
  // The head of a ClientHello, a byte at a time, would go on for ever.
  const drip = setInterval(() => socket.write(Buffer.of(0x16)), 20);
  await ended(socket);
  clearInterval(drip);
  await isHarmless("no TLS");
});

describe("bytes that are no call", () => {
  test.each([
    ["no HTTP/2", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["zeros", Buffer.alloc(100_000)],
    ["a frame of 16 MB", Buffer.concat([preface, Buffer.from("ffffff000100000001", "hex")])],
    ["a frame for no stream", Buffer.concat([preface, Buffer.from("000004000000000000", "hex"), Buffer.alloc(4)])],
    [
      "headers that are no HPACK",
      Buffer.concat([preface, Buffer.from("00000401040000000180808080", "hex").fill(0xff, 9)]),
    ],
  ])("%s: the connection ends", async (_what, bytes) => {
    await start();
    const socket = await rawConnection();
    const end = ended(socket);
    socket.write(bytes);
    await end;
    await isHarmless("connection without call");
  });
});

describe("a call that is none", () => {
  async function post(headers: object, body: Buffer | undefined) {
    const session = connectHttp2(`https://localhost:${port()}`, { ...tlsOptions() });
    session.on("error", () => undefined);
    const path = "/metalstack.bmc.v1.EnrolmentService/Begin";
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
    const said: Record<string, unknown> = {};
    stream.on("response", (answer) => Object.assign(said, answer));
    stream.on("trailers", (answer) => Object.assign(said, answer));
    stream.on("error", () => undefined);
    stream.on("close", () => resolve(said));
    stream.resume();
    if (body === undefined) stream.write(Buffer.from("0000", "hex"));
    else stream.end(body);
    const answer = await promise;
    session.destroy();
    return answer;
  }

  test("of another content type", async () => {
    await start();
    expect(await post({ "content-type": "application/json" }, Buffer.from("{}"))).toMatchObject({
      ":status": constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE,
    });
    await isHarmless("connection without call");
  });

  test("with a request that is no protocol buffer", async () => {
    await start();
    const garbage = Buffer.from("00000000080affffffffffffff", "hex");
    expect(await post({}, garbage)).toMatchObject({ "grpc-status": "13" });
    await isHarmless("unreadable request", { rpc: "/metalstack.bmc.v1.EnrolmentService/Begin" });
  });

  test("that says it is larger than it may be", async () => {
    await start();
    const message = Buffer.alloc(15);
    message.writeUInt32BE(0x7fffffff, 1);
    expect(await post({}, message)).toMatchObject({ "grpc-status": "8" });
    await isHarmless("unreadable request");
  });

  test("that unfolds to more than it may be", async () => {
    await start();
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const message = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), bomb]);
    message.writeUInt32BE(bomb.length, 1);
    expect(await post({ "grpc-encoding": "gzip" }, message)).toMatchObject({ "grpc-status": "8" });
    await isHarmless("unreadable request");
  });

  test("whose second half never comes is ended, with its connection", async () => {
    await start({ requestMs: 100 });
    await post({}, undefined);
    await isHarmless("unreadable request");
  });
});

test("calls of nobody that say nothing have few lines in the log, are counted, and hide nothing else", async () => {
  await start();
  const counted = async () => {
    const found = /^bmc_service_attacks_total\{attack="stranger"\} (\d+)$/m.exec(await site.service.metrics());
    return Number(found?.[1] ?? 0);
  };
  const countedBefore = await counted();
  using nobody = connectClients(port(), site.pki, undefined);
  const nothing = { machine: undefined, bootId: "", agentVersion: "" };
  const empty = { ...nothing, enrolmentToken: Buffer.alloc(0), certificateRequest: Buffer.alloc(0) };
  for (let i = 0; i < 100; i += 1) await refusal(call(nobody.enrolment, nobody.enrolment.begin, empty));
  const { enrolment } = site.service.agent;
  await refusal(call(enrolment, enrolment.begin, empty));
  expect((await counted()) - countedBefore).toBe(100);
  const lines = site.service.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "call refused");
  expect(lines.filter(({ attack }) => attack === "stranger").length).toBeLessThanOrEqual(60);
  expect(lines.at(-1)).toMatchObject({ role: "agent", details: "machine: it is missing" });
  await isHarmless("stranger", { rpc: "EnrolmentService/Begin", details: "machine: it is missing" });
});

test("a message that is too large is refused, whoever sends it", async () => {
  await start();
  const { enrolment } = site.service.agent;
  const request = { machine: machineOf("x".repeat(300_000)), bootId: "b", agentVersion: "v" };
  const none = { enrolmentToken: Buffer.alloc(0), certificateRequest: Buffer.alloc(0) };
  expect(await refusal(call(enrolment, enrolment.begin, { ...request, ...none }))).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
  });
  await isHarmless("unreadable request");
});

describe("connections that do nothing", () => {
  /** Opens them, and leaves them as they are. */
  function openMany(count: number) {
    const sockets = Array.from({ length: count }, () => connectTcp(port(), "127.0.0.1"));
    const ends = sockets.map(ended);
    return {
      ends,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        await Promise.all(ends);
      },
    };
  }

  /** Keeps so many open from each address: who is ended comes again. */
  function floodFrom(addresses: readonly string[], count: number) {
    const sockets = new Set<Socket>();
    const stop = new AbortController();
    const open = (localAddress: string) => {
      if (stop.signal.aborted) return;
      const socket = connectTcp({ port: port(), host: "127.0.0.1", localAddress });
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        setTimeout(() => open(localAddress), 50).unref();
      });
    };
    for (const address of addresses) for (let i = 0; i < count; i += 1) open(address);
    return {
      async [Symbol.asyncDispose]() {
        stop.abort();
        for (const socket of sockets) socket.destroy();
      },
    };
  }

  test("are counted, and those that are too many refused", async () => {
    await start({ connectionsPerAddress: 12 });
    {
      // Half of the places are theirs, and some get as far as the handshake; the site has one already.
      await using idle = openMany(400);
      await Promise.race(idle.ends);
      await expect.poll(attacksFromNow()).toContainEqual(expect.objectContaining({ attack: "flood", fromThere: 7 }));
    }
    await isHarmless("connection without call");
  });

  test("keep no operator and no machine out, not even behind the same address", async () => {
    await start({ connections: 10, connectionsPerAddress: 10 });
    await using _idle = openMany(40);
    for (const role of ["viewer", "operator", "admin"] as const) {
      using clients = connectClients(port(), site.pki, role);
      expect((await call(clients.bmc, clients.bmc.listBmcs, {})).bmcs).toHaveLength(1);
    }
    using agent = connectClients(port(), site.pki, "agent");
    await new EnrollingAgent(agent).begin(uuid2);
  });

  test("keep no operator and no machine out while they come from five addresses, again as soon as they are ended", async () => {
    await start({ connections: 40, connectionsPerAddress: 10 });
    await using _flood = floodFrom(["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"], 100);
    for (let i = 0; i < 6; i += 1) {
      using clients = connectClients(port(), site.pki, i % 2 === 0 ? "agent" : "operator");
      if (i % 2 === 0) await new EnrollingAgent(clients).begin(uuid2.replace(/..$/, `e${i}`));
      else await call(clients.bmc, clients.bmc.listBmcs, {});
    }
  });

  test("are ended: before and after the handshake, with and without certificate", async () => {
    await start({ firstCallMs: 300 });
    const { cert: _cert, key: _key, ...stranger } = tlsOptions();
    const sockets = [connectTcp(port(), "127.0.0.1"), connectTls(tlsOptions()), connectTls(stranger)];
    await Promise.all(sockets.map(ended));
    await isHarmless("connection without call", { msg: "connection ended: no call came" });
  });

  test("any more are ended", async () => {
    await start({ idleMs: 300 });
    const session = connectHttp2(`https://localhost:${port()}`, tlsOptions());
    await unaryCall(session);
    await new Promise((resolve) => session.once("close", resolve));
  });

  test("of a stranger are ended, though it calls now and then", async () => {
    await start({ strangerMs: 600 });
    const { cert: _cert, key: _key, ...stranger } = tlsOptions();
    const session = connectHttp2(`https://localhost:${port()}`, stranger);
    const closed = new Promise((resolve) => session.once("close", resolve));
    session.on("error", () => undefined);
    for (let i = 0; i < 3; i += 1) await unaryCall(session);
    await closed;
    await isHarmless("stranger", { msg: expect.stringContaining("no certificate") });
  });
});

/** A Begin that says nothing, to its refusal. */
async function unaryCall(session: ClientHttp2Session): Promise<void> {
  const stream = session.request({
    ":method": "POST",
    ":path": "/metalstack.bmc.v1.EnrolmentService/Begin",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  stream.end(Buffer.alloc(5));
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
}

describe("frames that ask for nothing but an answer", () => {
  const ping = Buffer.from("0000080600000000000102030405060708", "hex");
  const settings = Buffer.from("000000040000000000", "hex");
  const emptyData = Buffer.from("000000000000000001", "hex");

  test.each([
    ["pings", ping],
    ["settings", settings],
    ["data of no stream", emptyData],
  ])("%s without end: the connection is ended", async (_what, frame) => {
    await start();
    const socket = await rawConnection();
    const end = ended(socket);
    socket.write(preface);
    const many = Buffer.concat(Array.from({ length: 4_000 }, () => frame));
    const more = () => {
      while (!socket.destroyed && socket.write(many));
    };
    socket.on("drain", more);
    more();
    await end;
    await isHarmless("connection without call");
  });

  test("pings without end, so many at a time that each is answered: the connection is ended", async () => {
    await start({ bytesBesideCalls: 100_000 });
    const socket = await rawConnection();
    const end = ended(socket);
    socket.write(preface);
    const some = Buffer.concat(Array.from({ length: 100 }, () => ping));
    while (!socket.destroyed) {
      socket.write(some);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await end;
    await isHarmless("flood", { msg: expect.stringContaining("too many bytes that are no call") });
  });

  test("calls that are begun and cancelled at once, without end: the connection is ended", async () => {
    await start();
    const session = connectHttp2(`https://localhost:${port()}`, tlsOptions());
    let isClosed = false;
    const closed = new Promise<void>((resolve) => session.once("close", resolve)).then(() => (isClosed = true));
    session.on("error", () => undefined);
    let begun = 0;
    while (!isClosed && begun < 100_000) {
      for (let i = 0; i < 50 && !session.destroyed && !session.closed; i += 1) {
        begun += 1;
        const stream = session.request({
          ":method": "POST",
          ":path": "/metalstack.bmc.v1.EnrolmentService/Begin",
          "content-type": "application/grpc",
          te: "trailers",
        });
        stream.on("error", () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(begun).toBeLessThan(100_000);
    await closed;
    const { bmc: client } = site.service.operator;
    expect((await call(client, client.listBmcs, {})).bmcs).not.toHaveLength(0);
  });
});

test("a token that opens nothing any more is held back like one that is made up", async () => {
  await start({ wrongTokensPerMinute: 2 });
  const { text, id } = await site.token(uuid2);
  const { bmc: client } = site.service.operator;
  await call(client, client.revokeToken, { id });
  const machine = await site.machine(uuid2);
  const codes: string[] = [];
  for (let i = 0; i < 3; i += 1) codes.push((await refusal(machine.beginWith(text))).code);
  expect(codes).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"]);
  // Others from the same address go on.
  await machine.beginWith((await site.token(uuid2)).text);
  expect(site.attacks().map(({ attack }) => attack)).toEqual(["enrolment token", "enrolment token", "flood"]);
});

test("begins of one machine that come too often are told when to try again", async () => {
  await start({ beginsPerMinute: 3 });
  using clients = connectClients(port(), site.pki, "agent");
  const agent = new EnrollingAgent(clients);
  for (let i = 0; i < 3; i += 1) await agent.begin(uuid2);
  expect(await refusal(agent.begin(uuid2))).toEqual({
    code: "RESOURCE_EXHAUSTED",
    details: `machine ${uuid2} begins too often; try again in 20 s`,
  });
  await agent.begin("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03");
  expect(site.attacks()).toMatchObject([{ attack: "flood", code: "RESOURCE_EXHAUSTED", machine: uuid2 }]);
});
