import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { call } from "../../bmc-service/fixture/clients.ts";
import { EnrollingAgent, factsOf, namesOf } from "../../bmc-service/fixture/enrolling.ts";
import { newSite, type Site, startTestService, type TestService } from "../../bmc-service/fixture/service.ts";
import { BmcNetworks, parseNetwork } from "../../bmc-service/reach/bmc-networks.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { BootTarget, PowerAction } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { FailureKind, GuidComparison } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type IpmiSim, startIpmiSim } from "../lab/ipmi-sim.ts";
import { freeUdpPort } from "../lab/ports.ts";
import { openPowerLine, type PowerLine, type PowerRequest } from "../lab/power-line.ts";

/** The service's side of the main job on a BMC that is not ours: OpenIPMI's ipmi_sim. */
const mac = "02:00:5e:10:00:21";
const movedMac = "02:00:5e:10:00:22";
const silentMac = "02:00:5e:10:00:23";
const guid = "00112233445566778899aabbccddeeff";
const user = { slot: 4, name: "rivetpeer1", password: "Pz4-sim.Word_9kQ", privilege: "admin" } as const;

const stack = new AsyncDisposableStack();
let site: Site;
let sim: IpmiSim;
let powerLine: PowerLine;
const requests: PowerRequest[] = [];
let service: TestService;
let agent: EnrollingAgent;

beforeAll(async () => {
  site = stack.use(await newSite());
  const directory = join(site.directory, "sim");
  mkdirSync(directory);
  powerLine = stack.use(
    await openPowerLine(directory, (request) => {
      requests.push(request);
      if (request.kind === "power") powerLine.setPower(request.on);
    }),
  );
  const { program: powerProgram } = powerLine;
  const factory = { slot: 2, name: "ADMIN", password: "ADMIN", privilege: "admin" } as const;
  sim = stack.use(await startIpmiSim({ directory, mac, ip: "192.0.2.61", guid, users: [factory, user], powerProgram }));
  const here = { host: "127.0.0.1", port: sim.lanPort };
  const addresses = new Map([
    [mac, here],
    [movedMac, here],
    [silentMac, { host: "127.0.0.1", port: await freeUdpPort() }],
  ]);
  const handOffLimits = { totalMs: 30_000, retries: 1, firstWaitMs: 50 };
  service = stack.use(await startTestService(site, connectLan, { addresses, handOffLimits }));
});
afterAll(() => stack.disposeAsync());

beforeEach(() => {
  agent = new EnrollingAgent(service.agent);
});

const uuidOf = (n: number) => `5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1f0${n}`;

async function rowOf(key: string) {
  const { bmc } = service.operator;
  return (await call(bmc, bmc.getBmc, { key, showSecrets: false })).bmc;
}

async function failureOf(uuid: string, at: string, password: string) {
  await agent.enrol(uuid, at, user.name, password);
  const last = (await agent.handOff()).at(-1)?.event;
  if (last?.$case !== "failed") throw new Error(`the last event is ${last?.$case}`);
  expect((await rowOf(at))?.state).toBe(State.STATE_FAILED);
  expect((await rowOf(at))?.stateReason).toBe(last.value.reason);
  expect(last.value.reason).not.toContain(password);
  return last.value.kind;
}

describe("the service takes over ipmi_sim", () => {
  test("when the account, MAC, GUID and privilege hold", async () => {
    await agent.begin(uuidOf(1));
    await agent.report(factsOf(mac, { guid: "" }));
    const id = await agent.escrow(mac, user.name, user.password, user.slot);
    await agent.confirm(id, user.slot);
    const events = await agent.handOff();
    expect(namesOf(events)).toEqual([
      "connecting",
      "loggedIn",
      "macMatches",
      "guidCompared",
      "privilegeOk",
      "handedOff",
    ]);
    expect(events.map(({ event }) => event)).toContainEqual({
      $case: "guidCompared",
      value: { result: GuidComparison.GUID_COMPARISON_NOT_COMPARABLE, guid },
    });
    expect(await rowOf(mac)).toMatchObject({ state: State.STATE_LINKED, remoteGuid: guid, chassis: {} });
  });

  test("and switches its power", async () => {
    const { bmc } = service.operator;
    const set = async (action: PowerAction) => (await call(bmc, bmc.setPower, { mac, action })).powerOn;
    expect(await call(bmc, bmc.getPower, { mac })).toEqual({ powerOn: false, servedBy: "IPMI" });
    expect(await set(PowerAction.POWER_ACTION_ON)).toBe(true);
    expect(await set(PowerAction.POWER_ACTION_RESET)).toBe(true);
    expect(await set(PowerAction.POWER_ACTION_OFF)).toBe(false);
    await expect
      .poll(() => requests.map((request) => `${request.kind}${request.kind === "power" ? ` ${request.on}` : ""}`))
      .toEqual(["power true", "reset", "power false"]);
    expect((await rowOf(mac))?.chassis?.powerOn).toBe(false);
  });

  test("and sets its boot target", async () => {
    const { bmc } = service.operator;
    const target = BootTarget.BOOT_TARGET_PXE;
    const answer = await call(bmc, bmc.setBootTarget, { mac, target, persistent: false, efi: false });
    expect(answer).toMatchObject({ target, servedBy: "IPMI" });
    expect(powerLine.bootDevice).toBe("pxe");
    // The simulator never shows the valid bit: to whoever only reads there is no override.
    expect((await call(bmc, bmc.getBootTarget, { mac })).target).toBe(BootTarget.BOOT_TARGET_NONE);
  });

  test("and again, with a rotation that never reached the BMC", async () => {
    await agent.begin(uuidOf(1));
    await agent.report(factsOf(mac, { guid }));
    await agent.escrow(mac, "rivetpeer2", "An0ther-Pass.w0r", user.slot);
    const events = await agent.handOff();
    expect(namesOf(events).at(-1)).toBe("handedOff");
    expect((await rowOf(mac))?.account?.userName).toBe(user.name);
    expect(events.map(({ event }) => event)).toContainEqual({
      $case: "guidCompared",
      value: { result: GuidComparison.GUID_COMPARISON_SAME_AS_INBAND, guid },
    });
  });
});

test("the service finds the MAC address of a BMC that tells none in-band, where an operator says that it is", async () => {
  using elsewhere = await newSite();
  await using other = await startTestService(elsewhere, connectLan, {
    networks: new BmcNetworks([parseNetwork("127.0.0.0/8")]),
  });
  const hidden = new EnrollingAgent(other.agent);
  await hidden.begin(uuidOf(6));
  await hidden.report(factsOf("", { channel: 0, ipv4Address: "", channels: [], guid }));
  const { bmc } = other.operator;
  const account = { userName: user.name, password: Buffer.from(user.password) };
  const address = `127.0.0.1:${sim.lanPort}`;
  const row = (await call(bmc, bmc.updateBmc, { mac: uuidOf(6), drivers: [], account, address })).bmc;
  expect(row).toMatchObject({
    mac,
    address,
    state: State.STATE_LINKED,
    remoteGuid: guid,
    account: { slot: user.slot },
  });
  expect((await call(bmc, bmc.getPower, { mac })).servedBy).toBe("IPMI");
});

describe("the service does not take over", () => {
  test("with a wrong password", async () => {
    const other = "02:00:5e:10:00:24";
    const here = { host: "127.0.0.1", port: sim.lanPort };
    using elsewhere = await newSite();
    await using second = await startTestService(elsewhere, connectLan, { addresses: new Map([[other, here]]) });
    const wrong = new EnrollingAgent(second.agent);
    await wrong.enrol(uuidOf(2), other, user.name, "Wr0ng-Pass.word1");
    const last = (await wrong.handOff()).at(-1)?.event;
    expect(last).toMatchObject({ $case: "failed", value: { kind: FailureKind.FAILURE_KIND_LOGIN_REFUSED } });
  });

  test("a BMC with another MAC", async () => {
    expect(await failureOf(uuidOf(3), movedMac, user.password)).toBe(FailureKind.FAILURE_KIND_OTHER_BMC);
  });

  test("a BMC that does not answer", async () => {
    expect(await failureOf(uuidOf(5), silentMac, user.password)).toBe(FailureKind.FAILURE_KIND_UNREACHABLE);
  });
});

// The last one: the password of `user` is another one then.
test("the service gives its account on ipmi_sim a new password, and the old one opens it no more", async () => {
  const { bmc } = service.operator;
  expect((await call(bmc, bmc.rotateAccount, { mac })).bmc).toMatchObject({
    state: State.STATE_LINKED,
    account: { userName: user.name, slot: user.slot },
  });
  expect((await call(bmc, bmc.getPower, { mac })).servedBy).toBe("IPMI");
  const { accounts } = await call(bmc, bmc.listAccounts, { mac, showSecrets: true });
  const inUse = accounts.find(({ state }) => state === AccountState.ACCOUNT_STATE_VERIFIED);
  const login = (password: string) =>
    connectLan({
      ...{ host: "127.0.0.1", port: sim.lanPort, user: user.name, password: Buffer.from(password, "latin1") },
      signal: new AbortController().signal,
    });
  await using _session = await login(inUse?.password ?? "");
  await expect(login(user.password)).rejects.toMatchObject({ status: "wrong password" });
});

test("the service logs in with the new name and the old password, as a crash between the two leaves them", async () => {
  // On the BMC: name of `user` and the password of the rotation. At the service: that password under an older name, that name with a newer password.
  // While it is known whose BMC that is, no account of another machine is tried there.
  const { bmc } = service.admin;
  const password = (await call(bmc, bmc.getBmc, { key: mac, showSecrets: true })).bmc?.account?.password ?? "";
  await call(bmc, bmc.deleteBmc, { key: mac });
  await agent.begin(uuidOf(4));
  await agent.report(factsOf(movedMac));
  await agent.escrow(movedMac, "rivetolder", password, user.slot);
  await agent.escrow(movedMac, user.name, "Newer-Pass_w0rd1", user.slot);
  const events = namesOf(await agent.handOff());
  // Logged in by the mixed pair; then it turns out that it is not the BMC that was reported.
  expect(events).toEqual(["connecting", "loggedIn", "failed"]);
});
