import "reflect-metadata";

import { createPrivateKey, webcrypto } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EnrollingAgent, machineOf, uuid1 } from "../../bmc-service/fixture/enrolling.ts";
import { FakeBmc } from "../../bmc-service/fixture/fake-bmc.ts";
import { startTestService, type TestService } from "../../bmc-service/fixture/service.ts";
import { agentsAuthorityName, createAgentsAuthority } from "../../bmc-service/pki/agents-authority.ts";
import type { CertificateAndKey } from "../../bmc-service/pki/certificate-authority.ts";
import { connectBmcService } from "../../outband-client/service/bmc.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { type Authority, type Identity, makeAuthority, validNow } from "../../outband-client/service/fixture/pki.ts";
import { BeginRequest } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

const forever = new AbortController().signal;
const request = BeginRequest.fromPartial({ machine: machineOf(uuid1), bootId: "b", agentVersion: "v" });
const day = 86_400_000;
const past = { notBefore: new Date(Date.now() - 3 * day), notAfter: new Date(Date.now() - day) };
const future = { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 3 * day) };

let directory: string;
let authority: Authority;
let agentsCa: CertificateAndKey;
let service: TestService;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "who-may-connect-"));
  const pki = join(directory, "pki");
  mkdirSync(pki);
  authority = await makeAuthority("site CA");
  agentsCa = await createAgentsAuthority(validNow());
  const server = await authority.server(["localhost", "127.0.0.1"]);
  const write = (name: string, text: string) => writeFileSync(join(pki, name), text, { mode: 0o600 });
  write("ca.pem", authority.ca);
  write("server.pem", server.cert);
  write("server.key", server.key);
  write("agents-ca.pem", agentsCa.certificate);
  write("agents-ca.key", agentsCa.key);
  for (const role of ["agent", "viewer", "operator", "admin"]) {
    const { cert, key } = await authority.client(role);
    write(`${role}.pem`, cert);
    write(`${role}.key`, key);
  }
  const site = { directory, pki, data: join(directory, "data"), [Symbol.dispose]: () => undefined };
  service = await startTestService(site, new FakeBmc("52:54:00:b1:00:01").connect);
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const address = () => `127.0.0.1:${service.running.port}`;

async function refusedWith(own: Identity | undefined) {
  await using client = connectEnrolment({ address: address(), ca: authority.ca, ...own });
  return await client.begin(request, forever).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** A certificate that the service's own authority has signed, with whatever the forger likes in it. */
async function signedByAgentsCa(unit: string, validity: { notBefore: Date; notAfter: Date }): Promise<Identity> {
  x509.cryptoProvider.set(webcrypto as Crypto);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const der = createPrivateKey(agentsCa.key).export({ type: "pkcs8", format: "der" });
  const made = await x509.X509CertificateGenerator.create({
    subject: `CN=forger, OU=${unit}`,
    issuer: `CN=${agentsAuthorityName}`,
    ...validity,
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]),
    signingAlgorithm: algorithm,
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: made.toString("pem"), key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") };
}

describe("a client certificate that does not hold is refused, and the client can say why", () => {
  test.each([
    ["expired", () => authority.client("agent", past), "it expired at"],
    ["not yet valid", () => authority.client("agent", future), "it is valid only from"],
    [
      "of another authority",
      async () => (await makeAuthority("another CA")).client("agent"),
      'issued by "CN=another CA"',
    ],
    [
      "of another authority of that name",
      async () => (await makeAuthority("site CA")).client("agent"),
      "the keys differ",
    ],
    ["made for a server", () => authority.server(["localhost"]), "refused the client certificate"],
    ["issued for an enrolment that is over", () => signedByAgentsCa("agent", past), "it expired at"],
  ])("%s", async (_name, make, reason) => {
    const before = service.log.length;
    const refused = await refusedWith(await make());
    expect(refused).toMatchObject({ status: "refused", message: expect.stringContaining(reason) });
    const said = service.log.slice(before).map((line) => JSON.parse(line));
    expect(said.filter(({ msg }) => msg === "client certificate refused").length).toBeGreaterThan(0);
    // It did not come as far as a call.
    expect(said.filter(({ rpc }) => rpc !== undefined)).toEqual([]);
  });
});

test("who shows no certificate may connect, and is told what is missing", async () => {
  expect(await refusedWith(undefined)).toMatchObject({
    status: "refused",
    answered: true,
    message: expect.stringContaining("needs a client certificate or an enrolment token"),
  });
});

test("what the service's own authority has signed is an agent's, whatever role stands in it", async () => {
  const forged = await signedByAgentsCa("admin", validNow());
  await using client = connectBmcService({ address: address(), ca: authority.ca, ...forged });
  await expect(client.listBmcs({}, forever)).rejects.toMatchObject({
    status: "refused",
    message: expect.stringContaining('has role (OU) "agent"'),
  });
});

describe("another protocol", () => {
  function dial(options: object): Promise<{ socket: TLSSocket; error?: NodeJS.ErrnoException }> {
    const { promise, resolve } = Promise.withResolvers<{ socket: TLSSocket; error?: NodeJS.ErrnoException }>();
    const { port } = service.running;
    const socket = connectTls({ host: "127.0.0.1", port, ca: authority.ca, ALPNProtocols: ["h2"], ...options });
    socket.once("error", (error) => resolve({ socket, error }));
    socket.once("data", () => resolve({ socket }));
    return promise;
  }

  test("TLS 1.2 is not spoken", async () => {
    const { error } = await dial({ maxVersion: "TLSv1.2" });
    expect(error?.code).toMatch(/PROTOCOL_VERSION/);
  });

  test("an earlier session is not resumed", async () => {
    const { socket, error } = await dial({});
    expect([error, socket.getProtocol()]).toEqual([undefined, "TLSv1.3"]);
    const { socket: next } = await dial({ session: socket.getSession() });
    expect(next.isSessionReused()).toBe(false);
    socket.destroy();
    next.destroy();
  });

  test("without TLS nothing is said but an alert", async () => {
    const socket = connectTcp(service.running.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const said: Buffer[] = [];
    for await (const each of socket) said.push(each);
    // RFC 8446 §5.1: 21 is an alert.
    expect(Buffer.concat(said)[0] ?? 21).toBe(21);
    // And others are served as before.
    await new EnrollingAgent(service.agent).begin(uuid1);
  });
});
