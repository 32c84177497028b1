import { createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { networkInterfaces } from "node:os";
import { createServer as createTlsServer } from "node:tls";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AbortRequest,
  BeginRequest,
  BeginResponse,
  type EnrolmentServiceServer,
  EnrolmentServiceService,
  WatchHandOffRequest,
  WatchHandOffResponse,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { connectEnrolment, type EnrolmentClient } from "./enrolment.ts";
import { type Authority, type Identity, makeAuthority, validNow } from "./fixture/pki.ts";
import { type LoopbackServer, serve } from "./fixture/server.ts";
import type { ServiceError } from "./service-error.ts";

const forever = new AbortController().signal;
const begin = BeginRequest.fromPartial({ bootId: "b" });
const join = WatchHandOffRequest.fromPartial({});

let authority: Authority;
let stranger: Authority;
let serverIdentity: Identity;
let agent: Identity;
const open: AsyncDisposable[] = [];

beforeAll(async () => {
  authority = await makeAuthority("our CA");
  stranger = await makeAuthority("another CA");
  serverIdentity = await authority.server(["localhost", "127.0.0.1", "::1"]);
  agent = await authority.client("agent");
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});
afterAll(() => expect(open).toEqual([]));

const implementation: Partial<EnrolmentServiceServer> = {
  begin: (_call, answer) => {
    answer(null, BeginResponse.fromPartial({ sessionToken: "token" }));
  },
};

async function start(
  methods: Partial<EnrolmentServiceServer> = implementation,
  { identity = serverIdentity, ca = authority.ca, host = "127.0.0.1", port = 0 } = {},
): Promise<LoopbackServer> {
  const server = await serve(EnrolmentServiceService, methods, ca, identity, { host, port });
  open.push(server);
  return server;
}

function client(
  address: string,
  pem: { ca?: string; cert?: string; key?: string } = agent,
  limits = {},
): EnrolmentClient {
  const made = connectEnrolment({ address, ca: authority.ca, ...pem, ...limits });
  open.push(made);
  return made;
}

async function failure(work: Promise<unknown>): Promise<ServiceError> {
  const error = await work.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: "ServiceError", code: "service" });
  return error;
}

test("without TLS at a service that speaks it: said so, and not in the words of a library", async () => {
  const { port } = await start();
  const made = connectEnrolment({ address: `127.0.0.1:${port}`, plaintext: true });
  open.push(made);
  const error = await failure(made.begin(begin, forever));
  expect(error).toMatchObject({ status: "unavailable", message: expect.stringContaining("does it speak TLS?") });
  expect(error.message).not.toContain("Resolution note");
});

describe("names and addresses", () => {
  // Containers often have no IPv6 at all; there is nothing to listen on then.
  const loopbacks = networkInterfaces().lo ?? [];
  const hasIpv6 = loopbacks.some(({ address }) => address === "::1");
  const ipv6Only = ([shown]: readonly [string, ...unknown[]]) => hasIpv6 || !shown.startsWith("[");

  test.each(
    (
      [
        ["localhost", "127.0.0.1", "localhost"],
        ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
        ["[::1]", "::1", "::1"],
      ] as const
    ).filter(ipv6Only),
  )("%s is reached and verified", async (shown, host, name) => {
    const server = await start(implementation, { host, identity: await authority.server([name]) });
    expect(await client(`${shown}:${server.port}`).begin(begin, forever)).toMatchObject({ sessionToken: "token" });
  });

  test.each(
    (
      [
        ["localhost", "127.0.0.1", ["other.example", "127.0.0.1"]],
        ["127.0.0.1", "127.0.0.1", ["localhost", "10.1.2.3"]],
        // The TLS server name that stands in for an address must not do as a name.
        ["127.0.0.1", "127.0.0.1", ["bmc-service"]],
        ["[::1]", "::1", ["localhost", "127.0.0.1"]],
      ] as const
    ).filter(ipv6Only),
  )("%s is refused if the certificate is for another", async (shown, host, names) => {
    const server = await start(implementation, { host, identity: await authority.server(names) });
    const error = await failure(client(`${shown}:${server.port}`).begin(begin, forever));
    expect(error.status).toBe("refused");
    expect(error.message).toContain(names[0]);
    expect(error.message).toContain("init-pki --name");
  });
});

const past = { notBefore: new Date("2020-01-01"), notAfter: new Date("2021-01-01") };

describe("certificates", () => {
  test("a service of another CA is refused", async () => {
    const server = await start(implementation, { identity: await stranger.server(["127.0.0.1"]) });
    const error = await failure(client(`127.0.0.1:${server.port}`).begin(begin, forever));
    expect(error.status).toBe("refused");
    expect(error.message).toContain('issued by "CN=another CA", which is not the CA given here ("CN=our CA")');
  });

  test("a service of another CA with our CA's name is refused", async () => {
    const imposter = await makeAuthority("our CA");
    const server = await start(implementation, { identity: await imposter.server(["127.0.0.1"]) });
    const error = await failure(client(`127.0.0.1:${server.port}`).begin(begin, forever));
    expect(error).toMatchObject({ status: "refused", message: expect.stringContaining("the keys differ") });
  });

  test.each([
    ["expired", past, "expired at 2021-01-01"],
    ["not yet valid", { ...validNow(), notBefore: new Date(Date.now() + 3_600_000) }, "set the clock"],
  ])("a service whose certificate is %s is refused", async (_name, validity, text) => {
    const server = await start(implementation, { identity: await authority.server(["127.0.0.1"], validity) });
    const error = await failure(client(`127.0.0.1:${server.port}`).begin(begin, forever));
    expect(error).toMatchObject({ status: "refused", message: expect.stringContaining(text) });
    expect(error.clockFault?.validTo.getTime()).toBe(Math.floor(validity.notAfter.getTime() / 1000) * 1000);
  });

  test.each([
    ["an imposter's", async () => (await makeAuthority("our CA")).server(["127.0.0.1"], past)],
    ["one for another host", () => authority.server(["10.9.9.9"], past)],
  ])("an expired certificate that is also %s is nothing that another time would mend", async (_name, identity) => {
    const server = await start(implementation, { identity: await identity() });
    const error = await failure(client(`127.0.0.1:${server.port}`).begin(begin, forever));
    expect(error).toMatchObject({ status: "refused", clockFault: undefined });
  });

  test("our certificate from another CA is refused by the service", async () => {
    const server = await start();
    const error = await failure(
      client(`127.0.0.1:${server.port}`, await stranger.client("agent")).begin(begin, forever),
    );
    expect(error.status).toBe("refused");
    expect(error.message).toMatch(
      /refused the client certificate "CN=test agent, OU=agent".*issued by "CN=another CA"/,
    );
    expect(error.message).not.toContain("PRIVATE");
  });

  test("our expired certificate is refused by the service", async () => {
    const server = await start();
    const old = await authority.client("agent", {
      notBefore: new Date("2020-01-01"),
      notAfter: new Date("2021-01-01"),
    });
    const error = await failure(client(`127.0.0.1:${server.port}`, old).begin(begin, forever));
    expect(error).toMatchObject({ status: "refused", message: expect.stringContaining("expired at 2021-01-01") });
  });

  test("without a certificate the service refuses", async () => {
    const server = await start();
    const error = await failure(client(`127.0.0.1:${server.port}`, {}).begin(begin, forever));
    expect(error).toMatchObject({ status: "refused", message: expect.stringContaining("none was given") });
  });

  test("a refusal of a stream is told apart as well", async () => {
    const server = await start();
    const stream = client(`127.0.0.1:${server.port}`, await stranger.client("agent")).watchHandOff(join, forever);
    expect((await failure(all(stream))).status).toBe("refused");
  });

  test("a service without TLS 1.3 is refused", async () => {
    const server = createTlsServer({ ...serverIdentity, maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] });
    server.on("tlsClientError", () => {});
    const error = await failure(client(`127.0.0.1:${await listen(server)}`).begin(begin, forever));
    expect(error).toMatchObject({ status: "refused", message: expect.stringContaining("TLS 1.3") });
  });
});

describe("the road", () => {
  test("nobody listens: unavailable", async () => {
    const error = await failure(client(`127.0.0.1:${await freePort()}`).begin(begin, forever));
    expect(error).toMatchObject({ status: "unavailable", answered: false });
    expect(error.message).toContain("connection refused");
  });

  test("an unknown name: unavailable", async () => {
    const error = await failure(client("nobody.invalid:4443").begin(begin, forever));
    expect(error).toMatchObject({ status: "unavailable", message: expect.stringContaining("nobody.invalid:4443") });
  });

  test("somebody without TLS: protocol", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const error = await failure(client(`127.0.0.1:${await listen(server)}`).begin(begin, forever));
    expect(error).toMatchObject({ status: "protocol", message: expect.stringContaining("does not speak TLS") });
  });

  test("somebody who says nothing: unavailable at the limit", async () => {
    const server = createTcpServer((socket) => socket.on("error", () => {}));
    const silentClient = client(`127.0.0.1:${await listen(server)}`, agent, { callLimitMs: 100 });
    expect((await failure(silentClient.begin(begin, forever))).status).toBe("unavailable");
  });

  test("a service that is killed in the middle of a call: unavailable; the next call reaches its successor", async () => {
    let server: LoopbackServer | undefined;
    server = await start({ begin: () => server?.kill() });
    const { port } = server;
    const enrolment = client(`127.0.0.1:${port}`);
    expect((await failure(enrolment.begin(begin, forever))).status).toBe("unavailable");
    await start(implementation, { port });
    expect(await enrolment.begin(begin, forever)).toMatchObject({ sessionToken: "token" });
  });

  test("a service that takes the call and does not answer: deadline", async () => {
    const server = await start({ begin: () => {} });
    const error = await failure(client(`127.0.0.1:${server.port}`, agent, { callLimitMs: 300 }).begin(begin, forever));
    expect(error.status).toBe("deadline");
  });

  test("the caller's signal ends a call with the caller's reason", async () => {
    const server = await start({ begin: () => {} });
    const stop = new AbortController();
    const answer = client(`127.0.0.1:${server.port}`).begin(begin, stop.signal);
    stop.abort(new Error("enough"));
    await expect(answer).rejects.toThrow("enough");
    await expect(client(`127.0.0.1:${server.port}`).begin(begin, stop.signal)).rejects.toThrow("enough");
  });
});

describe("answers", () => {
  test.each([
    [status.UNAVAILABLE, "unavailable"],
    [status.PERMISSION_DENIED, "refused"],
    [status.UNAUTHENTICATED, "unauthenticated"],
    [status.INVALID_ARGUMENT, "invalid"],
    [status.NOT_FOUND, "not found"],
    [status.FAILED_PRECONDITION, "precondition"],
    [status.RESOURCE_EXHAUSTED, "exhausted"],
    [status.ABORTED, "conflict"],
    [status.DATA_LOSS, "damaged"],
    [status.UNKNOWN, "internal"],
    [status.INTERNAL, "internal"],
  ])("status %i is %s, with the service's own words", async (code, expected) => {
    const server = await start({
      begin: (_call, answer) => answer({ code, details: "the\u001b[31m words\n" }),
    });
    const error = await failure(client(`127.0.0.1:${server.port}`).begin(begin, forever));
    expect(error).toMatchObject({ status: expected, answered: true });
    expect(error.message).toBe(`BMC service 127.0.0.1:${server.port}: Begin: the [31m words `);
  });

  test("the caller's own limit is told as that, whoever notices it first", async () => {
    const server = await start({
      begin: (_call, answer) => answer({ code: status.DEADLINE_EXCEEDED, details: "Deadline exceeded" }),
    });
    const late = client(`127.0.0.1:${server.port}`, agent, { callLimitMs: 7_000 });
    const error = await failure(late.begin(begin, forever));
    expect(error).toMatchObject({ status: "deadline", message: expect.stringContaining("no answer within 7 s") });
  });

  test("a method that the service does not know is unimplemented", async () => {
    const server = await start();
    const error = await failure(client(`127.0.0.1:${server.port}`).abort(AbortRequest.fromPartial({}), forever));
    expect(error).toMatchObject({ status: "unimplemented", answered: true });
  });

  test("a large answer arrives whole", async () => {
    const sessionToken = "x".repeat(6_000_000);
    const server = await start({
      begin: (_call, answer) => {
        answer(null, BeginResponse.fromPartial({ sessionToken }));
      },
    });
    expect((await client(`127.0.0.1:${server.port}`).begin(begin, forever)).sessionToken.length).toBe(6_000_000);
  });
});

describe("streams", () => {
  const event = (ahead: number) => WatchHandOffResponse.fromPartial({ event: { $case: "queued", value: { ahead } } });

  test("are read in order to their end", async () => {
    const server = await start({
      watchHandOff: (call) => {
        for (let ahead = 0; ahead < 100; ahead += 1) call.write(event(ahead));
        call.end();
      },
    });
    const events = await all(client(`127.0.0.1:${server.port}`).watchHandOff(join, forever));
    expect(events).toEqual(Array.from({ length: 100 }, (_, ahead) => event(ahead)));
  });

  test("end at the service when the reader goes", async () => {
    const gone = Promise.withResolvers<void>();
    const server = await start({
      watchHandOff: (call) => {
        call.on("cancelled", gone.resolve);
        call.write(event(1));
      },
    });
    for await (const one of client(`127.0.0.1:${server.port}`).watchHandOff(join, forever)) {
      expect(one).toEqual(event(1));
      break;
    }
    await gone.promise;
  });

  test("end with the caller's reason", async () => {
    const server = await start({ watchHandOff: (call) => call.write(event(1)) });
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of client(`127.0.0.1:${server.port}`).watchHandOff(join, stop.signal)) {
        stop.abort(new Error("enough"));
      }
    })();
    await expect(reading).rejects.toThrow("enough");
  });

  test("end as unavailable when the service is killed", async () => {
    let server: LoopbackServer | undefined;
    server = await start({ watchHandOff: (call) => call.write(event(1)) });
    const reading = (async () => {
      for await (const _ of client(`127.0.0.1:${server.port}`).watchHandOff(join, forever)) server.kill();
    })();
    expect((await failure(reading)).status).toBe("unavailable");
  });
});

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function listen(server: TcpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket));
  open.push({
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  const port = await listen(server);
  await open.pop()?.[Symbol.asyncDispose]();
  return port;
}
