import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bmc, IdentifyLed, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { BootTarget, PowerAction, type WatchBmcsResponse } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

let site: Site;
let bmc: FakeBmc;
let service: TestService;

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, bmc.connect, {
    addresses: new Map([[mac1, { host: "127.0.0.1", port: 9001 }]]),
  });
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

async function link(): Promise<void> {
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
  bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
  await agent.handOff();
  bmc.commands.length = 0;
}

const setPower = (action: PowerAction, mac = mac1) =>
  call(service.operator.bmc, service.operator.bmc.setPower, { mac, action });

describe("power", () => {
  beforeEach(link);

  test("is read and changed, and the driver that served is named", async () => {
    const { bmc: client } = service.operator;
    expect(await call(client, client.getPower, { mac: mac1 })).toEqual({ powerOn: true, servedBy: "IPMI" });
    expect(await setPower(PowerAction.POWER_ACTION_OFF)).toEqual({ powerOn: false, servedBy: "IPMI" });
    expect(await setPower(PowerAction.POWER_ACTION_ON)).toEqual({ powerOn: true, servedBy: "IPMI" });
    expect(await setPower(PowerAction.POWER_ACTION_CYCLE)).toEqual({ powerOn: true, servedBy: "IPMI" });
    const { entries } = await call(client, client.listHistory, { key: mac1, limit: 3 });
    expect(entries.map(({ actor, action }) => `${actor}: ${action}`)).toEqual([
      "operator: power cycle",
      "operator: power on",
      "operator: power off",
    ]);
    expect(bmc.openSessions).toBe(0);
  });

  test("is never told twice, also when the answer is lost", async () => {
    bmc.lostAnswers.add("Chassis Control");
    const refused = await refusal(setPower(PowerAction.POWER_ACTION_CYCLE));
    expect(refused.code).toBe("DEADLINE_EXCEEDED");
    expect(refused.details).toContain("IPMI: ");
    expect(refused.details).toContain("may have done it");
    expect(bmc.commands.filter((name) => name === "Chassis Control")).toHaveLength(1);
  });

  test.each([0xc3, 0xce])("may be changed although the BMC answers %i", async (completionCode) => {
    bmc.completionCodes.set("Chassis Control", completionCode);
    const refused = await refusal(setPower(PowerAction.POWER_ACTION_CYCLE));
    expect(refused.code).toBe("DEADLINE_EXCEEDED");
    expect(refused.details).toContain("may have done it");
  });

  test("is told as changed also when a broken database keeps it from being written down", async () => {
    const database = new DatabaseSync(join(site.data, "bmc-service.db"));
    database.exec("CREATE TRIGGER a BEFORE INSERT ON history BEGIN SELECT RAISE(FAIL, 'broken'); END");
    database.exec("CREATE TRIGGER b BEFORE UPDATE ON bmcs BEGIN SELECT RAISE(FAIL, 'broken'); END");
    database.close();
    expect(await setPower(PowerAction.POWER_ACTION_OFF)).toEqual({ powerOn: false, servedBy: "IPMI" });
    expect(service.log.join("")).toContain("call not stored");
    // The reason of a failure is not lost behind that of the database either.
    expect((await refusal(setPower(PowerAction.POWER_ACTION_CYCLE))).details).toContain("D5h");
  });

  test("is not changed any more when the caller has gone before its turn", async () => {
    const { bmc: client } = service.operator;
    const gate = Promise.withResolvers<void>();
    bmc.gate = gate.promise;
    const first = call(client, client.getPower, { mac: mac1 });
    await expect.poll(() => bmc.logins.length).toBe(2);
    const second = client.setPower({ mac: mac1, action: PowerAction.POWER_ACTION_OFF }, () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    second.cancel();
    await expect.poll(() => service.log.join("")).toContain('"code":"CANCELLED"');
    gate.resolve();
    await first;
    expect(await call(client, client.getPower, { mac: mac1 })).toMatchObject({ powerOn: true });
    expect(bmc.commands).not.toContain("Chassis Control");
  });

  test("by an account that the BMC does not let in is refused, not put off", async () => {
    bmc.users[0]!.password = "another";
    const refused = await refusal(setPower(PowerAction.POWER_ACTION_CYCLE));
    expect(refused.code).toBe("PERMISSION_DENIED");
    expect(refused.details).toContain("wrong password");
    expect(refused.details).not.toContain("certificate");
    expect(bmc.commands).toEqual([]);
  });

  test("that is cycled is off for a moment, which is not taken for the end", async () => {
    bmc.offReadings = 3;
    expect((await setPower(PowerAction.POWER_ACTION_CYCLE)).powerOn).toBe(true);
    expect(bmc.commands.filter((name) => name === "Get Chassis Status")).toHaveLength(4);
    expect(bmc.commands.filter((name) => name === "Chassis Control")).toHaveLength(1);
  });

  test("refused by the BMC gives its reason", async () => {
    bmc.powerOn = false;
    const refused = await refusal(setPower(PowerAction.POWER_ACTION_CYCLE));
    expect(refused).toMatchObject({ code: "UNAVAILABLE" });
    expect(refused.details).toContain("D5h");
  });

  test("says that it was changed when only the reading afterwards failed", async () => {
    bmc.completionCodes.set("Get Chassis Status", 0xff);
    const refused = await refusal(setPower(PowerAction.POWER_ACTION_RESET));
    expect(refused.details).toContain("accepted it");
  });

  test("is read again while the BMC answers with errors, or with the old state, for a moment", async () => {
    bmc.completionCodes.set("Get Chassis Status", 0xff);
    const answer = setPower(PowerAction.POWER_ACTION_OFF);
    await expect.poll(() => bmc.commands.includes("Get Chassis Status")).toBe(true);
    bmc.completionCodes.clear();
    expect((await answer).powerOn).toBe(false);
    expect(bmc.commands.filter((name) => name === "Chassis Control")).toHaveLength(1);
  });

  test("needs an action", async () => {
    expect(await refusal(setPower(PowerAction.POWER_ACTION_UNSPECIFIED))).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: "action: say what to do with the power",
    });
    expect(await refusal(setPower(77 as PowerAction))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("of one BMC is asked in one session after the other", async () => {
    const { bmc: client } = service.operator;
    await Promise.all(Array.from({ length: 5 }, () => call(client, client.getPower, { mac: mac1 })));
    expect(bmc.mostOpenSessions).toBe(1);
  });
});

test("the boot target is set and read back", async () => {
  await link();
  const { bmc: client } = service.operator;
  const none = { target: BootTarget.BOOT_TARGET_NONE, persistent: false, efi: false, servedBy: "IPMI" };
  expect(await call(client, client.getBootTarget, { mac: mac1 })).toEqual(none);
  const pxe = { target: BootTarget.BOOT_TARGET_PXE, persistent: true, efi: true };
  expect(await call(client, client.setBootTarget, { mac: mac1, ...pxe })).toEqual({ ...pxe, servedBy: "IPMI" });
  expect(await call(client, client.getBootTarget, { mac: mac1 })).toEqual({ ...pxe, servedBy: "IPMI" });
  for (const target of [
    BootTarget.BOOT_TARGET_DISK,
    BootTarget.BOOT_TARGET_BIOS,
    BootTarget.BOOT_TARGET_CDROM,
    BootTarget.BOOT_TARGET_NONE,
  ]) {
    const answer = await call(client, client.setBootTarget, { mac: mac1, target, persistent: false, efi: false });
    expect(answer.target).toBe(target);
  }
  const unspecified = { mac: mac1, target: BootTarget.BOOT_TARGET_UNSPECIFIED, persistent: false, efi: false };
  expect(await refusal(call(client, client.setBootTarget, unspecified))).toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("the identify LED is set and read back", async () => {
  await link();
  const { bmc: client } = service.operator;
  const set = (state: IdentifyLed, seconds = 0) =>
    call(client, client.setIdentifyLed, { mac: mac1, state, seconds }).then((answer) => answer.state);
  expect(await set(IdentifyLed.IDENTIFY_LED_ON)).toBe(IdentifyLed.IDENTIFY_LED_ON);
  expect(await set(IdentifyLed.IDENTIFY_LED_TIMED, 30)).toBe(IdentifyLed.IDENTIFY_LED_TIMED);
  expect(await set(IdentifyLed.IDENTIFY_LED_OFF)).toBe(IdentifyLed.IDENTIFY_LED_OFF);
  expect((await call(client, client.getIdentifyLed, { mac: mac1 })).state).toBe(IdentifyLed.IDENTIFY_LED_OFF);
  expect((await refusal(set(IdentifyLed.IDENTIFY_LED_TIMED))).details).toBe("seconds: 0 is not from 1 to 255");
  expect((await refusal(set(IdentifyLed.IDENTIFY_LED_UNSPECIFIED))).code).toBe("INVALID_ARGUMENT");
});

describe("rows", () => {
  test("are ordered by MAC, machines without BMC last", async () => {
    const other = new EnrollingAgent(service.agent);
    await other.begin("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03");
    await other.reportNone();
    await other.begin(uuid2);
    await other.report(factsOf(mac2));
    await link();
    const { bmcs } = await call(service.operator.bmc, service.operator.bmc.listBmcs, {});
    expect(bmcs.map(({ mac }) => mac)).toEqual([mac1, mac2, ""]);
    expect(bmcs.map(({ address }) => address)).toEqual(["127.0.0.1:9001", "10.0.0.8", ""]);
    expect(bmcs.every(({ account }) => (account?.password ?? "") === "")).toBe(true);
  });

  test("can be listed in brief: what a table shows is as in whole rows, and the rest is left out", async () => {
    const other = new EnrollingAgent(service.agent);
    await other.begin("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03");
    await other.reportNone();
    await link();
    const { bmc: client } = service.operator;
    const { bmcs: whole } = await call(client, client.listBmcs, {});
    const { bmcs: brief } = await call(client, client.listBmcs, { brief: true });
    const shown = ({ key, mac, address, vendor, drivers, machineUuid, state, stateReason, warnings, facts }: Bmc) => {
      const { ipv4Address, ipv6Addresses } = facts ?? {};
      return {
        key,
        mac,
        address,
        vendor,
        drivers,
        machineUuid,
        state,
        stateReason,
        warnings,
        ipv4Address,
        ipv6Addresses,
      };
    };
    expect(brief.map(shown)).toEqual(whole.map(shown));
    expect(brief.map(({ machine, account, chassis }) => [machine, account, chassis])).toEqual([
      [undefined, undefined, undefined],
      [undefined, undefined, undefined],
    ]);
    expect(whole[0]?.account).toBeDefined();
    expect(brief[0]?.facts?.firmwareVersion).toBe("");
  });

  test("that are not there are not found, and a malformed key is named", async () => {
    const { bmc: client } = service.operator;
    const get = (key: string) => refusal(call(client, client.getBmc, { key, showSecrets: false }));
    expect(await get(mac2)).toEqual({ code: "NOT_FOUND", details: `there is no BMC ${mac2}` });
    expect(await get(uuid2)).toMatchObject({ code: "NOT_FOUND" });
    expect(await get("27:53:57:51:6b")).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect((await get("\u001b[31mred")).details).not.toContain("\u001b");
    expect(await refusal(setPower(PowerAction.POWER_ACTION_ON, "nonsense"))).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: 'mac: "nonsense" is no MAC address (six pairs of hexadecimal digits)',
    });
    expect(await refusal(call(client, client.listHistory, { key: mac2, limit: 0 }))).toMatchObject({
      code: "NOT_FOUND",
    });
    expect(await refusal(call(service.admin.bmc, service.admin.bmc.deleteBmc, { key: mac2 }))).toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("are found by MAC in any form, and by UUID in any case", async () => {
    await link();
    const { bmc: client } = service.operator;
    for (const key of [mac1.toUpperCase(), mac1.replaceAll(":", "-"), uuid1.toUpperCase()]) {
      const { bmc: row } = await call(client, client.getBmc, { key, showSecrets: false });
      expect(row?.mac).toBe(mac1);
    }
  });

  test("without account, address or BMC cannot be controlled", async () => {
    const agent = new EnrollingAgent(service.agent);
    await agent.begin(uuid2);
    await agent.report(factsOf(mac2, { ipv4Address: "" }));
    const action = PowerAction.POWER_ACTION_ON;
    expect(await refusal(setPower(action, mac2))).toMatchObject({
      code: "FAILED_PRECONDITION",
      details: `BMC ${mac2} has no account yet: its machine has to enrol`,
    });
    await agent.escrow(mac2, "rivetab12", "Secret-pass-1234");
    const refused = await refusal(setPower(action, mac2));
    expect(refused).toMatchObject({ code: "UNAVAILABLE" });
    expect(refused.details).toContain(`IPMI: BMC ${mac2} has no address`);
  });

  test("have drivers that an operator may reorder, of those that there are", async () => {
    await link();
    const { bmc: client } = service.operator;
    const update = (drivers: string[]) =>
      call(client, client.updateBmc, { mac: mac1, drivers, account: undefined, address: "" });
    expect((await update(["IPMI"])).bmc?.drivers).toEqual(["IPMI"]);
    expect((await update([])).bmc?.drivers).toEqual(["IPMI"]);
    expect((await refusal(update(["IPMI", "Telepathy"]))).details).toBe(
      'drivers[1]: "Telepathy" is no driver of this service; it has IPMI',
    );
    expect((await refusal(update(["IPMI", "IPMI"]))).details).toBe("drivers[1]: IPMI is named twice");
  });

  test("that were deleted leave their history", async () => {
    await link();
    const { bmc: client } = service.operator;
    await call(service.admin.bmc, service.admin.bmc.deleteBmc, { key: uuid1 });
    expect(await refusal(call(client, client.getBmc, { key: mac1, showSecrets: false }))).toMatchObject({
      code: "NOT_FOUND",
    });
    const { entries } = await call(client, client.listHistory, { key: mac1, limit: 1 });
    expect(entries).toMatchObject([{ action: "deleted", actor: "admin" }]);
  });
});

test("a watcher gets every row, then each change, then each end", async () => {
  await link();
  const stream = service.operator.bmc.watchBmcs({});
  const seen: WatchBmcsResponse[] = [];
  stream.on("data", (message: WatchBmcsResponse) => seen.push(message));
  const ended = new Promise<string>((resolve) => {
    stream.on("error", (error) => resolve(error.message));
  });
  await expect.poll(() => seen.map(({ change }) => change?.$case)).toEqual(["bmc", "snapshotComplete"]);
  const agent = new EnrollingAgent(service.agent);
  await agent.begin(uuid2);
  await agent.report(factsOf(mac2));
  await expect
    .poll(() => seen.at(-1)?.change)
    .toMatchObject({ $case: "bmc", value: { mac: mac2, state: State.STATE_REPORTED } });
  await call(service.admin.bmc, service.admin.bmc.deleteBmc, { key: mac1 });
  await expect.poll(() => seen.at(-1)?.change).toEqual({ $case: "deletedKey", value: mac1 });
  stream.cancel();
  expect(await ended).toContain("CANCELLED");
});

test("operator accounts are not asked to be administrators", async () => {
  using elsewhere = await newSite();
  const asked: string[] = [];
  const connect: typeof bmc.connect = (login) => {
    asked.push(login.privilege);
    return bmc.connect(login);
  };
  const policy = {
    userNamePrefix: "rivet",
    privilege: 3,
    verificationRequired: true,
    consoleUserWanted: false,
  } as const;
  await using humble = await startTestService(elsewhere, connect, { policy });
  const agent = new EnrollingAgent(humble.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
  bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234", limit: "operator" });
  await agent.handOff();
  await call(humble.operator.bmc, humble.operator.bmc.getPower, { mac: mac1 });
  expect(asked).toEqual(["operator", "operator"]);
});
