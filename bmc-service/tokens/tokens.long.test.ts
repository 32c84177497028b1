import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CreateTokenRequest } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { BeginRequest } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { call, connectClients, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, machineOf, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";
import { TokenMachine } from "../fixture/token-machine.ts";

let site: Site;
let bmc: FakeBmc;
let service: TestService;
const machines: TokenMachine[] = [];

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, bmc.connect);
});

afterEach(async () => {
  for (const machine of machines.splice(0)) machine[Symbol.dispose]();
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

async function machineWith(uuid: string): Promise<TokenMachine> {
  const machine = await TokenMachine.make(service.running.port, site.pki, uuid);
  machines.push(machine);
  return machine;
}

async function create(more: { machineUuid?: string; ttlSeconds?: number; uses?: number } = {}) {
  const { bmc: client } = service.operator;
  const request = { machineUuid: "", ttlSeconds: 0, uses: 0, ...more };
  const { text, token } = await call(client, client.createToken, request);
  if (token === undefined) throw new Error("an answer without token");
  return { text: text.toString(), ...token };
}

const list = async () => (await call(service.operator.bmc, service.operator.bmc.listTokens, {})).tokens;
const revoke = (id: string) => call(service.operator.bmc, service.operator.bmc.revokeToken, { id });

describe("a token", () => {
  test("is told once; what is listed of it opens nothing", async () => {
    const made = await create({ machineUuid: uuid1.toUpperCase(), ttlSeconds: 60, uses: 3 });
    expect(made.text).toMatch(/^rvt_[0-9a-f]{48}$/);
    expect(made.id).toBe(made.text.slice(0, 16));
    const [listed] = await list();
    expect(listed).toMatchObject({ id: made.id, machineUuid: uuid1, uses: 3, used: 0, createdBy: "operator" });
    expect((listed?.expiresAt?.getTime() ?? 0) - (listed?.createdAt?.getTime() ?? 0)).toBe(60_000);
    expect(readFileSync(join(site.data, "bmc-service.db-wal")).includes(made.text)).toBe(false);
    expect(service.log.join("")).not.toContain(made.text);
    expect(service.log.join("")).toContain(made.id);
  });

  test("is good for one enrolment within 15 minutes unless told otherwise", async () => {
    const { createdAt, expiresAt, uses } = await create();
    expect(uses).toBe(1);
    expect((expiresAt?.getTime() ?? 0) - (createdAt?.getTime() ?? 0)).toBe(900_000);
  });

  test.each([
    [{ machineUuid: "x" }, "machine_uuid"],
    [{ ttlSeconds: 2_592_001 }, "ttl_seconds"],
    [{ uses: 10_001 }, "uses"],
  ])("%j is refused", async (request, field) => {
    expect(await refusal(create(request))).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: expect.stringContaining(field),
    });
  });

  test("is made by operators only", async () => {
    const { bmc: client } = service.viewer;
    const request = { machineUuid: "", ttlSeconds: 0, uses: 0 };
    expect(await refusal(call(client, client.createToken, request))).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await refusal(call(client, client.listTokens, {}))).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await refusal(revoke("rvt_000000000000"))).toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("whoever boots machines", () => {
  const purpose = "52:54:00:12:34:56";
  const asBoot = async (request: Partial<CreateTokenRequest> = {}) => {
    using clients = connectClients(service.running.port, site.pki, "boot");
    const { bmc: client } = clients;
    return await call(client, client.createToken, { machineUuid: "", ttlSeconds: 600, uses: 1, purpose, ...request });
  };

  test("makes tokens for one enrolment and an hour at most", async () => {
    const { token } = await asBoot({ ttlSeconds: 3_600 });
    expect(token).toMatchObject({ uses: 1, createdBy: `boot for ${purpose}` });
    expect(await refusal(asBoot({ uses: 2 }))).toMatchObject({ details: expect.stringContaining("uses") });
    expect(await refusal(asBoot({ ttlSeconds: 3_601 }))).toMatchObject({
      details: expect.stringContaining("ttl_seconds"),
    });
  });

  test("and nothing else", async () => {
    using clients = connectClients(service.running.port, site.pki, "boot");
    const { bmc: client, enrolment } = clients;
    const asked = [
      call(client, client.listTokens, {}),
      call(client, client.revokeToken, { id: "rvt_000000000000" }),
      call(client, client.listBmcs, {}),
      call(client, client.listAccounts, { mac: mac1, showSecrets: true }),
      call(enrolment, enrolment.begin, BeginRequest.create({})),
    ];
    for (const refused of await Promise.all(asked.map(refusal))) {
      expect(refused).toMatchObject({
        code: "PERMISSION_DENIED",
        details: expect.stringMatching(
          'needs role "(operator|viewer|agent)", the client certificate has role .* "boot"',
        ),
      });
    }
  });

  test("gets the text of the same token once, and another token when that is used", async () => {
    const first = await asBoot();
    const former = first.token?.id ?? "";
    const kept = await asBoot({ former });
    expect({ id: kept.token?.id, text: kept.text.length }).toEqual({ id: former, text: 0 });
    const machine = await machineWith(uuid1);
    await machine.beginWith(first.text.toString());
    const next = await asBoot({ former });
    expect(next.token?.id).not.toBe(former);
    expect(next.text).toHaveLength(52);
  });

  test("leaves in the audit log for which machine a token was made", async () => {
    const { token } = await asBoot();
    const { entries } = await call(service.admin.bmc, service.admin.bmc.listAudit, { limit: 1, key: "", before: 0n });
    expect(entries).toMatchObject([{ actor: "boot", role: "boot", action: "CreateToken", subject: token?.id }]);
    expect(entries[0]?.detail).toContain(`for ${purpose}`);
  });

  test.each(["", "x".repeat(65), "a\nb", " a"])("a purpose of %j is not taken", async (bad) => {
    const answer = asBoot({ purpose: bad });
    if (bad === "") expect((await answer).token?.createdBy).toBe("boot");
    else expect(await refusal(answer)).toMatchObject({ details: expect.stringContaining("purpose") });
  });
});

describe("a machine without a certificate", () => {
  test("enrols to the end with a token, by the certificate that it gets", async () => {
    const machine = await machineWith(uuid1);
    await machine.beginWith((await create({ machineUuid: uuid1 })).text);
    const issued = new X509Certificate(machine.certificate ?? "");
    expect(issued.subject.split("\n")).toEqual([`CN=${uuid1}`, "OU=agent"]);
    expect(issued.checkIssued(new X509Certificate(readFileSync(join(site.pki, "agents-ca.pem"))))).toBe(true);
    expect(issued.validFromDate.getTime()).toBeLessThan(Date.now() - 3_500_000);
    expect(issued.validToDate.getTime()).toBeLessThanOrEqual(Date.now() + 60_000);
    const agent = machine.goOn();
    await agent.report(factsOf(mac1));
    const id = await agent.escrow(mac1, "rivet1", "Secret-pass-1234");
    await agent.confirm(id);
    bmc.users.push({ slot: 3, name: "rivet1", password: "Secret-pass-1234" });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    const [token] = await list();
    expect(token).toMatchObject({ used: 1 });
    const begun = service.log.map((line) => JSON.parse(line)).find(({ rpc }) => rpc === "EnrolmentService/Begin");
    expect(begun).toMatchObject({ actor: "no certificate", machine: uuid1, token: token?.id, code: "OK" });
  });

  test("may do nothing but begin", async () => {
    const machine = await machineWith(uuid1);
    await machine.beginWith((await create()).text);
    // Still on the connection without certificate.
    expect(await refusal(machine.report(factsOf(mac1)))).toMatchObject({
      code: "PERMISSION_DENIED",
      details: "ReportBmc needs a client certificate, and none was shown",
    });
  });

  test("and without a token cannot begin", async () => {
    const machine = await machineWith(uuid1);
    expect(await refusal(machine.beginWith(""))).toMatchObject({
      code: "PERMISSION_DENIED",
      details: expect.stringContaining("needs a client certificate or an enrolment token"),
    });
  });

  test("has to ask for a certificate, for itself, with a signature that holds", async () => {
    const { text } = await create({ uses: 9 });
    const machine = await machineWith(uuid1);
    const ask = (certificateRequest: Buffer) => refusal(machine.beginWith(text, { certificateRequest }));
    expect(await ask(Buffer.alloc(0))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect((await ask(Buffer.from("3003020100", "hex"))).details).toBe(
      "certificate_request: it is no PKCS #10 request in DER",
    );
    const other = await machineWith(uuid2);
    const sent: Buffer[] = [];
    other.begin = async (_uuid, _serial, more) => {
      sent.push(Buffer.from(more?.certificateRequest ?? []));
      throw new Error("not sent");
    };
    await other.beginWith(text).catch(() => undefined);
    const [foreign = Buffer.alloc(0)] = sent;
    expect((await ask(foreign)).details).toContain("its common name is not the machine's UUID");
    foreign[foreign.length - 1] = (foreign.at(-1) ?? 0) ^ 1;
    expect((await ask(foreign)).details).toMatch(/its signature does not hold|no PKCS #10/);
    expect(await list()).toMatchObject([{ used: 0 }]);
  });
});

describe("a token is refused", () => {
  const begin = async (text: string, uuid = uuid1) => refusal((await machineWith(uuid)).beginWith(text));

  test("that nobody has made", async () => {
    expect(await begin(`rvt_${"0".repeat(48)}`)).toEqual({
      code: "UNAUTHENTICATED",
      details: "enrolment_token: this service knows no such token; make another one (bmcctl token create)",
    });
    expect(await service.metrics()).toContain('bmc_service_token_refusals_total{reason="unknown"} 1');
    expect(service.log.join("")).not.toContain("rvt_0");
  });

  test("that was spent", async () => {
    const { text } = await create();
    await (await machineWith(uuid1)).beginWith(text);
    expect(await begin(text, uuid2)).toMatchObject({
      code: "UNAUTHENTICATED",
      details: expect.stringContaining("used as often as it may be"),
    });
  });

  test("that was made for another machine, which does not spend it", async () => {
    const { text } = await create({ machineUuid: uuid2 });
    expect(await begin(text)).toMatchObject({ details: expect.stringContaining("made for another machine") });
    await (await machineWith(uuid2)).beginWith(text);
  });

  test("that was revoked; the sessions that it opened end", async () => {
    const { text, id } = await create({ uses: 2 });
    const machine = await machineWith(uuid1);
    await machine.beginWith(text);
    const agent = machine.goOn();
    await agent.report(factsOf(mac1));
    const { token } = await revoke(id);
    expect(token?.revokedAt).toBeInstanceOf(Date);
    expect(await refusal(agent.report(factsOf(mac1)))).toEqual({
      code: "UNAUTHENTICATED",
      details: "session_token: over, its enrolment token was revoked; begin again",
    });
    expect(await begin(text, uuid2)).toMatchObject({ details: expect.stringContaining("has revoked it") });
    // Nor is the call of before good once more.
    expect(await refusal(machine.beginWith(text))).toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("by a site that has no authority for agents, which says so", async () => {
    const { text } = await create();
    await service[Symbol.asyncDispose]();
    for (const name of ["agents-ca.pem", "agents-ca.key"]) rmSync(join(site.pki, name));
    service = await startTestService(site, bmc.connect);
    expect(await begin(text)).toMatchObject({
      code: "FAILED_PRECONDITION",
      details: expect.stringContaining("init-pki --agents-ca-only"),
    });
    expect(await refusal(create())).toMatchObject({ code: "FAILED_PRECONDITION" });
  });
});

describe("uses", () => {
  test("are counted one by one, also when machines race for the last one", async () => {
    const { text } = await create({ uses: 1 });
    const racing = await Promise.all([uuid1, uuid2].map(machineWith));
    const ended = await Promise.allSettled(racing.map((machine) => machine.beginWith(text)));
    expect(ended.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(await list()).toMatchObject([{ used: 1 }]);
  });

  test("a repeated Begin of the same boot and key spends none, and ends the session whose answer was lost", async () => {
    const { text } = await create();
    const machine = await machineWith(uuid1);
    await machine.beginWith(text);
    const lost = machine.goOn();
    await machine.beginWith(text);
    await machine.goOn().report(factsOf(mac1));
    expect(await refusal(lost.report(factsOf(mac1)))).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(await list()).toMatchObject([{ used: 1 }]);
  });

  test("a repeated Begin lasts no longer than the first one, and its certificate neither", async () => {
    const { text } = await create();
    const machine = await machineWith(uuid1);
    await machine.beginWith(text);
    const ends = Math.floor(Date.now() / 1_000) * 1_000 + 30_000;
    {
      using database = new DatabaseSync(join(site.data, "bmc-service.db"));
      database.prepare("UPDATE sessions SET expires_at = ?").run(ends);
    }
    for (let i = 0; i < 2; i += 1) {
      await machine.beginWith(text);
      const { validTo } = new X509Certificate(machine.certificate ?? "");
      expect(Date.parse(validTo)).toBe(ends);
    }
    using database = new DatabaseSync(join(site.data, "bmc-service.db"));
    expect(database.prepare("SELECT DISTINCT expires_at FROM sessions").all()).toEqual([{ expires_at: ends }]);
    // Nor after that, when the token's time is over, too.
    database.prepare("UPDATE sessions SET expires_at = ?").run(Date.now());
    database.prepare("UPDATE tokens SET expires_at = ?").run(Date.now());
    expect(await refusal(machine.beginWith(text))).toMatchObject({
      details: expect.stringContaining("its time is over"),
    });
  });

  test("belong to the machine until it is handed over: one that dies in its run begins again, in another boot and with another key", async () => {
    const { text } = await create({ machineUuid: uuid1, uses: 2 });
    const first = await machineWith(uuid1);
    await first.beginWith(text);
    const killed = first.goOn();
    await killed.report(factsOf(mac1));
    // On the BMC, and not proved.
    await killed.escrow(mac1, "rivet1", "Secret-pass-1234");
    bmc.users.push({ slot: 3, name: "rivet1", password: "Secret-pass-1234" });
    // The further use is no right to end what is under way: it is for a machine that was handed over.
    for (let i = 0; i < 3; i += 1) expect(await refusal(begunWith(text))).toMatchObject({ code: "ABORTED" });
    await killed.report(factsOf(mac1));
    // Nothing is heard of it any more.
    const { port } = service.running;
    await service[Symbol.asyncDispose]();
    service = await startTestService(site, bmc.connect, { listen: { host: "127.0.0.1", port }, sessionIdleMs: 0 });
    const again = await machineWith(uuid1);
    await again.beginWith(text);
    expect(await refusal(killed.report(factsOf(mac1)))).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(await list()).toMatchObject([{ used: 1 }]);
    await handedOff(again.goOn());
    // What comes now takes another use, and what comes after that finds none.
    await handedOff(await begunWith(text));
    expect(await list()).toMatchObject([{ used: 2 }]);
    expect(await refusal(begunWith(text))).toMatchObject({ details: expect.stringContaining("used as often") });
    // Nor is the call of before good once more.
    expect(await refusal(again.beginWith(text))).toMatchObject({ details: expect.stringContaining("used as often") });
  });

  test.each([
    ["of any machine", ""],
    ["of this machine", uuid1],
  ])(
    "the only one of a token %s: who begins again waits until the first is not live any more",
    async (_whose, machineUuid) => {
      const { text } = await create({ machineUuid });
      const first = await machineWith(uuid1);
      await first.beginWith(text);
      expect(await refusal(begunWith(text))).toMatchObject({ code: "ABORTED" });
      await first.goOn().abort("set account", "enough");
      await handedOff(await begunWith(text));
      expect(await refusal(begunWith(text))).toMatchObject({ details: expect.stringContaining("used as often") });
      expect(await list()).toMatchObject([{ used: 1 }]);
    },
  );

  async function begunWith(text: string): Promise<EnrollingAgent> {
    const machine = await machineWith(uuid1);
    await machine.beginWith(text);
    return machine.goOn();
  }

  /** A BMC that is linked is handed over by the account that it has. */
  async function handedOff(agent: EnrollingAgent): Promise<void> {
    await agent.report(factsOf(mac1));
    if (bmc.users.length === 0) bmc.users.push({ slot: 3, name: "rivet1", password: "Secret-pass-1234" });
    const [{ verifiedAt } = {}] = (await call(service.viewer.bmc, service.viewer.bmc.listBmcs, {})).bmcs;
    if (verifiedAt === undefined) await agent.confirm(await agent.escrow(mac1, "rivet1", "Secret-pass-1234"));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  }

  test("outlive the service, as sessions do", async () => {
    const { text, id } = await create();
    const machine = await machineWith(uuid1);
    await machine.beginWith(text);
    await service[Symbol.asyncDispose]();
    service = await startTestService(site, bmc.connect, {
      listen: { host: "127.0.0.1", port: service.running.port },
    });
    await machine.goOn().report(factsOf(mac1));
    expect(await list()).toMatchObject([{ id, used: 1 }]);
    expect(await refusal((await machineWith(uuid2)).beginWith(text))).toMatchObject({ code: "UNAUTHENTICATED" });
  });
});

describe("while an enrolment is under way", () => {
  const begin = async (text: string) => (await machineWith(uuid1)).beginWith(text);

  async function underWay(): Promise<EnrollingAgent> {
    const machine = await machineWith(uuid1);
    await machine.beginWith((await create()).text);
    const agent = machine.goOn();
    await agent.report(factsOf(mac1));
    return agent;
  }

  test("another one of the machine is refused, and spends no token; the first goes on", async () => {
    const first = await underWay();
    const { text } = await create();
    expect(await refusal(begin(text))).toEqual({
      code: "ABORTED",
      details: "another enrolment of this machine is under way, last heard 0 s ago; try again",
    });
    expect(await refusal(new EnrollingAgent(service.agent).begin(uuid1))).toMatchObject({ code: "ABORTED" });
    // Nor does a board serial number help that nobody has seen.
    const stranger = await machineWith(uuid1);
    const machine = machineOf(uuid1, "S-99");
    expect(await refusal(stranger.beginWith(text, { machine }))).toMatchObject({ code: "ABORTED" });
    expect((await list()).find(({ id }) => text.startsWith(id))).toMatchObject({ used: 0 });
    await first.report(factsOf(mac1));
  });

  test("a token for this very machine ends it at once", async () => {
    const first = await underWay();
    await begin((await create({ machineUuid: uuid1 })).text);
    expect(await refusal(first.report(factsOf(mac1)))).toEqual({
      code: "UNAUTHENTICATED",
      details: "session_token: over, another enrolment of this machine has begun since; begin again",
    });
  });

  test("the same certificate ends it at once", async () => {
    const first = new EnrollingAgent(service.agent);
    await first.begin(uuid1);
    await new EnrollingAgent(service.agent).begin(uuid1);
    expect(await refusal(first.report(factsOf(mac1)))).toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("another machine with the same UUID and certificate is left alone", async () => {
    const first = new EnrollingAgent(service.agent);
    await first.begin(uuid1, "S-1");
    await new EnrollingAgent(service.agent).begin(uuid1, "S-2");
    await first.report(factsOf(mac1));
  });

  test("it makes place when it gives up", async () => {
    const first = await underWay();
    await first.abort("set account", "enough");
    await begin((await create()).text);
  });

  test("it makes place when the hand-off is done", async () => {
    const first = await underWay();
    await first.confirm(await first.escrow(mac1, "rivet1", "Secret-pass-1234"));
    bmc.users.push({ slot: 3, name: "rivet1", password: "Secret-pass-1234" });
    await first.handOff();
    await begin((await create()).text);
  });
});

describe("the certificate of one enrolment", () => {
  test("makes no operator, whatever it is used for", async () => {
    const machine = await machineWith(uuid1);
    await machine.beginWith((await create()).text);
    const { bmc: client } = machine.clients;
    expect(await refusal(call(client, client.listBmcs, {}))).toMatchObject({ code: "PERMISSION_DENIED" });
  });

  test("begins no other enrolment", async () => {
    const machine = await machineWith(uuid1);
    await machine.beginWith((await create()).text);
    expect(await refusal(new EnrollingAgent(machine.clients).begin(uuid1))).toMatchObject({
      code: "PERMISSION_DENIED",
      details: expect.stringContaining("issued for one enrolment only"),
    });
  });

  test("is worth nothing with the session of another machine", async () => {
    const { text } = await create({ uses: 2 });
    const [one, other] = [await machineWith(uuid1), await machineWith(uuid2)];
    await one.beginWith(text);
    await other.beginWith(text);
    const thief = new EnrollingAgent(other.clients);
    thief.sessionToken = one.sessionToken;
    expect(await refusal(thief.report(factsOf(mac1)))).toEqual({
      code: "UNAUTHENTICATED",
      details: "session token of another certificate; begin again",
    });
    expect(service.log.some((line) => line.includes("session token of another certificate"))).toBe(true);
    // Nor with a certificate that all machines of the site have.
    const shared = new EnrollingAgent(service.agent);
    shared.sessionToken = one.sessionToken;
    expect(await refusal(shared.handOff())).toMatchObject({ code: "UNAUTHENTICATED" });
    await one.goOn().report(factsOf(mac1));
  });

  test("is not given for a certificate of the site alone", async () => {
    const agent = new EnrollingAgent(service.agent);
    expect(await refusal(agent.begin(uuid1, "", { certificateRequest: Buffer.from("x") }))).toMatchObject({
      code: "PERMISSION_DENIED",
      details: expect.stringContaining("for an enrolment token only"),
    });
  });
});

test("a machine with a certificate of its own may spend a token too, and keeps its certificate", async () => {
  const agent = new EnrollingAgent(service.agent);
  const begun = await agent.begin(uuid1, "", { enrolmentToken: Buffer.from((await create()).text) });
  expect(begun.certificate).toHaveLength(0);
  await agent.report(factsOf(mac1));
  expect(await list()).toMatchObject([{ used: 1 }]);
});
