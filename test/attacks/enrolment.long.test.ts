import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { call, connectClients, refusal } from "../../bmc-service/fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, uuid1, uuid2 } from "../../bmc-service/fixture/enrolling.ts";
import { type AttackedSite, attackedSite, victim } from "./site.ts";

let site: AttackedSite;
let before: string;

beforeAll(async () => {
  site = await attackedSite();
});
beforeEach(async () => {
  before = await site.state();
  site.attacks();
});
afterAll(() => site[Symbol.asyncDispose]());

/** The attack is logged by its name, with what it was and from where; no secret is in the log, and nothing has changed. */
async function isHarmless(attack: string, more: object = {}): Promise<void> {
  const logged = site.attacks();
  expect(logged).toContainEqual(expect.objectContaining({ attack, from: "127.0.0.1", level: "warn", ...more }));
  expect(await site.state()).toBe(before);
  expect(site.service.log.join("")).not.toContain(victim.password);
  expect(await site.service.metrics()).toMatch(
    new RegExp(`bmc_service_attacks_total\\{attack="${attack.replaceAll(" ", "_")}"\\} [1-9]`),
  );
}

async function underWay(uuid: string) {
  const machine = await site.machine(uuid);
  await machine.beginWith((await site.token(uuid)).text);
  return machine;
}

describe("a session token", () => {
  test("that was read on the way is worth nothing with another certificate", async () => {
    const robbed = await underWay(uuid1);
    for (const thief of [await underWay(uuid2), undefined]) {
      const agent = new EnrollingAgent(thief?.clients ?? site.service.agent);
      agent.sessionToken = robbed.sessionToken;
      for (const asked of [
        agent.report(factsOf(mac1)),
        agent.escrow(mac1, "rivetevil", "Evil-1"),
        agent.handOff(),
        agent.abort("set account", "evil"),
      ]) {
        expect(await refusal(asked)).toMatchObject({ code: "UNAUTHENTICATED" });
      }
    }
    await isHarmless("stolen session token", { rpc: "EnrolmentService/EscrowAccount", machine: uuid1 });
    await robbed.goOn().report(factsOf(mac1));
  });

  test("that nobody has is guessed in vain", async () => {
    const agent = new EnrollingAgent(site.service.agent);
    agent.sessionToken = "A".repeat(43);
    expect(await refusal(agent.report(factsOf(mac1)))).toMatchObject({ code: "UNAUTHENTICATED" });
    await isHarmless("unknown session token");
  });
});

describe("an enrolment token", () => {
  type Bad = [string, () => Promise<string>, string];
  test.each<Bad>([
    ["of another machine", async () => (await site.token(uuid2)).text, "another machine"],
    ["that was revoked", async () => revoked(await site.token()), "revoked"],
    ["whose time is over", async () => expired(), "its time is over"],
    ["that was spent", async () => spent(), "as often as it may be"],
    ["that nobody has made", async () => `rvt_${"0".repeat(48)}`, "unknown|not known|no such"],
  ])("%s opens nothing", async (_what, make, why) => {
    const thief = await site.machine(uuid1);
    const text = await make();
    before = await site.state();
    const refused = await refusal(thief.beginWith(text));
    expect(refused).toMatchObject({ code: "UNAUTHENTICATED", details: expect.stringMatching(why) });
    await isHarmless("enrolment token", { rpc: "EnrolmentService/Begin" });
    expect(site.service.log.join("")).not.toContain(text);
  });

  async function revoked({ text, id }: { text: string; id: string }): Promise<string> {
    const { bmc: client } = site.service.operator;
    await call(client, client.revokeToken, { id });
    return text;
  }

  async function expired(): Promise<string> {
    const { text, id } = await site.token();
    using database = new DatabaseSync(join(site.data, "bmc-service.db"));
    database.prepare("UPDATE tokens SET expires_at = 1 WHERE id = ?").run(id);
    return text;
  }

  async function spent(): Promise<string> {
    const { text } = await site.token();
    await (await site.machine("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e04")).beginWith(text);
    return text;
  }
});

test("a second enrolment of a machine, by a stranger, waits while the first is live", async () => {
  const first = await underWay(uuid1);
  const stranger = await site.machine(uuid1);
  expect(await refusal(stranger.beginWith((await site.token()).text))).toMatchObject({ code: "ABORTED" });
  expect(await refusal(new EnrollingAgent(site.service.agent).begin(uuid1))).toMatchObject({ code: "ABORTED" });
  await isHarmless("second enrolment", { machine: uuid1 });
  await first.goOn().report(factsOf(mac1));
});

describe("a forged MAC address", () => {
  test("of a linked BMC, by another machine, becomes a conflict and no more", async () => {
    const forger = (await underWay(uuid2)).goOn();
    expect(await refusal(forger.report(factsOf(mac1)))).toMatchObject({ code: "FAILED_PRECONDITION" });
    // Without the row nothing else is to be had, neither.
    expect(await refusal(forger.escrow(mac1, "rivetevil", "Evil-1"))).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(await refusal(forger.handOff())).toMatchObject({ code: "FAILED_PRECONDITION" });
    await isHarmless("claim", { machine: uuid2, mac: mac1 });
    const { bmc: client } = site.service.viewer;
    expect((await call(client, client.listConflicts, { all: false })).conflicts).toMatchObject([
      { machineUuid: uuid2 },
    ]);
  });

  test("by who calls itself the linked machine, becomes a conflict and no row", async () => {
    const forger = (await underWay(uuid1)).goOn();
    expect(await refusal(forger.report(factsOf(mac2)))).toMatchObject({ code: "FAILED_PRECONDITION" });
    await isHarmless("claim", { machine: uuid1, mac: mac2 });
    const { bmc: client } = site.service.viewer;
    const { bmcs } = await call(client, client.listBmcs, {});
    expect(bmcs.map(({ mac }) => mac)).toEqual([mac1]);
  });
});

describe("the certificate of a machine", () => {
  test("gets no secret, neither another machine's nor its own", async () => {
    for (const machine of [await underWay(uuid2), await underWay(uuid1)]) {
      const { bmc: client } = machine.clients;
      for (const asked of [
        call(client, client.getBmc, { key: mac1, showSecrets: true }),
        call(client, client.listAccounts, { mac: mac1, showSecrets: true }),
        call(client, client.getBmc, { key: mac1, showSecrets: false }),
        call(client, client.listBmcs, {}),
        call(client, client.createToken, { machineUuid: "", ttlSeconds: 0, uses: 0 }),
        call(client, client.rotateAccount, { mac: mac1 }),
        call(client, client.setPower, { mac: mac1, action: 2 }),
      ]) {
        expect(await refusal(asked)).toMatchObject({ code: "PERMISSION_DENIED" });
      }
    }
    await isHarmless("role", { rpc: "BmcService/GetBmc", role: "unknown" });
  });

  test("enrols no other machine", async () => {
    const agent = new EnrollingAgent((await underWay(uuid2)).clients);
    expect(await refusal(agent.begin(uuid1))).toMatchObject({ code: "PERMISSION_DENIED" });
    await isHarmless("certificate of another machine");
  });
});

test("nobody without a certificate gets anything", async () => {
  using nobody = connectClients(site.service.running.port, site.pki, undefined);
  const { bmc: client } = nobody;
  expect(await refusal(call(client, client.listBmcs, {}))).toMatchObject({ code: "PERMISSION_DENIED" });
  expect(await refusal(call(client, client.listAudit, { limit: 1, key: "", before: 0n }))).toMatchObject({
    code: "PERMISSION_DENIED",
  });
  await isHarmless("role");
});
