import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccountState, State, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { FailureKind, GuidComparison } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

let site: Site;
let bmc: FakeBmc;
let service: TestService;
let agent: EnrollingAgent;

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, bmc.connect);
  agent = new EnrollingAgent(service.agent);
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

async function rowOf(key: string, showSecrets = false) {
  const { bmc: row } = await call(service.operator.bmc, service.operator.bmc.getBmc, { key, showSecrets });
  if (row === undefined) throw new Error("no row in the answer");
  return row;
}

async function accountsOf(mac: string) {
  const { accounts } = await call(service.operator.bmc, service.operator.bmc.listAccounts, { mac, showSecrets: true });
  return accounts;
}

async function historyOf(key: string) {
  const { entries } = await call(service.operator.bmc, service.operator.bmc.listHistory, { key, limit: 0 });
  return entries.map(({ action }) => action);
}

describe("a first enrolment", () => {
  test("links the machine when the remote login holds, step by step", async () => {
    const { linkage, policy } = await agent.begin(uuid1);
    expect(linkage).toBeUndefined();
    expect(policy).toEqual({
      userNamePrefix: "rivet",
      privilege: 4,
      verificationRequired: true,
      consoleUserWanted: false,
    });
    await agent.report(factsOf(mac1));
    expect((await rowOf(mac1)).state).toBe(State.STATE_REPORTED);
    const id = await agent.escrow(mac1, "rivetab12", "Secret-pass-1234");
    expect((await rowOf(mac1)).state).toBe(State.STATE_ESCROWED);
    await agent.confirm(id);
    expect((await rowOf(mac1)).state).toBe(State.STATE_CONFIRMED);
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    bmc.guid = "00112233445566778899aabbccddeeff";

    const events = await agent.handOff();

    expect(namesOf(events)).toEqual([
      "connecting",
      "loggedIn",
      "macMatches",
      "guidCompared",
      "privilegeOk",
      "handedOff",
    ]);
    const row = await rowOf(mac1);
    expect(row).toMatchObject({
      state: State.STATE_LINKED,
      stateReason: "",
      address: "10.0.0.8",
      vendor: "QEMU",
      drivers: ["IPMI"],
      machineUuid: uuid1,
      remoteGuid: bmc.guid,
      chassis: { powerOn: true },
      account: { userName: "rivetab12", slot: 3, state: AccountState.ACCOUNT_STATE_VERIFIED, password: "" },
    });
    expect(row.verifiedAt).toBeInstanceOf(Date);
    expect((await rowOf(uuid1, true)).account?.password).toBe("Secret-pass-1234");
    expect(await historyOf(mac1)).toEqual(["secrets shown", "linked", "confirmed", "escrowed", "reported"]);
    expect(bmc.openSessions).toBe(0);
  });

  test("tells a machine that comes again what is known of it", async () => {
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    await agent.handOff();
    const { linkage } = await agent.begin(uuid1);
    expect(linkage).toMatchObject({
      mac: mac1,
      channel: 1,
      userName: "rivetab12",
      slot: 3,
      fresh: true,
      knownUserNames: ["rivetab12"],
    });
    // A short look: no channels, and what it leaves out stays.
    const before = await rowOf(mac1);
    const short = { manufacturerId: 0, channels: [], ipv4Address: "10.0.0.9" };
    await agent.report(factsOf(mac1, short));
    const after = await rowOf(mac1);
    expect(after.facts).toEqual({ ...before.facts, ipv4Address: "10.0.0.9" });
    expect(after.state).toBe(State.STATE_LINKED);
    bmc.logins.length = 0;
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(bmc.logins).toEqual(["rivetab12"]);
  });

  test("leaves a machine alone at its next boot only when the run has closed all former accounts", async () => {
    const facts = factsOf(mac1);
    const fresh = async () => (await agent.begin(uuid1)).linkage?.fresh;
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    await agent.report(facts, 2);
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    const cutOff = agent.sessionToken;
    await agent.handOff();
    expect(await fresh()).toBe(false);
    // What another session says of it counts for nothing.
    await agent.report(facts, 0);
    expect(await fresh()).toBe(false);
    expect(agent.sessionToken).not.toBe(cutOff);
    await agent.report(facts);
    bmc.users.push({ slot: 4, name: "rivetcd34", password: "Secret-pass-5678" });
    await agent.confirm(await agent.escrow(mac1, "rivetcd34", "Secret-pass-5678", 4), 4);
    await agent.report(facts, 1);
    await agent.handOff();
    await agent.report(facts, 0);
    expect(await fresh()).toBe(true);
    const refused = await refusal(agent.report(facts, 64));
    expect(refused).toMatchObject({ code: "INVALID_ARGUMENT", details: expect.stringContaining("former_accounts") });
  });

  test("is the same when every call is made twice", async () => {
    const { enrolment } = service.agent;
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1));
    await agent.report(factsOf(mac1));
    const id = await agent.escrow(mac1, "rivetab12", "Secret-pass-1234");
    expect(await agent.escrow(mac1, "rivetab12", "Secret-pass-1234")).toBe(id);
    await agent.confirm(id);
    await agent.confirm(id);
    expect(await accountsOf(mac1)).toHaveLength(1);
    expect(await historyOf(mac1)).toEqual(["secrets shown", "confirmed", "escrowed", "reported"]);
    // A second Begin takes the place of the first: the answer to that may have been lost.
    const first = agent.sessionToken;
    await agent.begin(uuid1);
    expect(agent.sessionToken).not.toBe(first);
    const end = { step: "set account", reason: "test", inbandLocked: false };
    expect(await refusal(call(enrolment, enrolment.abort, { sessionToken: first, ...end }))).toEqual({
      code: "UNAUTHENTICATED",
      details: "session_token: over, another enrolment of this machine has begun since; begin again",
    });
    await agent.report(factsOf(mac1));
    await agent.abort(end.step, end.reason);
    expect((await rowOf(mac1)).stateReason).toBe('the agent stopped at step "set account": test');
  });

  test("of a machine without BMC is a row without MAC", async () => {
    await agent.begin(uuid1);
    await agent.reportNone();
    expect(await rowOf(uuid1)).toMatchObject({
      mac: "",
      drivers: ["Unmanaged"],
      state: State.STATE_UNMANAGED,
      machineUuid: uuid1,
      stateReason: "no BMC found (/dev/ipmi0: there is no such file)",
    });
    const refused = await refusal(agent.handOff());
    expect(refused).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(refused.details).toContain("has no BMC");
    // A BMC that is found later takes the row's place.
    await agent.report(factsOf(mac1));
    expect(await rowOf(uuid1)).toMatchObject({ mac: mac1, state: State.STATE_REPORTED });
  });

  test("that ends before the BMC was found is visible", async () => {
    await agent.begin(uuid1);
    await agent.abort("open BMC", "no answer for 180 s");
    expect(await rowOf(uuid1)).toMatchObject({
      mac: "",
      drivers: [],
      state: State.STATE_UNSPECIFIED,
      stateReason: 'the agent stopped at step "open BMC": no answer for 180 s',
    });
    await agent.abort("", "");
    expect((await rowOf(uuid1)).stateReason).toBe("the agent stopped: no reason given");
  });

  test("whose BMC is locked in-band waits for an operator", async () => {
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1));
    await agent.abort("escrow account", "D4h", true);
    const { state, stateReason } = await rowOf(uuid1);
    expect(state).toBe(State.STATE_LOCKED);
    expect(stateReason).toMatch(/operator must give credentials.*D4h/);
  });

  test("that is linked stays linked when its BMC is locked later", async () => {
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    await agent.handOff();
    expect((await rowOf(uuid1)).state).toBe(State.STATE_LINKED);
    await agent.abort("set account", "D4h", true);
    expect(await rowOf(uuid1)).toMatchObject({ state: State.STATE_LINKED, stateReason: expect.stringMatching(/D4h/) });
  });
});

describe("a hand-off that fails", () => {
  const userName = "rivetab12";
  const password = "Secret-pass-1234";
  beforeEach(async () => {
    await agent.enrol(uuid1, mac1, userName, password, factsOf(mac1, { guid: "00112233445566778899aabbccddeeff" }));
    bmc.users.push({ slot: 3, name: userName, password });
    bmc.guid = "00112233445566778899aabbccddeeff";
  });

  async function failure() {
    const last = (await agent.handOff()).at(-1)?.event;
    if (last?.$case !== "failed") throw new Error(`the last event is ${last?.$case}`);
    return last.value;
  }

  test("with a wrong password says so and keeps the account", async () => {
    bmc.users[0]!.password = "another one";
    const { kind, reason } = await failure();
    expect(kind).toBe(FailureKind.FAILURE_KIND_LOGIN_REFUSED);
    expect(reason).toContain("refused every account");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_FAILED, stateReason: reason });
    const [account] = await accountsOf(mac1);
    expect(account).toMatchObject({ state: AccountState.ACCOUNT_STATE_REFUSED, password });
    expect(bmc.logins).toEqual([userName]);
  });

  test("at another BMC says which MAC it found", async () => {
    bmc.mac = mac2;
    const { kind, reason } = await failure();
    expect(kind).toBe(FailureKind.FAILURE_KIND_OTHER_BMC);
    expect(reason).toContain(mac2);
  });

  test("at a BMC with another GUID", async () => {
    bmc.guid = "ffeeddccbbaa99887766554433221101";
    const { kind, reason } = await failure();
    expect(kind).toBe(FailureKind.FAILURE_KIND_OTHER_BMC);
    expect(reason).toContain(bmc.guid);
  });

  test("because nobody answers, after retries", async () => {
    bmc.deafFor = 100;
    expect((await failure()).kind).toBe(FailureKind.FAILURE_KIND_UNREACHABLE);
    expect(bmc.logins).toHaveLength(3);
    expect((await accountsOf(mac1))[0]).toMatchObject({ state: AccountState.ACCOUNT_STATE_CONFIRMED });
  });

  test("but not because nobody answers for a moment", async () => {
    bmc.deafFor = 2;
    const names = namesOf(await agent.handOff());
    expect(names.filter((name) => name === "connecting")).toHaveLength(3);
    expect(names.at(-1)).toBe("handedOff");
  });

  test("for lack of privilege, also where the session was raised beyond the user's limit", async () => {
    bmc.users[0]!.limit = "operator";
    const { kind, reason } = await failure();
    expect(kind).toBe(FailureKind.FAILURE_KIND_PRIVILEGE);
    expect(reason).toContain("level 3");
  });

  test("because the BMC refuses what every BMC answers", async () => {
    bmc.completionCodes.set("Get LAN Configuration Parameters", 0xd4);
    const { kind, reason } = await failure();
    expect(kind).toBe(FailureKind.FAILURE_KIND_PROTOCOL);
    expect(reason).toContain("D4h");
  });

  test.each(["Get LAN Configuration Parameters", "Get System GUID", "Get User Access", "Get Chassis Status"])(
    "for now, while it is busy at %s",
    async (command) => {
      bmc.completionCodes.set(command, 0xc0);
      expect((await failure()).kind).toBe(FailureKind.FAILURE_KIND_UNREACHABLE);
      expect(bmc.logins).toHaveLength(3);
      expect(bmc.openSessions).toBe(0);
    },
  );

  test("but not because it tells no GUID or user access", async () => {
    bmc.guid = "";
    bmc.completionCodes.set("Get User Access", 0xd4);
    const events = await agent.handOff();
    const compared = events.find(({ event }) => event?.$case === "guidCompared")?.event;
    expect(compared?.value).toEqual({ result: GuidComparison.GUID_COMPARISON_NONE_FROM_REMOTE, guid: "" });
    expect(namesOf(events).at(-1)).toBe("handedOff");
  });

  test("without any account says so", async () => {
    const other = new EnrollingAgent(service.agent);
    await other.begin(uuid2);
    await other.report(factsOf(mac2));
    const last = (await other.handOff()).at(-1)?.event;
    expect(last).toMatchObject({ $case: "failed", value: { kind: FailureKind.FAILURE_KIND_NO_ACCOUNT } });
  });
});

describe("a rotation", () => {
  beforeEach(async () => {
    await agent.enrol(uuid1, mac1, "rivetold", "Old-password-123");
    bmc.users.push({ slot: 3, name: "rivetold", password: "Old-password-123" });
    await agent.handOff();
    await agent.enrol(uuid1, mac1, "rivetnew", "New-password-456");
  });

  const states = async () => Object.fromEntries((await accountsOf(mac1)).map((each) => [each.userName, each.state]));

  test("retires the old account when the new one is proved", async () => {
    bmc.users[0] = { slot: 3, name: "rivetnew", password: "New-password-456" };
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await states()).toEqual({
      rivetnew: AccountState.ACCOUNT_STATE_VERIFIED,
      rivetold: AccountState.ACCOUNT_STATE_RETIRED,
    });
  });

  test("that did not reach the BMC leaves the old account in use", async () => {
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await states()).toEqual({
      rivetnew: AccountState.ACCOUNT_STATE_REFUSED,
      rivetold: AccountState.ACCOUNT_STATE_VERIFIED,
    });
    expect((await rowOf(mac1)).account?.userName).toBe("rivetold");
  });

  test("that died between name and password is found by the mixed pair", async () => {
    bmc.users[0] = { slot: 3, name: "rivetnew", password: "Old-password-123" };
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    const [inUse, ...others] = await accountsOf(mac1);
    expect(inUse).toMatchObject({
      userName: "rivetnew",
      password: "Old-password-123",
      state: AccountState.ACCOUNT_STATE_VERIFIED,
      slot: 3,
    });
    expect(others.map(({ state }) => state)).toEqual([
      AccountState.ACCOUNT_STATE_RETIRED,
      AccountState.ACCOUNT_STATE_RETIRED,
    ]);
  });

  test("refused altogether keeps the verified account as it is", async () => {
    bmc.users.length = 0;
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(await states()).toEqual({
      rivetnew: AccountState.ACCOUNT_STATE_REFUSED,
      rivetold: AccountState.ACCOUNT_STATE_VERIFIED,
    });
    expect((await rowOf(mac1)).state).toBe(State.STATE_FAILED);
  });
});

describe("what was proved", () => {
  beforeEach(async () => {
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    await agent.handOff();
  });

  test("is not taken by another machine", async () => {
    const other = new EnrollingAgent(service.agent);
    await other.begin(uuid2);
    const refused = await refusal(other.report(factsOf(mac1)));
    expect(refused.code).toBe("FAILED_PRECONDITION");
    expect(refused.details).toContain(`linked to machine ${uuid1}`);
    expect(refused.details).toContain("bmcctl conflicts");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, machineUuid: uuid1 });
    expect((await historyOf(mac1))[0]).toBe("conflict");
    expect(await historyOf(uuid2)).toEqual(["conflict"]);
    // A deleted row contradicts nothing.
    await call(service.admin.bmc, service.admin.bmc.deleteBmc, { key: mac1 });
    await other.report(factsOf(mac1));
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_REPORTED, machineUuid: uuid2 });
  });

  test("is not left by its machine for another BMC, nor for none", async () => {
    expect(await refusal(agent.report(factsOf(mac2)))).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(await refusal(agent.reportNone())).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(await rowOf(uuid1)).toMatchObject({ mac: mac1, state: State.STATE_LINKED });
    const { warnings } = await rowOf(uuid1);
    expect(warnings.at(-1)).toMatchObject({ kind: WarningKind.WARNING_KIND_CONFLICT });
    expect(warnings.at(-1)?.text).toMatch(/no BMC found.* There are 1 more$/);
  });

  test("holds while a new account is on its way", async () => {
    await agent.enrol(uuid1, mac1, "rivetnew", "New-password-456");
    const other = new EnrollingAgent(service.agent);
    await other.begin(uuid2);
    expect(await refusal(other.report(factsOf(mac1)))).toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test("moves with a new address", async () => {
    const ipv6 = { ipv4Address: "", ipv6Addresses: ["2001:db8::7/64"], rmcpPort: 1623 };
    await agent.report(factsOf(mac1, ipv6));
    expect(await rowOf(mac1)).toMatchObject({ address: "[2001:db8::7]:1623", state: State.STATE_LINKED });
    expect((await historyOf(mac1)).slice(0, 3)).toEqual(["linked", "address changed", "address reported"]);
  });
});

test("what was not proved moves to the machine that reports it", async () => {
  await agent.begin(uuid1);
  await agent.report(factsOf(mac1));
  const other = new EnrollingAgent(service.agent);
  await other.begin(uuid2);
  await other.report(factsOf(mac1));
  expect(await rowOf(mac1)).toMatchObject({ machineUuid: uuid2 });
  expect(await refusal(agent.escrow(mac1, "rivetab12", "Secret-pass-1234"))).toMatchObject({
    code: "FAILED_PRECONDITION",
  });
});

describe("several at once", () => {
  const metrics = async () => (await fetch(`http://127.0.0.1:${service.running.healthPort}/metrics`)).text();

  test("two who watch one hand-off share one login", async () => {
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    const gate = Promise.withResolvers<void>();
    bmc.gate = gate.promise;
    const [one, two] = [agent.handOff(), agent.handOff()];
    await expect.poll(() => bmc.logins.length).toBe(1);
    gate.resolve();
    expect(namesOf(await one)).toEqual(namesOf(await two));
    expect(bmc.logins).toHaveLength(1);
  });

  test("no more remote logins than allowed, the others are told how many are ahead", async () => {
    const gate = Promise.withResolvers<void>();
    bmc.gate = gate.promise;
    const waiting = [];
    for (const last of ["a1", "a2", "a3", "a4"]) {
      const mac = `52:54:00:b1:00:${last}`;
      const each = new EnrollingAgent(service.agent);
      await each.enrol(`5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e${last}`, mac, "rivetab12", "Secret-pass-1234");
      const handedOff = each.handOff();
      handedOff.catch(() => undefined);
      waiting.push(handedOff);
      const running = Math.min(waiting.length, 2);
      await expect.poll(metrics).toContain(`bmc_service_hand_offs_running ${running}\n`);
      await expect.poll(metrics).toContain(`bmc_service_hand_offs_queued ${waiting.length - running}\n`);
    }
    gate.resolve();
    const all = await Promise.all(waiting);
    const aheads = all.map((events) =>
      events.flatMap(({ event }) => (event?.$case === "queued" ? [event.value.ahead] : [])),
    );
    expect(aheads.filter((each) => each.length === 0)).toHaveLength(2);
    expect(aheads.filter((each) => each.length > 0).map((each) => each[0])).toEqual([2, 3]);
    expect(bmc.mostOpenSessions).toBeLessThanOrEqual(2);
  });
});
