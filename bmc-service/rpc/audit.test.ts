import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AuditEntry, BootTarget, PowerAction } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { call, refusal } from "../fixture/clients.ts";
import { canary, EnrollingAgent, factsOf, mac1, mac2, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

let site: Site;
let bmc: FakeBmc;
let service: TestService;

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, bmc.connect);
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", canary);
  bmc.users.push({ slot: 3, name: "rivetab12", password: canary });
  await agent.handOff();
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

const audit = (more: { limit?: number; key?: string; before?: bigint } = {}) =>
  call(service.admin.bmc, service.admin.bmc.listAudit, { limit: 0, key: "", before: 0n, ...more });
const shown = ({ actor, role, action, subject, detail, result }: AuditEntry) =>
  [`${actor}/${role}`, action, subject, detail, result].filter((part) => part !== "").join(" ");
const written = async (more = {}) => (await audit(more)).entries.map(shown);
const setPower = (action: PowerAction, as = service.operator) =>
  call(as.bmc, as.bmc.setPower, { mac: mac1.toUpperCase(), action });
const showSecrets = (as = service.operator) => call(as.bmc, as.bmc.getBmc, { key: uuid1, showSecrets: true });

/** Breaks the database under the running service. */
function inDatabase(sql: string): void {
  const database = new DatabaseSync(join(site.data, "bmc-service.db"));
  database.exec(sql);
  database.close();
}

describe("the audit log", () => {
  test("has every change twice, before and after, and every look at a secret, with whence and by whom", async () => {
    await setPower(PowerAction.POWER_ACTION_OFF);
    await showSecrets();
    const { bmc: client } = service.operator;
    await call(client, client.listAccounts, { mac: mac1, showSecrets: true });
    const { entries, intact } = await audit();
    expect(intact).toBe(true);
    expect(entries.map(shown)).toEqual([
      `operator/operator ShowSecrets ${mac1} OK`,
      `operator/operator ShowSecrets ${mac1} OK`,
      `operator/operator SetPower ${mac1} off; begun as 1 OK`,
      `operator/operator SetPower ${mac1} off BEGUN`,
    ]);
    expect(entries.map(({ number }) => number)).toEqual([4n, 3n, 2n, 1n]);
    expect(entries.every(({ from }) => from === "127.0.0.1")).toBe(true);
    expect(entries.every(({ at }) => Math.abs(Number(at) - Date.now()) < 60_000)).toBe(true);
  });

  test("has what was refused, and what failed", async () => {
    await refusal(setPower(PowerAction.POWER_ACTION_ON, service.viewer));
    await refusal(showSecrets(service.viewer));
    await refusal(call(service.operator.bmc, service.operator.bmc.deleteBmc, { key: mac1 }));
    bmc.users.length = 0;
    await refusal(setPower(PowerAction.POWER_ACTION_ON));
    const entries = await written();
    expect(entries).toHaveLength(5);
    expect(entries[0]).toMatch(
      /^operator\/operator SetPower \S+ on; power on of BMC .*; begun as 4 PERMISSION_DENIED$/,
    );
    expect(entries[1]).toBe(`operator/operator SetPower ${mac1} on BEGUN`);
    expect(entries[2]).toMatch(/^operator\/operator DeleteBmc \S+ DeleteBmc needs role "admin".* PERMISSION_DENIED$/);
    expect(entries[3]).toMatch(/^viewer\/viewer ShowSecrets .* needs role "operator".* PERMISSION_DENIED$/);
    expect(entries[4]).toMatch(/^viewer\/viewer SetPower \S+ on; SetPower needs role "operator".* PERMISSION_DENIED$/);
  });

  test("has of what one caller may not do so many entries in a minute, then their number", async () => {
    for (let i = 0; i < 15; i += 1) {
      await refusal(setPower(PowerAction.POWER_ACTION_ON, service.viewer));
      await refusal(showSecrets(service.viewer));
    }
    await refusal(call(service.operator.bmc, service.operator.bmc.deleteBmc, { key: mac1 }));
    expect(await written()).toHaveLength(21);
    const refused = service.log.filter((line) => line.includes("call refused"));
    expect(refused).toHaveLength(31);
    await setPower(PowerAction.POWER_ACTION_OFF);
    await service[Symbol.asyncDispose]();
    service = await startTestService(site, bmc.connect);
    const entries = await written();
    expect(entries).toHaveLength(24);
    expect(entries[0]).toBe(
      "viewer/viewer RefusedCalls besides those that have an entry, within a minute: SetPower 5, ShowSecrets 5 REFUSED",
    );
  });

  test("has each change that failed, however many", async () => {
    bmc.users.length = 0;
    for (let i = 0; i < 25; i += 1) await refusal(setPower(PowerAction.POWER_ACTION_ON));
    expect(await written()).toHaveLength(50);
  });

  test("has nothing of what only reads, and nothing of agents", async () => {
    const { bmc: client } = service.viewer;
    await call(client, client.listBmcs, {});
    await call(client, client.getBmc, { key: mac1, showSecrets: false });
    await call(client, client.getPower, { mac: mac1 });
    await refusal(setPower(PowerAction.POWER_ACTION_ON, service.agent));
    expect(await written()).toEqual([]);
  });

  test("holds no secret", async () => {
    await showSecrets();
    const { bmc: client } = service.operator;
    const account = { userName: "rivetab12", password: Buffer.from(canary) };
    await call(client, client.updateBmc, { mac: mac1, drivers: [], account, address: "" });
    const wrong = { userName: "ADMIN", password: Buffer.from(canary) };
    await refusal(call(client, client.updateBmc, { mac: mac1, drivers: ["IPMI"], account: wrong, address: "" }));
    const entries = await written();
    expect(entries[1]).toBe(`operator/operator UpdateBmc ${mac1} drivers IPMI, account "ADMIN" BEGUN`);
    expect(entries.join("\n") + service.log.join("")).not.toContain(canary);
  });

  test("comes in pages, and of one row by its MAC or its machine's UUID", async () => {
    const agent = new EnrollingAgent(service.agent);
    await agent.begin(uuid2);
    await agent.report(factsOf(mac2));
    await setPower(PowerAction.POWER_ACTION_OFF);
    await call(service.admin.bmc, service.admin.bmc.deleteBmc, { key: uuid2 });
    const { entries: first } = await audit({ limit: 3 });
    expect(first.map(({ number }) => number)).toEqual([4n, 3n, 2n]);
    expect((await audit({ limit: 3, before: 2n })).entries.map(({ number }) => number)).toEqual([1n]);
    expect(await written({ key: uuid1 })).toHaveLength(2);
    expect(await written({ key: mac1.toUpperCase() })).toHaveLength(2);
    expect((await written({ key: mac2 }))[0]).toBe(`admin/admin DeleteBmc ${mac2} begun as 3 OK`);
    expect((await refusal(audit({ key: "nonsense" }))).code).toBe("INVALID_ARGUMENT");
    expect((await refusal(audit({ limit: 1_001 }))).code).toBe("INVALID_ARGUMENT");
  });

  test("is for admins", async () => {
    const { bmc: client } = service.operator;
    const refused = await refusal(call(client, client.listAudit, { limit: 0, key: "", before: 0n }));
    expect(refused).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(refused.details).toContain('ListAudit needs role "admin"');
  });

  test("that cannot be written keeps secrets in and changes undone", async () => {
    inDatabase("CREATE TRIGGER a BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'full'); END");
    const refused = await refusal(showSecrets());
    expect(refused.code).toBe("UNAVAILABLE");
    expect(JSON.stringify(refused)).not.toContain(canary);
    bmc.commands.length = 0;
    expect(await refusal(setPower(PowerAction.POWER_ACTION_OFF))).toMatchObject({
      code: "UNAVAILABLE",
      details: expect.stringContaining("SetPower was not done, because it cannot be written to the audit log"),
    });
    expect(bmc.commands).toEqual([]);
    // What needs no entry is served all the same.
    const { bmc: client } = service.operator;
    expect(await call(client, client.getPower, { mac: mac1 })).toMatchObject({ powerOn: true });
  });

  test("whose last entry cannot be written keeps the first, and the answer is that of the BMC", async () => {
    inDatabase("CREATE TRIGGER a BEFORE INSERT ON audit WHEN NEW.result = 'OK' BEGIN SELECT RAISE(FAIL, 'full'); END");
    expect((await setPower(PowerAction.POWER_ACTION_OFF)).powerOn).toBe(false);
    expect(await written()).toEqual([`operator/operator SetPower ${mac1} off BEGUN`]);
    expect(service.log.join("")).toContain("call not stored");
  });

  test("lets no entry be changed or taken away", async () => {
    await showSecrets();
    expect(() => inDatabase("UPDATE audit SET actor = 'nobody'")).toThrow("append-only");
    expect(() => inDatabase("DELETE FROM audit")).toThrow("append-only");
    expect((await audit()).intact).toBe(true);
  });

  test.each([
    ["changed", "UPDATE audit SET actor = 'nobody' WHERE number = 2"],
    ["taken out", "DELETE FROM audit WHERE number = 2"],
    ["cut off at its end", "DELETE FROM audit WHERE number = 4"],
    ["cut off at its beginning", "DELETE FROM audit WHERE number = 1"],
    ["emptied", "DELETE FROM audit"],
    ["changed so that it has a gap", "UPDATE audit SET number = 9 WHERE number = 4"],
    ["exchanged", "UPDATE audit SET hash = x'00' WHERE number = 3"],
  ])("that was %s behind its back says so", async (_, sql) => {
    await setPower(PowerAction.POWER_ACTION_OFF);
    await setPower(PowerAction.POWER_ACTION_ON);
    expect((await audit()).intact).toBe(true);
    inDatabase(`DROP TRIGGER audit_entries_stay; DROP TRIGGER audit_entries_remain; ${sql}`);
    expect((await audit()).intact).toBe(false);
  });

  test("goes on after the service was started again, and is told to the log", async () => {
    await showSecrets();
    await service[Symbol.asyncDispose]();
    expect(service.log.join("")).toMatch(/"audit":"1 [0-9a-f]{64}"/);
    service = await startTestService(site, bmc.connect);
    const target = BootTarget.BOOT_TARGET_PXE;
    const { bmc: client } = service.operator;
    await call(client, client.setBootTarget, { mac: mac1, target, persistent: false, efi: true });
    const { entries, intact } = await audit();
    expect({ numbers: entries.map(({ number }) => number), intact }).toEqual({ numbers: [3n, 2n, 1n], intact: true });
    expect(entries[0]?.detail).toBe("pxe, UEFI; begun as 2");
  });
});
