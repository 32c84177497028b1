import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type ImportReportResponse, ImportResult } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { Inventory } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import type { Report } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { mostReportBytes, writeReport } from "../../proto/report-json.ts";
import { call, refusal } from "../fixture/clients.ts";
import { canary, EnrollingAgent, factsOf, mac1, mac2, machineOf, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { accountOf, reportOf } from "../fixture/reports.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";
import { addReportKey, type ReportKey, reportKeysPath } from "./report-keys.ts";

let site: Site;
let service: TestService;
let bmc: FakeBmc;
let key: ReportKey;

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, (login) => bmc.connect(login));
  key = await addReportKey(reportKeysPath(site.pki));
});
afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

const { IMPORT_RESULT_LINKED: linked, IMPORT_RESULT_WAITING: waiting, IMPORT_RESULT_STORED: stored } = ImportResult;
const send = (report: Uint8Array, as = service.operator): Promise<ImportReportResponse> =>
  call(as.bmc, as.bmc.importReport, { report: Buffer.from(report) });
const bring = (report: Report) => send(writeReport(report));
const onBmc = (name: string, password: string) => bmc.users.push({ slot: 3, name, password });
const audit = async () =>
  (await call(service.admin.bmc, service.admin.bmc.listAudit, { limit: 0, key: "", before: 0n })).entries;
async function accounts(): Promise<[string, AccountState][]> {
  const request = { mac: mac1, showSecrets: false };
  const { accounts: all } = await call(service.viewer.bmc, service.viewer.bmc.listAccounts, request);
  return all.map(({ userName, state }) => [userName, state]);
}

test("a report makes machine, BMC and accounts, the service logs in, and the same report again changes nothing", async () => {
  onBmc("rivetnew", canary);
  const before = await accountOf(key, { userName: "rivetold", password: "Older-pass-12345", confirmed: false });
  const report = reportOf([before, await accountOf(key, { userName: "rivetnew", password: canary })], {
    inventory: { processors: [], memoryBytes: 2n ** 36n, disks: [], networkInterfaces: [], gaps: [] },
  });
  const first = await bring(report);
  expect(first).toMatchObject({ result: linked, newAccounts: 2, reason: "" });
  expect(first.bmc).toMatchObject({
    mac: mac1,
    machineUuid: uuid1,
    state: State.STATE_LINKED,
    inventory: { memoryBytes: 2n ** 36n },
  });
  expect(await accounts()).toEqual([
    ["rivetnew", AccountState.ACCOUNT_STATE_VERIFIED],
    ["rivetold", AccountState.ACCOUNT_STATE_RETIRED],
  ]);
  const logins = bmc.logins.length;
  const second = await bring(report);
  expect(second).toMatchObject({ result: linked, newAccounts: 0, bmc: first.bmc });
  expect(bmc.logins).toHaveLength(logins);
  const [entry] = (await audit()).filter(({ action }) => action === "ImportReport");
  expect(entry).toMatchObject({ actor: "operator", result: "OK", subject: mac1 });
  const { entries } = await call(service.viewer.bmc, service.viewer.bmc.listHistory, { key: mac1, limit: 0 });
  const told = entries.filter(({ action }) => action === "report imported");
  expect(told.map(({ actor, detail }) => [actor, detail])).toEqual([
    ["operator", "report of metal-rivet test, written at 2026-01-02T03:04:05.000Z by its own clock: 2 accounts, 2 new"],
  ]);
  expect(service.log.join("\n")).not.toContain(canary);
});

test("the site is in the row and in the history; one that no agent tells is refused", async () => {
  const at = (site: string) => reportOf([], { machine: { ...machineOf(uuid1), site } });
  expect((await bring(at("Rack 12, Hall B"))).bmc?.machine?.site).toBe("Rack 12, Hall B");
  const { entries } = await call(service.viewer.bmc, service.viewer.bmc.listHistory, { key: mac1, limit: 0 });
  const details = entries.filter(({ action }) => action === "report imported").map(({ detail }) => detail);
  expect(details).toEqual([
    expect.stringContaining('report of metal-rivet test at site "Rack 12, Hall B", written at'),
  ]);
  for (const site of ["x".repeat(65), "Hall\u001b[2J"]) {
    expect(await refusal(bring(at(site)))).toMatchObject({ code: "INVALID_ARGUMENT", details: /^machine\.site: / });
  }
});

test("while the BMC cannot be reached the row says so; the next import logs in", async () => {
  bmc.deafFor = 1_000;
  const report = reportOf([await accountOf(key, { userName: "rivetnew", password: canary })]);
  const first = await bring(report);
  expect(first).toMatchObject({ result: waiting, newAccounts: 1, bmc: { state: State.STATE_FAILED } });
  expect(first.reason).toBe(first.bmc?.stateReason);
  bmc.deafFor = 0;
  onBmc("rivetnew", canary);
  expect(await bring(report)).toMatchObject({ result: linked, newAccounts: 0, bmc: { state: State.STATE_LINKED } });
});

describe("of a machine that the service knows already", () => {
  const ofBytes = (memoryBytes: bigint): Partial<Report> => ({ inventory: Inventory.fromPartial({ memoryBytes }) });
  const newer = { memoryBytes: 2n ** 37n };
  const older = { memoryBytes: 2n ** 36n };
  const named = async (userName: string, password: string) =>
    reportOf([await accountOf(key, { userName, password })], ofBytes(older.memoryBytes));

  test("what a machine has told itself since is not undone by its older report", async () => {
    const report = await named("rivetnew", canary);
    onBmc("rivetnew", canary);
    expect(await bring(report)).toMatchObject({ bmc: { inventory: older } });
    const agent = new EnrollingAgent(service.agent);
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { ipv4Address: "10.0.0.9" }));
    await agent.reportInventoryOf(newer.memoryBytes);
    // It waits for the login of the machine's own enrolment, and the import leaves it there.
    expect(await bring(report)).toMatchObject({ bmc: { inventory: older } });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await bring(report)).toMatchObject({ bmc: { facts: { ipv4Address: "10.0.0.9" }, inventory: newer } });
  });

  async function linkItself() {
    onBmc("rivetab12", "Secret-pass-1234");
    const agent = new EnrollingAgent(service.agent);
    await agent.enrol(
      uuid1,
      mac1,
      "rivetab12",
      "Secret-pass-1234",
      factsOf(mac1, { findings: ["seen by the machine"] }),
    );
    await agent.reportInventoryOf(newer.memoryBytes);
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  }

  test("a report whose account the BMC refuses describes nothing anew, though another account gets in", async () => {
    await linkItself();
    expect(await bring(await named("rivetold", canary))).toMatchObject({
      result: linked,
      newAccounts: 1,
      bmc: { state: State.STATE_LINKED, facts: { findings: ["seen by the machine"] }, inventory: newer },
    });
    expect(await accounts()).toEqual([
      ["rivetold", AccountState.ACCOUNT_STATE_REFUSED],
      ["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED],
    ]);
  });

  test("a report whose account opens the BMC describes machine and BMC", async () => {
    await linkItself();
    onBmc("rivetnew", canary);
    expect(await bring(await named("rivetnew", canary))).toMatchObject({
      result: linked,
      bmc: { facts: { findings: [] }, inventory: older },
    });
  });
});

test("a report of a machine without BMC, of a closed one, and of a run cut short are stored", async () => {
  const none = { bmc: undefined, noBmc: { tried: [{ way: "/dev/ipmi0", reason: "absent" }] } };
  expect(await bring(reportOf([], none))).toMatchObject({
    result: stored,
    bmc: { state: State.STATE_UNMANAGED, key: uuid1 },
  });
  const closed = { step: "escrow account", reason: "the BMC refuses (D4h)", inbandLocked: true };
  const locked = await bring(reportOf([], { machine: machineOf(uuid2), bmc: factsOf(mac2), endedEarly: closed }));
  expect(locked).toMatchObject({ result: stored, bmc: { state: State.STATE_LOCKED, mac: mac2 } });
  expect(locked.reason).toContain("operator must give credentials");
  const uuid3 = uuid2.replace(/2$/, "3");
  const cut = await bring(reportOf([], { machine: machineOf(uuid3), bmc: undefined }));
  expect(cut).toMatchObject({ result: stored, bmc: { key: uuid3 } });
  expect(cut.reason).toContain("the report ends before it tells whether there is a BMC");
});

test("while the machine itself enrols, its report waits, and afterwards nobody waits for the import", async () => {
  const agent = new EnrollingAgent(service.agent);
  await agent.begin(uuid1);
  const report = reportOf([await accountOf(key, { userName: "rivetnew", password: canary })]);
  const busy = await refusal(bring(report));
  expect(busy).toMatchObject({
    code: "ABORTED",
    details: expect.stringContaining("another enrolment of this machine"),
  });
  await agent.abort("begin", "enough");
  onBmc("rivetnew", canary);
  expect(await bring(report)).toMatchObject({ result: linked });
  await expect(agent.begin(uuid1)).resolves.toMatchObject({
    linkage: { mac: mac1, userName: "rivetnew", fresh: true },
  });
});

test("who claims a BMC that is linked to another machine is refused, as an agent is, and an admin decides", async () => {
  onBmc("rivetab12", "Secret-pass-1234");
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  const account = await accountOf(key, { userName: "rivetnew", password: canary }, uuid2);
  const claim = reportOf([account], { machine: machineOf(uuid2) });
  expect(await refusal(bring(claim))).toEqual({
    code: "FAILED_PRECONDITION",
    details: expect.stringContaining(`BMC ${mac1} is linked to machine ${uuid1}, but machine ${uuid2} reports it`),
  });
  expect(await accounts()).toEqual([["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED]]);
  const { conflicts } = await call(service.viewer.bmc, service.viewer.bmc.listConflicts, { all: false });
  expect(conflicts).toMatchObject([{ machineUuid: uuid2, claimedMac: mac1, claimedBy: "operator" }]);
});

test("accounts of a BMC that the machine has no longer, and passwords that do not open, are left out and named", async () => {
  onBmc("rivetnew", canary);
  const good = await accountOf(key, { userName: "rivetnew", password: canary });
  const gone = await accountOf(key, { userName: "rivetgone", password: canary, mac: mac2 });
  const stolen = { ...good, userName: "rivetstolen" };
  const { result, reason, newAccounts } = await bring(reportOf([gone, stolen, good]));
  expect([result, newAccounts]).toEqual([linked, 1]);
  expect(reason).toBe(
    `Account "rivetgone" is one of BMC ${mac2}, which is no longer this machine's. ` +
      'The password of account "rivetstolen" does not open: it was changed, or taken from another machine, BMC or account.',
  );
});

test("a report that is sealed to another service's key is refused, and nothing of it is stored", async () => {
  const stranger = await addReportKey(`${site.pki}/stranger.key`);
  const account = await accountOf(stranger, { userName: "rivetnew", password: canary });
  const { code, details } = await refusal(bring(reportOf([account])));
  expect(code).toBe("FAILED_PRECONDITION");
  expect(details).toContain(`sealed to key ${stranger.id}, this service has ${key.id}: import it at the service that`);
  expect(await refusal(accounts())).toMatchObject({ code: "NOT_FOUND" });
});

test("what is no report is refused with the place", async () => {
  const good = writeReport(reportOf([await accountOf(key, { userName: "rivetnew", password: canary })])).toString();
  const refused = async (text: string) => Object.values(await refusal(send(Buffer.from(text)))).join(": ");
  expect(await refused(good.slice(0, 100))).toMatch(/^INVALID_ARGUMENT: line \d+, column \d+: the text ends here/);
  expect(await refused(good.replace('"version": 1', '"version": 2'))).toMatch("version: this release reads version 1");
  expect(await refused(good.replace(uuid1, "none"))).toMatch('machine.uuid: "none" is no UUID');
  expect(await refused(good.replace('"slot": 3', '"slot": 64'))).toMatch("accounts[0].slot: 64 is not from 1 to 63");
  expect(await refused(good.replace('"proof": 1', '"proof": 9'))).toMatch("accounts[0].proof: it is none that");
  expect(await refused(good.replace("10.0.0.8", "10.0.0.999"))).toMatch('bmc.ipv4_address: "10.0.0.999" is no IPv4');
  expect(await refused('{"version":1}')).toMatch("machine: it is missing");
  const long = Buffer.alloc(mostReportBytes + 1, " ").toString();
  expect(await refused(long)).toMatch(`INVALID_ARGUMENT: report: ${mostReportBytes + 1} bytes, at most`);
});

test("a viewer and an agent may bring none", async () => {
  const report = writeReport(reportOf([]));
  for (const who of [service.viewer, service.agent]) {
    expect(await refusal(send(report, who))).toMatchObject({ code: "PERMISSION_DENIED" });
  }
});
