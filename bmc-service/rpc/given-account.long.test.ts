import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { PowerAction } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { call, refusal } from "../fixture/clients.ts";
import { canary, EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

const guid = "00112233445566778899aabbccddeeff";
let site: Site;
let bmc: FakeBmc;
let service: TestService;
let agent: EnrollingAgent;

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  bmc.guid = guid;
  bmc.users.push({ slot: 2, name: "ADMIN", password: canary });
  service = await startTestService(site, bmc.connect);
  agent = new EnrollingAgent(service.agent);
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

async function lockedRow() {
  await agent.begin(uuid1);
  await agent.report(factsOf(mac1, { guid }));
  await agent.abort("set account", "D4h", true);
}

const give = (userName: string, password: string, mac = mac1, drivers: string[] = [], address = "") => {
  const { bmc: client } = service.operator;
  const account = { userName, password: Buffer.from(password) };
  return call(client, client.updateBmc, { mac, drivers, account, address }).then((answer) => answer.bmc);
};

const giveAt = (address: string, mac: string) => give("ADMIN", canary, mac, [], address);

async function rowOf(mac = mac1) {
  const { bmc: client } = service.operator;
  return (await call(client, client.getBmc, { key: mac, showSecrets: true })).bmc;
}

async function accounts() {
  const { bmc: client } = service.operator;
  const answer = await call(client, client.listAccounts, { mac: mac1, showSecrets: true });
  return answer.accounts.map(({ userName, state, password }) => [userName, state, password]);
}

async function newestHistory() {
  const { bmc: client } = service.operator;
  return (await call(client, client.listHistory, { key: mac1, limit: 1 })).entries[0];
}

describe("an account that an operator gives for a locked BMC", () => {
  beforeEach(lockedRow);

  test("links it when it is proved from remote, and power works", async () => {
    const row = await give("ADMIN", canary);
    expect(row).toMatchObject({
      state: State.STATE_LINKED,
      stateReason: "",
      remoteGuid: guid,
      chassis: { powerOn: true },
      account: { userName: "ADMIN", slot: 2, password: "", state: AccountState.ACCOUNT_STATE_VERIFIED },
    });
    expect((await rowOf())?.account?.password).toBe(canary);
    const { bmc: client } = service.operator;
    await call(client, client.setPower, { mac: mac1, action: PowerAction.POWER_ACTION_OFF });
    expect(bmc.powerOn).toBe(false);
    const { entries } = await call(client, client.listHistory, { key: mac1, limit: 3 });
    const [given] = entries.filter(({ action }) => action === "account given");
    expect(given).toMatchObject({ actor: "operator" });
    expect(given?.detail).toContain('account "ADMIN": logged in at 10.0.0.8:623');
    expect(bmc.openSessions).toBe(0);
  });

  test("is nobody's that the agent may take over", async () => {
    await give("ADMIN", canary);
    const { linkage } = await agent.begin(uuid1);
    expect(linkage).toMatchObject({ mac: mac1, userName: "", slot: 0, fresh: true, given: true, knownUserNames: [] });
    await agent.report(factsOf(mac1, { guid }));
    expect(await refusal(agent.escrow(mac1, "ADMIN", "Secret-pass-1234"))).toMatchObject({ code: "PERMISSION_DENIED" });
    await agent.abort("set account", "D4h", true);
    expect(await rowOf()).toMatchObject({ state: State.STATE_LINKED, account: { userName: "ADMIN" } });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  });

  test("makes room for the agent's own when the BMC is not locked any more", async () => {
    await give("ADMIN", canary);
    bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
    await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234", factsOf(mac1, { guid }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await accounts()).toEqual([
      ["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED, "Secret-pass-1234"],
      ["ADMIN", AccountState.ACCOUNT_STATE_RETIRED, canary],
    ]);
  });

  test("is taken where the BMC tells neither names nor access", async () => {
    bmc.completionCodes.set("Get User Name", 0xd4);
    bmc.completionCodes.set("Get User Access", 0xd4);
    expect(await give("ADMIN", canary)).toMatchObject({ state: State.STATE_LINKED, account: { slot: 0 } });
    expect((await newestHistory())?.detail).toContain("user names not read");
  });

  type Change = () => void;
  test.each<[string, Change, string, string]>([
    ["wrong password", () => (bmc.users[0]!.password = "another"), "PERMISSION_DENIED", "wrong password"],
    ["unknown user", () => (bmc.users[0]!.name = "root"), "PERMISSION_DENIED", "unknown user"],
    ["too little privilege", () => (bmc.users[0]!.limit = "operator"), "PERMISSION_DENIED", "level 3 as its limit"],
    ["another BMC by MAC", () => (bmc.mac = mac2), "FAILED_PRECONDITION", mac2],
    ["another BMC by GUID", () => (bmc.guid = "f".repeat(30).padEnd(32, "1")), "FAILED_PRECONDITION", "another BMC"],
    ["a BMC that is silent", () => (bmc.deafFor = 100), "UNAVAILABLE", "nobody answered"],
  ])("changes nothing if refused: %s", async (_what, change, code, words) => {
    change();
    const before = await rowOf();
    const refused = await refusal(give("ADMIN", canary, mac1, ["IPMI"]));
    expect(refused.code).toBe(code);
    expect(refused.details).toContain(words);
    expect(await rowOf()).toEqual(before);
    expect(await accounts()).toEqual([]);
    expect(await newestHistory()).toMatchObject({ actor: "operator", action: "secrets shown" });
    expect(bmc.logins.length).toBe(code === "UNAVAILABLE" ? 3 : 1);
  });

  test("if refused is in the history, with the reason", async () => {
    bmc.users.length = 0;
    await refusal(give("ADMIN", canary));
    expect(await newestHistory()).toMatchObject({
      actor: "operator",
      action: "account given",
      detail: expect.stringMatching(/^account "ADMIN" refused: .*unknown user.*Nothing was changed/),
    });
  });

  test.each([
    ["", "x", "account.user_name: it is missing"],
    ["x".repeat(17), "x", "account.user_name: 17 characters, at most 16 are allowed"],
    ["ADMIN", "", "account.password: it is missing"],
    ["ADMIN", "x".repeat(21), "account.password: 21 characters, at most 20 are allowed"],
    ["ADMIN", "x\ny", "account.password: it is not printable ASCII"],
  ])("is refused before any login if malformed: %j %j", async (userName, password, details) => {
    expect(await refusal(give(userName, password))).toEqual({ code: "INVALID_ARGUMENT", details });
    expect(bmc.logins).toEqual([]);
  });

  test("comes with drivers that are checked first", async () => {
    expect((await refusal(give("ADMIN", canary, mac1, ["Telepathy"]))).code).toBe("INVALID_ARGUMENT");
    expect(bmc.logins).toEqual([]);
    expect(await give("ADMIN", canary, mac1, ["IPMI"])).toMatchObject({ drivers: ["IPMI"], state: State.STATE_LINKED });
  });

  test("waits for the session that is open, and is not begun for a caller that has gone", async () => {
    const gate = Promise.withResolvers<void>();
    bmc.gate = gate.promise;
    const first = give("ADMIN", canary);
    await expect.poll(() => bmc.logins.length).toBe(1);
    const { bmc: client } = service.operator;
    const account = { userName: "ADMIN", password: Buffer.from("another") };
    const second = client.updateBmc({ mac: mac1, drivers: [], account, address: "" }, () => undefined);
    const metrics = async () => (await fetch(`http://127.0.0.1:${service.running.healthPort}/metrics`)).text();
    await expect.poll(metrics).toContain("bmc_service_hand_offs_queued 1\n");
    second.cancel();
    await expect.poll(() => service.log.join("")).toContain('"code":"CANCELLED"');
    gate.resolve();
    expect(await first).toMatchObject({ state: State.STATE_LINKED });
    expect(bmc.logins).toHaveLength(1);
  });

  test("leaves its password in no log line, no answer and no byte of the database", async () => {
    const said: unknown[] = [await give("ADMIN", canary)];
    said.push(await refusal(give("ADMIN", `${canary}-too-long`)), await refusal(give("ADMIN", `${canary}x`)));
    const { bmc: client } = service.operator;
    said.push(await call(client, client.listBmcs, {}), await call(client, client.listHistory, { key: mac1, limit: 0 }));
    const text = JSON.stringify(said, (_key, each) => (typeof each === "bigint" ? `${each}` : each));
    const files = () => readdirSync(site.data).map((name) => readFileSync(join(site.data, name)));
    const stored = files();
    await service[Symbol.asyncDispose]();
    stored.push(...files());
    const encoded = Buffer.from(canary).toString("base64").slice(0, 16);
    for (const secret of [canary, encoded]) {
      expect([text, ...service.log].filter((each) => each.includes(secret))).toEqual([]);
      expect(stored.filter((each) => each.includes(secret))).toEqual([]);
    }
    expect(service.log.some((line) => line.includes("UpdateBmc"))).toBe(true);
  });
});

test("the old account stays in use until another one is proved", async () => {
  bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
  await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234", factsOf(mac1, { guid }));
  await agent.handOff();
  await refusal(give("ADMIN", "wrong"));
  expect(await rowOf()).toMatchObject({ state: State.STATE_LINKED, account: { userName: "rivetab12" } });
  await give("ADMIN", canary);
  expect(await accounts()).toEqual([
    ["ADMIN", AccountState.ACCOUNT_STATE_VERIFIED, canary],
    ["rivetab12", AccountState.ACCOUNT_STATE_RETIRED, "Secret-pass-1234"],
  ]);
});

describe("a BMC that tells no address", () => {
  const addressless = () => agent.report(factsOf(mac1, { guid, ipv4Address: "" }));
  beforeEach(async () => {
    await agent.begin(uuid1);
    await addressless();
  });

  test("cannot be given an account without one; one that is not known cannot at all", async () => {
    const refused = await refusal(give("ADMIN", canary));
    expect(refused.code).toBe("UNAVAILABLE");
    expect(refused.details).toContain("has no address yet");
    expect((await refusal(give("ADMIN", canary, mac2))).code).toBe("NOT_FOUND");
  });

  test("is linked at the given one, which counts until it tells one itself", async () => {
    await agent.abort("set account", "D4h", true);
    expect((await rowOf())?.stateReason).toContain("--password-file FILE --address HOST");
    expect(await giveAt("bmc7.example.org:9001", mac1)).toMatchObject({
      state: State.STATE_LINKED,
      address: "bmc7.example.org:9001",
      facts: { ipv4Address: "" },
    });
    await agent.begin(uuid1);
    await addressless();
    expect((await rowOf())?.address).toBe("bmc7.example.org:9001");
    await give("ADMIN", canary);
    expect((await rowOf())?.address).toBe("bmc7.example.org:9001");
    await agent.report(factsOf(mac1, { guid, ipv4Address: "10.0.0.9" }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect((await rowOf())?.address).toBe("10.0.0.9");
  });

  test("keeps none that was refused, and none comes without an account or malformed", async () => {
    const before = await rowOf();
    bmc.users.length = 0;
    expect((await refusal(giveAt("10.0.0.8", mac1))).code).toBe("PERMISSION_DENIED");
    expect((await rowOf())?.address).toBe(before?.address);
    const { bmc: client } = service.operator;
    const request = { mac: mac1, drivers: [], account: undefined, address: "10.0.0.8" };
    expect(await refusal(call(client, client.updateBmc, request))).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: "address: it comes only with an account, which proves it",
    });
    expect(await refusal(giveAt("10.0.0.8:0", mac1))).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: expect.stringMatching(/^address: "10.0.0.8:0" is no HOST/),
    });
    expect(bmc.logins).toHaveLength(1);
  });
});

describe("a BMC that tells nothing in-band", () => {
  const hidden = { mac: "", channel: 0, ipv4Address: "", channels: [], rmcpPort: 0, guid: "" };

  async function hiddenRow(uuid = uuid1) {
    await agent.begin(uuid);
    await agent.report(factsOf("", hidden));
    await agent.abort("inspect BMC", "D4h", true);
  }

  test("gets the MAC address that is read from remote, by the UUID of its machine", async () => {
    await hiddenRow();
    const row = await giveAt("10.0.0.8", uuid1.toUpperCase());
    expect(row).toMatchObject({
      mac: mac1,
      key: mac1,
      machineUuid: uuid1,
      address: "10.0.0.8",
      state: State.STATE_LINKED,
      drivers: ["IPMI"],
      facts: { mac: mac1, channel: 1, firmwareVersion: "9.08" },
      account: { userName: "ADMIN", slot: 2 },
    });
    const { bmc: client } = service.operator;
    expect((await call(client, client.listBmcs, {})).bmcs).toHaveLength(1);
    await call(client, client.setPower, { mac: mac1, action: PowerAction.POWER_ACTION_OFF });
    expect(bmc.powerOn).toBe(false);
    const { entries } = await call(client, client.listHistory, { key: mac1, limit: 10 });
    expect(entries.map(({ action }) => action)).toEqual(expect.arrayContaining(["found", "account given"]));
  });

  test.each(["is new", "was reported without BMC"])(
    "of which nothing was ever reported; its machine %s",
    async (what) => {
      await agent.begin(uuid1);
      if (what !== "is new") await agent.reportNone();
      await agent.begin(uuid1);
      await agent.abort("open BMC", "SMBIOS names a BMC, but no way to it is open", true);
      const locked = (await rowOf(uuid1)) ?? expect.unreachable();
      expect(locked.state).toBe(State.STATE_LOCKED);
      expect(locked.stateReason).toMatch(
        new RegExp(`operator must give credentials: bmcctl update ${uuid1} .* --address HOST .*SMBIOS names a BMC`),
      );
      const given = await giveAt("10.0.0.8", uuid1);
      expect(given).toMatchObject({ mac: mac1, machineUuid: uuid1, state: State.STATE_LINKED, drivers: ["IPMI"] });
      expect((await agent.begin(uuid1)).linkage).toMatchObject({ mac: mac1, given: true });
      expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    },
  );

  test("stays linked at the next boot, hidden or with no device at all", async () => {
    await hiddenRow();
    await giveAt("10.0.0.8", uuid1);
    expect((await agent.begin(uuid1)).linkage).toMatchObject({ mac: mac1, channel: 1, fresh: true, given: true });
    await agent.report(factsOf("", hidden));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    await agent.begin(uuid1);
    await agent.reportNone();
    bmc.deafFor = 100;
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    bmc.deafFor = 0;
    await agent.begin(uuid1);
    await agent.reportNone();
    expect(await rowOf()).toMatchObject({ mac: mac1, machineUuid: uuid1, drivers: ["IPMI"] });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { guid }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf()).toMatchObject({ state: State.STATE_LINKED, facts: { guid }, address: "10.0.0.8" });
  });

  test("not even a device, is linked all the same, and its absence is no conflict then", async () => {
    await agent.begin(uuid1);
    await agent.reportNone();
    expect((await refusal(give("ADMIN", canary, uuid1))).code).toBe("FAILED_PRECONDITION");
    expect(await giveAt("10.0.0.8", uuid1)).toMatchObject({ mac: mac1, state: State.STATE_LINKED, drivers: ["IPMI"] });
    await agent.begin(uuid1);
    await agent.reportNone();
    expect(await rowOf()).toMatchObject({ mac: mac1, machineUuid: uuid1, state: State.STATE_LINKED });
  });

  test("is refused where the BMC found there is another machine's, and nothing is changed", async () => {
    await agent.begin(uuid2);
    await agent.report(factsOf(mac1, { guid }));
    await hiddenRow();
    const before = await rowOf(uuid1);
    const refused = await refusal(giveAt("10.0.0.8", uuid1));
    expect(refused.code).toBe("FAILED_PRECONDITION");
    expect(refused.details).toContain(`has MAC ${mac1}, which belongs to machine ${uuid2}`);
    expect(await rowOf(uuid1)).toEqual(before);
    expect(await rowOf(mac1)).toMatchObject({ machineUuid: uuid2, state: State.STATE_REPORTED });
    expect(await accounts()).toEqual([]);
  });

  test("is refused where the BMC found has another machine's UUID as its GUID", async () => {
    await agent.begin(uuid2);
    await agent.report(factsOf(mac2));
    await hiddenRow();
    bmc.guid = uuid2.replaceAll("-", "");
    const refused = await refusal(giveAt("10.0.0.8", uuid1));
    expect(refused.code).toBe("FAILED_PRECONDITION");
    expect(refused.details).toContain(`has the UUID of machine ${uuid2}`);
    expect((await rowOf(uuid1))?.mac).toBe("");
    bmc.guid = uuid1.replaceAll("-", "");
    expect(await giveAt("10.0.0.8", uuid1)).toMatchObject({ mac: mac1, state: State.STATE_LINKED });
  });

  test("takes the row of a BMC that has no machine, with the accounts that are known of it", async () => {
    const other = new EnrollingAgent(service.agent);
    await other.enrol(uuid2, mac1, "rivetab12", "Secret-pass-1234");
    // The same boot reports another one: the first has no machine then.
    await other.report(factsOf(mac2));
    expect((await rowOf(mac1))?.machineUuid).toBe("");
    await hiddenRow();
    expect(await giveAt("10.0.0.8", uuid1)).toMatchObject({ mac: mac1, machineUuid: uuid1, state: State.STATE_LINKED });
    expect((await agent.begin(uuid1)).linkage?.knownUserNames).toEqual(["rivetab12"]);
    expect(bmc.logins).toEqual(["ADMIN"]);
  });

  test("and no machine is given other drivers, nor taken without a MAC address", async () => {
    await hiddenRow();
    const { bmc: client } = service.operator;
    const request = { mac: uuid1, drivers: ["IPMI"], account: undefined, address: "" };
    expect((await refusal(call(client, client.updateBmc, request))).code).toBe("FAILED_PRECONDITION");
    bmc.completionCodes.set("Get LAN Configuration Parameters", 0xc1);
    const refused = await refusal(giveAt("10.0.0.8", uuid1));
    expect(refused).toMatchObject({ code: "FAILED_PRECONDITION", details: expect.stringContaining("no LAN channel") });
    expect((await rowOf(uuid1))?.mac).toBe("");
  });
});

describe("several passwords of one enrolment", () => {
  const userName = "rivetab12";
  const password = (i: number) => `Secret-pass-100${i}`;

  test("are all kept until one is confirmed and proved, which retires the others", async () => {
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { guid }));
    const ids: string[] = [];
    for (let i = 0; i < 8; i += 1) ids.push(await agent.escrow(mac1, userName, password(i)));
    expect(await accounts()).toHaveLength(8);
    await agent.confirm(ids[7] ?? "");
    bmc.users.push({ slot: 3, name: userName, password: password(7) });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(bmc.logins).toEqual([userName]);
    const states = (await accounts()).map(([, state]) => state);
    expect(states).toEqual([AccountState.ACCOUNT_STATE_VERIFIED, ...Array(7).fill(AccountState.ACCOUNT_STATE_RETIRED)]);
    expect((await agent.begin(uuid1)).linkage?.knownUserNames).toEqual([userName]);
  });

  test("of which none was confirmed are tried a few at a time, those that were refused last", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { guid }));
    for (let i = 0; i < 8; i += 1) await agent.escrow(mac1, userName, password(i));
    bmc.users.push({ slot: 3, name: userName, password: password(1) });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(bmc.logins).toHaveLength(4);
    // As many as a BMC takes for a person's mistakes; then its users are locked out.
    const held = (await agent.handOff()).at(-1)?.event;
    expect(held?.$case === "failed" && held.value.reason).toContain("4 logins in 15 minutes were refused there");
    expect(bmc.logins).toHaveLength(4);
    vi.advanceTimersByTime(15 * 60_000 + 1);
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(bmc.logins).toHaveLength(7);
    expect((await rowOf())?.account).toMatchObject({ userName, password: password(1) });
  });
});
