import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { setUserName, setUserPassword } from "../../ipmi/commands/index.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { type Authority, type Identity, makeAuthority } from "../../outband-client/service/fixture/pki.ts";
import { BeginRequest, type Policy } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Machine } from "../run/machine.ts";
import type { Fault } from "../simulator/simulated-transport.ts";

const token = `rvt_${"5ec2e7".repeat(8)}`;
const forever = new AbortController().signal;
let authority: Authority;
let stranger: Authority;
let agent: Identity;
const open: (() => void)[] = [];

beforeAll(async () => {
  authority = await makeAuthority("site CA");
  stranger = await makeAuthority("site CA");
  agent = await authority.client("agent");
});
afterEach(() => {
  for (const close of open.splice(0)) close();
});
afterAll(() => expect(open).toEqual([]));

/** Somebody who answers at the service's address, and writes down what he is told. */
async function rogue(identity: Identity, version: "TLSv1.2" | "TLSv1.3" = "TLSv1.3") {
  const heard: Buffer[] = [];
  const sockets = new Set<TLSSocket>();
  const server = createTlsServer(
    {
      ...identity,
      ALPNProtocols: ["h2"],
      minVersion: version,
      maxVersion: version,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (socket) => {
      sockets.add(socket);
      socket.on("data", (data) => heard.push(Buffer.from(data)));
      socket.on("error", () => undefined);
      // SETTINGS, after which an HTTP/2 client says what it wants. RFC 9113 section 3.4.
      socket.write(Buffer.from("000000040000000000", "hex"));
    },
  );
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, heard: () => Buffer.concat(heard) };
}

describe("a rogue service is told nothing", () => {
  const request = () =>
    BeginRequest.fromPartial({ bootId: "boot", agentVersion: "v", enrolmentToken: Buffer.from(token) });

  type Bad = [string, () => Promise<Identity>, "TLSv1.2" | "TLSv1.3", RegExp];
  test.each<Bad>([
    [
      "another authority of that name, the right address",
      () => stranger.server(["127.0.0.1"]),
      "TLSv1.3",
      /the keys differ/,
    ],
    ["the right authority, another address", () => authority.server(["10.9.8.7"]), "TLSv1.3", /10\.9\.8\.7/],
    // Every agent has one: it must not do as a service's. EKU clientAuth only.
    ["the certificate of an agent", async () => agent, "TLSv1.3", /certificate/],
    ["TLS 1.2", () => authority.server(["127.0.0.1"]), "TLSv1.2", /TLS/],
  ])("%s", async (_what, make, version, why) => {
    const { port, heard } = await rogue(await make(), version);
    await using client = connectEnrolment({
      address: `127.0.0.1:${port}`,
      ca: authority.ca,
      ...agent,
      callLimitMs: 3_000,
    });
    const refused = await client.begin(request(), forever).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: "ServiceError", status: expect.stringMatching(/^(refused|protocol)$/) });
    expect(String(refused)).toMatch(why);
    expect(heard().includes(token)).toBe(false);
    expect(heard().includes("EnrolmentService")).toBe(false);
  });

  test("but one with a right certificate is: the test above can fail", async () => {
    const { port, heard } = await rogue(await authority.server(["127.0.0.1"]));
    await using client = connectEnrolment({
      address: `127.0.0.1:${port}`,
      ca: authority.ca,
      ...agent,
      callLimitMs: 500,
    });
    await client.begin(request(), forever).catch(() => undefined);
    expect(heard().includes(token)).toBe(true);
  });
});

describe("a service that asks for an absurd policy", () => {
  const sane: Policy = { userNamePrefix: "rivet", privilege: 4, verificationRequired: true, consoleUserWanted: false };

  /** Commands with which accounts are written, in the run of a machine whose service has that policy. */
  async function bootWith(policy: Policy) {
    const machine = new Machine();
    machine.service.policy = policy;
    const foreign = machine.foreign();
    const writes: number[] = [];
    const watch: Fault = {
      on: ({ cmd }) => {
        if (cmd === setUserName.cmd || cmd === setUserPassword.cmd) writes.push(cmd);
        return false;
      },
      effect: "lost",
    };
    const ended = await machine.boot({ faults: [watch] }).then(
      (outcome) => outcome,
      (error: unknown) => error,
    );
    return { ended, writes, isUntouched: machine.foreign() === foreign };
  }

  test.each<[string, Partial<Policy>]>([
    ["no prefix: names that are anybody's", { userNamePrefix: "" }],
    ["a prefix that is somebody's whole name", { userNamePrefix: "administrator" }],
    ["a prefix with other characters", { userNamePrefix: "r$(id)" }],
    ["a prefix of a megabyte", { userNamePrefix: "r".repeat(1_000_000) }],
    ["a privilege that there is not", { privilege: 9 }],
    ["no privilege", { privilege: 0 }],
  ])("%s: refused, and nothing is written", async (_what, absurd) => {
    const { ended, writes, isUntouched } = await bootWith({ ...sane, ...absurd });
    expect(String(ended instanceof Error ? `${ended} ${ended.cause}` : JSON.stringify(ended))).toMatch(/polic/i);
    expect(writes).toEqual([]);
    expect(isUntouched).toBe(true);
  });

  test("a sane one writes: the test above can fail", async () => {
    const { writes } = await bootWith(sane);
    expect(writes.length).toBeGreaterThan(0);
  });
});
