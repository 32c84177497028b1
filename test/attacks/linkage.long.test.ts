import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, collect, refusal } from "../../bmc-service/fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, uuid2 } from "../../bmc-service/fixture/enrolling.ts";
import type { BmcLogin } from "../../bmc-service/reach/connect-bmc.ts";
import { SessionError } from "../../outband-client/lan/index.ts";
import { IdentifyLed, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type BmcServiceService,
  BootTarget,
  ConflictDecision,
  PowerAction,
} from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type AttackedSite, attackedSite } from "./site.ts";

let site: AttackedSite;
/** Where the service went, and what it said there. */
const gone: string[] = [];
const said = new Set<string>();

beforeAll(async () => {
  site = await attackedSite({}, async (login: BmcLogin) => {
    gone.push(`${login.host}:${login.port}`);
    if (login.host !== "10.0.0.8") throw new SessionError(`lan:${login.host}`, "no answer", "nobody is there");
    const session = await site.bmc.connect(login);
    return {
      ...session,
      exchange(message, signal) {
        said.add(`${message.netFn.toString(16)}/${message.cmd.toString(16)}`);
        return session.exchange(message, signal);
      },
    };
  });
});
afterAll(() => site[Symbol.asyncDispose]());

/** Netfn and command of what the calls of the contract need, IPMI 2.0 appendix G: chassis, LAN parameters, users, GUID, channel. */
const needed = [
  "0/1",
  "0/2",
  "0/4",
  "0/8",
  "0/9",
  "6/1",
  "6/37",
  "6/41",
  "6/42",
  "6/44",
  "6/46",
  "6/47",
  "6/54",
  "6/59",
  "c/2",
];
/** What would lead further: Send Message (bridging), Master Write-Read, Activate Payload, OEM and firmware commands. */
const leading = ["6/34", "6/52", "6/48"];

test("an IPMI-only linkage reaches nothing else: each call of the contract goes to that BMC, with commands that lead nowhere", async () => {
  const { bmc: client } = site.service.admin;
  const mac = mac1;
  const calls: Record<keyof typeof BmcServiceService, () => Promise<unknown>> = {
    listBmcs: () => call(client, client.listBmcs, {}),
    getBmc: () => call(client, client.getBmc, { key: mac, showSecrets: true }),
    watchBmcs: async () => undefined,
    updateBmc: () => call(client, client.updateBmc, { mac, drivers: ["IPMI"], account: undefined, address: "" }),
    listAccounts: () => call(client, client.listAccounts, { mac, showSecrets: false }),
    getPower: () => call(client, client.getPower, { mac }),
    setPower: () => call(client, client.setPower, { mac, action: PowerAction.POWER_ACTION_OFF }),
    getBootTarget: () => call(client, client.getBootTarget, { mac }),
    setBootTarget: () =>
      call(client, client.setBootTarget, { mac, target: BootTarget.BOOT_TARGET_PXE, persistent: false, efi: true }),
    getIdentifyLed: () => call(client, client.getIdentifyLed, { mac }),
    setIdentifyLed: () =>
      call(client, client.setIdentifyLed, { mac, state: IdentifyLed.IDENTIFY_LED_TIMED, seconds: 15 }),
    console: () => collect(client.console() as never),
    listHistory: () => call(client, client.listHistory, { key: mac, limit: 0 }),
    rotateAccount: () => call(client, client.rotateAccount, { mac }),
    // A report that is none; a right one logs in as an enrolment does.
    importReport: () => refusal(call(client, client.importReport, { report: Buffer.from("{}") })),
    createToken: () => call(client, client.createToken, { machineUuid: "", ttlSeconds: 60, uses: 1 }),
    listTokens: () => call(client, client.listTokens, { all: false }),
    revokeToken: () => call(client, client.revokeToken, { id: "rvt_000000000000" }),
    listConflicts: () => call(client, client.listConflicts, { all: true }),
    resolveConflict: () =>
      call(client, client.resolveConflict, { id: "1", decision: ConflictDecision.CONFLICT_DECISION_DISMISSED }),
    listAudit: () => call(client, client.listAudit, { limit: 0, key: "", before: 0n }),
    // The row is gone after it.
    deleteBmc: () => refusal(call(site.service.operator.bmc, site.service.operator.bmc.deleteBmc, { key: mac })),
  };
  const refused = ["console", "revokeToken", "resolveConflict"];
  for (const [name, make] of Object.entries(calls)) {
    if (refused.includes(name)) await refusal(make());
    else await make();
  }
  expect(said.size).toBeGreaterThan(5);
  expect([...said].filter((each) => !needed.includes(each))).toEqual([]);
  expect(needed.filter((each) => leading.includes(each))).toEqual([]);
  expect(new Set(gone)).toEqual(new Set(["10.0.0.8:623"]));
});

test("an agent, whose linkage it is, may not use it", async () => {
  const { bmc: client } = site.service.agent;
  const action = PowerAction.POWER_ACTION_ON;
  expect(await refusal(call(client, client.setPower, { mac: mac1, action }))).toMatchObject({
    code: "PERMISSION_DENIED",
  });
  expect(await refusal(call(client, client.getBmc, { key: mac1, showSecrets: true }))).toMatchObject({
    code: "PERMISSION_DENIED",
  });
});

describe("a BMC that an agent says is at", () => {
  test.each([
    ["127.0.0.1", 623, "the service's own machine"],
    ["127.0.0.1", 5432, "the service's own machine"],
    ["169.254.169.254", 623, "link-local"],
    ["224.0.0.1", 623, "multicast"],
    ["255.255.255.255", 623, "broadcast"],
    ["10.0.0.8", 53, "port 53 belongs to another service"],
  ])("%s, port %i, is not gone to", async (ipv4Address, rmcpPort, why) => {
    gone.length = 0;
    site.attacks();
    const agent = new EnrollingAgent(site.service.agent);
    await agent.enrol(uuid2, mac2, "rivetzz12cd34ef", "An-other_Pw9kX2mQ", factsOf(mac2, { ipv4Address, rmcpPort }));
    const last = (await agent.handOff()).at(-1)?.event;
    expect(last).toMatchObject({
      $case: "failed",
      value: { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: expect.stringContaining(why) },
    });
    expect(gone).toEqual([]);
    expect(site.attacks()).toMatchObject([{ attack: "address", mac: mac2, reason: expect.stringContaining(why) }]);
    const { bmc: client } = site.service.viewer;
    const { bmc } = await call(client, client.getBmc, { key: mac2, showSecrets: false });
    const text = `the service does not go to ${ipv4Address}:${rmcpPort}: `;
    expect(bmc?.warnings).toContainEqual({
      kind: WarningKind.WARNING_KIND_ADDRESS,
      text: expect.stringContaining(text),
    });
    await call(site.service.admin.bmc, site.service.admin.bmc.deleteBmc, { key: mac2 });
  });
});

test("an operator cannot send the service to its own machine either", async () => {
  gone.length = 0;
  const { bmc: client } = site.service.operator;
  const account = { userName: "ADMIN", password: Buffer.from("An-other_Pw9kX2mQ") };
  const request = { mac: mac1, drivers: [], account, address: "127.0.0.1:5432" };
  expect(await refusal(call(client, client.updateBmc, request))).toEqual({
    code: "INVALID_ARGUMENT",
    details: "address: 127.0.0.1 is the service's own machine (--bmc-networks of the service)",
  });
  expect(gone).toEqual([]);
});
