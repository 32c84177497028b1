import { randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServiceError as GrpcError, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Clients, call, collect, connectClients, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, machineOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";
import { createCertificateAuthority } from "../pki/certificate-authority.ts";
import { loopbackNames } from "../pki/certificate-name.ts";
import { initPki } from "../pki/init-pki.ts";

let site: Site;
let service: TestService;
let agent: EnrollingAgent;

beforeEach(async () => {
  site = await newSite();
  service = await startTestService(site, new FakeBmc(mac1).connect);
  agent = new EnrollingAgent(service.agent);
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

/** How a console stream ends. */
async function consoleOf({ bmc: client }: Clients, mac: string): Promise<{ error: string }> {
  const stream = client.console();
  const { promise, resolve } = Promise.withResolvers<{ error: string }>();
  stream.on("error", (error: GrpcError) => resolve({ error: status[error.code] }));
  stream.on("data", () => undefined);
  stream.write({ mac, input: Buffer.alloc(0) });
  return promise;
}

test("the console is not served by this release", async () => {
  expect(await consoleOf(service.operator, mac1)).toEqual({ error: "UNIMPLEMENTED" });
});

describe("who may call", () => {
  test("agents the EnrolmentService only, operators the BmcService only", async () => {
    const { bmc: operatorService } = service.agent;
    const { enrolment } = service.operator;
    const asAgent = await refusal(call(operatorService, operatorService.listBmcs, {}));
    expect(asAgent).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(asAgent.details).toContain('role (OU) "agent"');
    const request = {
      machine: machineOf(uuid1),
      bootId: "b",
      agentVersion: "v",
      enrolmentToken: Buffer.alloc(0),
      certificateRequest: Buffer.alloc(0),
    };
    expect(await refusal(call(enrolment, enrolment.begin, request))).toMatchObject({ code: "PERMISSION_DENIED" });
    const rows = collect(service.agent.bmc.watchBmcs({}));
    expect(await refusal(rows)).toMatchObject({ code: "PERMISSION_DENIED" });
    const events = collect(enrolment.watchHandOff({ sessionToken: "x" }));
    expect(await refusal(events)).toMatchObject({ code: "PERMISSION_DENIED" });
    const { error } = await consoleOf(service.agent, mac1);
    expect(error).toBe("PERMISSION_DENIED");
  });

  test("a viewer sees everything but secrets, and changes nothing", async () => {
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    const { bmc } = service.viewer;
    const { bmc: row } = await call(bmc, bmc.getBmc, { key: mac1, showSecrets: false });
    expect(row?.account).toMatchObject({ userName: "rivetab12", password: "" });
    expect((await call(bmc, bmc.listAccounts, { mac: mac1, showSecrets: false })).accounts).toHaveLength(1);
    const asked = [
      call(bmc, bmc.getBmc, { key: mac1, showSecrets: true }),
      call(bmc, bmc.listAccounts, { mac: mac1, showSecrets: true }),
      call(bmc, bmc.setPower, { mac: mac1, action: 1 }),
      call(bmc, bmc.updateBmc, { mac: mac1, drivers: ["IPMI"], account: undefined, address: "" }),
      call(bmc, bmc.listTokens, {}),
    ];
    for (const refused of await Promise.all(asked.map(refusal))) {
      expect(refused).toMatchObject({
        code: "PERMISSION_DENIED",
        details: expect.stringMatching(/^\w+( with show_secrets)? needs role "operator", .* has role \(OU\) "viewer"$/),
      });
    }
  });

  test("an operator deletes nothing; an admin does what an operator does, and that", async () => {
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    const { bmc } = service.operator;
    expect(await refusal(call(bmc, bmc.deleteBmc, { key: mac1 }))).toEqual({
      code: "PERMISSION_DENIED",
      details: 'DeleteBmc needs role "admin", the client certificate has role (OU) "operator"',
    });
    const { bmc: admin } = service.admin;
    const { bmc: row } = await call(admin, admin.getBmc, { key: mac1, showSecrets: true });
    expect(row?.account?.password).toBe("Secret-pass-1234");
    await call(admin, admin.deleteBmc, { key: mac1 });
  });

  test("an agent with the certificate of one machine enrols no other, and its row warns of none", async () => {
    const pki = mkdtempSync(join(tmpdir(), "machine-pki-"));
    const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 60_000) };
    const authority = await createCertificateAuthority(validity);
    const server = await authority.issue("server", "bmc-service", loopbackNames);
    const own = await authority.issue("agent", uuid1, []);
    const viewer = await authority.issue("viewer", "viewer", []);
    for (const [name, text] of Object.entries({
      "ca.pem": authority.certificate,
      "server.pem": server.certificate,
      "server.key": server.key,
      "agent.pem": own.certificate,
      "agent.key": own.key,
      "viewer.pem": viewer.certificate,
      "viewer.key": viewer.key,
    })) {
      writeFileSync(join(pki, name), text, { mode: 0o600 });
    }
    await service[Symbol.asyncDispose]();
    for (const name of ["ca.pem", "server.pem", "server.key"]) copyFileSync(join(pki, name), join(site.pki, name));
    service = await startTestService(site, new FakeBmc(mac1).connect);
    using machine = connectClients(service.running.port, pki, "agent");
    const bound = new EnrollingAgent(machine);
    await bound.begin(uuid1);
    expect(await refusal(bound.begin(uuid2))).toEqual({
      code: "PERMISSION_DENIED",
      details: `the client certificate is that of machine ${uuid1}: it cannot enrol machine ${uuid2}`,
    });
    await bound.report(factsOf(mac1));
    using looker = connectClients(service.running.port, pki, "viewer");
    const { bmc: row } = await call(looker.bmc, looker.bmc.getBmc, { key: mac1, showSecrets: false });
    expect(row?.warnings).toEqual([]);
    rmSync(pki, { recursive: true });
  });

  test("nobody without a certificate", async () => {
    using nobody = connectClients(service.running.port, site.pki, undefined);
    expect(await refusal(call(nobody.bmc, nobody.bmc.listBmcs, {}))).toEqual({
      code: "PERMISSION_DENIED",
      details: "ListBmcs needs a client certificate, and none was shown",
    });
  });

  test("nobody with a certificate of another CA, whatever its role", async () => {
    const other = mkdtempSync(join(tmpdir(), "other-pki-"));
    await initPki({ out: other, names: [], days: 1, force: false, now: new Date() });
    copyFileSync(join(site.pki, "ca.pem"), join(other, "ca.pem"));
    using stranger = connectClients(service.running.port, other, "operator");
    expect(await refusal(call(stranger.bmc, stranger.bmc.listBmcs, {}))).toMatchObject({ code: "UNAVAILABLE" });
    rmSync(other, { recursive: true });
  });

  test("nobody without a session", async () => {
    agent.sessionToken = randomBytes(32).toString("base64url");
    expect(await refusal(agent.report(factsOf(mac1)))).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(await refusal(agent.handOff())).toMatchObject({ code: "UNAUTHENTICATED" });
    agent.sessionToken = "";
    expect(await refusal(agent.abort("s", "r"))).toMatchObject({ code: "UNAUTHENTICATED" });
  });
});
