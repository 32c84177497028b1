import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccountState, State, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { known, LinkedSite } from "../fixture/linked-site.ts";
import type { TestService } from "../fixture/service.ts";

const { password } = known;
const evil = { slot: 3, name: "rivetevil", password: "Evil-password-99" };
const guid1 = "00112233445566778899aabbccddee01";
const guid2 = "00112233445566778899aabbccddee02";
let linked: LinkedSite;
let service: TestService;
let bmcs: Map<string, FakeBmc>;

beforeEach(async () => {
  linked = await LinkedSite.make();
  ({ service, bmcs } = linked);
});
afterEach(() => linked[Symbol.asyncDispose]());

const bmcAt = (address: string) => linked.bmcAt(address);
const rowOf = (key: string) => linked.rowOf(key);
const accounts = () => linked.accounts();
const begun = (uuid: string, serial = "") => linked.begun(uuid, serial);
const conflicts = (all = false) => linked.conflicts(all);
const resolve = (id: string, decision: ConflictDecision, as = service.admin) => linked.resolve(id, decision, as);
const { CONFLICT_DECISION_ACCEPTED: accepted, CONFLICT_DECISION_DISMISSED: dismissed } = ConflictDecision;
const claim = async (uuid = uuid2, serial = "") => refusal((await begun(uuid, serial)).report(factsOf(mac1)));

describe("a claim that contradicts what was proved", () => {
  test("is kept once and counted, and the row warns of it", async () => {
    expect((await claim(uuid2, "S-2")).details).toContain("an admin accepts the claim (bmcctl conflicts)");
    await claim(uuid2, "S-2");
    const [conflict, ...more] = await conflicts();
    expect(more).toEqual([]);
    expect(conflict).toMatchObject({
      key: mac1,
      machineUuid: uuid2,
      boardSerial: "S-2",
      claimedMac: mac1,
      claimedBy: "agent",
      count: 2,
      decision: ConflictDecision.CONFLICT_DECISION_UNSPECIFIED,
      decidedBy: "",
      decidedAt: undefined,
    });
    const { warnings } = await rowOf(mac1);
    expect(warnings.map(({ kind }) => kind)).toEqual([
      WarningKind.WARNING_KIND_SHARED_CERTIFICATE,
      WarningKind.WARNING_KIND_CONFLICT,
    ]);
    expect(warnings[1]?.text).toContain(`conflict ${conflict?.id}: BMC ${mac1} is linked to machine ${uuid1}`);
  });

  test("is another one from another machine, for another BMC, and for none", async () => {
    await claim();
    await claim(uuid2, "S-2");
    const same = await begun(uuid1);
    await refusal(same.reportNone());
    expect((await conflicts()).map(({ claimedMac, boardSerial }) => [claimedMac, boardSerial])).toEqual([
      ["", ""],
      [mac1, "S-2"],
      [mac1, ""],
    ]);
  });

  test("that is dismissed changes nothing, and may be made again", async () => {
    await claim();
    const [open] = await conflicts();
    const decided = await resolve(open?.id ?? "", dismissed);
    expect(decided).toMatchObject({ decision: dismissed, decidedBy: "admin" });
    expect(Math.abs(Number(decided?.decidedAt) - Date.now())).toBeLessThan(60_000);
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, machineUuid: uuid1 });
    expect((await rowOf(mac1)).warnings.map(({ kind }) => kind)).not.toContain(WarningKind.WARNING_KIND_CONFLICT);
    expect(await conflicts()).toEqual([]);
    await claim();
    expect((await conflicts()).map(({ id }) => id)).not.toContain(open?.id);
    expect(await conflicts(true)).toHaveLength(2);
  });

  test("that is accepted lets the BMC go to the other board, which is linked at its next enrolment", async () => {
    await claim();
    const [open] = await conflicts();
    await resolve(open?.id ?? "", accepted);
    expect(await rowOf(mac1)).toMatchObject({
      state: State.STATE_LINKED,
      machineUuid: uuid1,
      stateReason: `conflict ${open?.id} was accepted by "admin": what machine ${uuid2} claims is taken when it boots again`,
    });
    const moved = new EnrollingAgent(service.agent);
    await moved.begin(uuid2);
    await moved.report(factsOf(mac1));
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_REPORTED, machineUuid: uuid2 });
    await moved.confirm(await moved.escrow(mac1, "rivetnew", "New-password-456"));
    bmcAt("10.0.0.8").users.splice(0, 1, { slot: 3, name: "rivetnew", password: "New-password-456" });
    expect(namesOf(await moved.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, machineUuid: uuid2 });
    const without = await rowOf(uuid1);
    expect(without).toMatchObject({ key: uuid1, mac: "" });
    expect(without.stateReason).toContain(`its BMC ${mac1} belongs to machine ${uuid2} now`);
  });

  test("that is accepted is good for that claim alone: not for another board, another place or another machine", async () => {
    await refusal((await begun(uuid2, "S-2")).report(factsOf(mac1, { guid: guid1 })));
    await resolve((await conflicts())[0]?.id ?? "", accepted);
    const others: [string, string, Parameters<typeof factsOf>[1]][] = [
      [uuid2, "S-3", { guid: guid1 }],
      [uuid2, "S-2", { guid: guid2 }],
      [uuid2, "S-2", { guid: guid1, ipv4Address: "10.6.6.6" }],
      [uuid2, "S-2", { guid: guid1, rmcpPort: 6230 }],
      ["5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03", "S-2", { guid: guid1 }],
    ];
    for (const [uuid, serial, more] of others) {
      const refused = await refusal((await begun(uuid, serial)).report(factsOf(mac1, more)));
      expect(refused.code).toBe("FAILED_PRECONDITION");
    }
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, machineUuid: uuid1 });
    expect(await conflicts()).toHaveLength(others.length);
    await (await begun(uuid2, "S-2")).report(factsOf(mac1, { guid: guid1 }));
    expect(await rowOf(mac1)).toMatchObject({ machineUuid: uuid2 });
    // While it is on its way it is nobody else's, and afterwards the permission is used up.
    expect((await claim("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03")).code).toBe("FAILED_PRECONDITION");
    expect((await refusal((await begun(uuid1)).report(factsOf(mac1)))).code).toBe("FAILED_PRECONDITION");
  });

  test("by a machine that has another BMC now, accepted, lets it have that, and nobody the former one", async () => {
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1));
    await refusal(agent.report(factsOf(mac2)));
    const [open] = await conflicts();
    expect(open).toMatchObject({ key: mac1, machineUuid: uuid1, claimedMac: mac2 });
    await resolve(open?.id ?? "", accepted);
    expect(await rowOf(mac1)).toMatchObject({ machineUuid: uuid1, state: State.STATE_LINKED });
    const again = await begun(uuid1);
    await again.report(factsOf(mac2));
    expect(await rowOf(uuid1)).toMatchObject({ key: mac2 });
    expect(await rowOf(mac1)).toMatchObject({ machineUuid: "", state: State.STATE_REPORTED });
    expect((await claim()).details).toContain(`BMC ${mac1} was linked before and has no machine now`);
  });

  test("by a machine that has no BMC any more, accepted, is taken when it says so again", async () => {
    await refusal((await begun(uuid1)).reportNone());
    await resolve((await conflicts())[0]?.id ?? "", accepted);
    expect(await rowOf(uuid1)).toMatchObject({ key: mac1, state: State.STATE_LINKED });
    await (await begun(uuid1)).reportNone();
    expect(await rowOf(uuid1)).toMatchObject({ key: uuid1, state: State.STATE_UNMANAGED });
    expect(await rowOf(mac1)).toMatchObject({ machineUuid: "", state: State.STATE_REPORTED });
  });

  test("is decided by an admin, once, and by an identifier that there is", async () => {
    await claim();
    const id = (await conflicts())[0]?.id ?? "";
    expect(await refusal(resolve(id, accepted, service.operator))).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await refusal(resolve("999", accepted))).toEqual({ code: "NOT_FOUND", details: "there is no conflict 999" });
    expect(await refusal(resolve("x", accepted))).toMatchObject({ code: "INVALID_ARGUMENT" });
    const undecided = ConflictDecision.CONFLICT_DECISION_UNSPECIFIED;
    expect(await refusal(resolve(id, undecided))).toMatchObject({ code: "INVALID_ARGUMENT" });
    await resolve(id, dismissed);
    await resolve(id, dismissed);
    expect(await refusal(resolve(id, accepted))).toEqual({
      code: "FAILED_PRECONDITION",
      details: `conflict ${id} was dismissed by "admin" already`,
    });
  });

  test("goes with the row that is deleted", async () => {
    await claim();
    await call(service.admin.bmc, service.admin.bmc.deleteBmc, { key: mac1 });
    expect(await conflicts()).toEqual([]);
    expect(await conflicts(true)).toMatchObject([{ decision: accepted, decidedBy: "admin" }]);
  });

  test("does not fill the disk: the oldest that were decided go, and what does not fit is counted", async () => {
    await claim();
    await resolve((await conflicts())[0]?.id ?? "", dismissed);
    const database = new DatabaseSync(join(linked.site.data, "bmc-service.db"));
    const many = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
      INSERT INTO conflicts (bmc_key, machine_uuid, board_serial, claimed_mac, claimed_by, text, first_at, last_at, count)
      SELECT 'k', 'u', i, '', '', 't', 1, 1, 1 FROM n`;
    database.exec(many);
    database.close();
    await claim(uuid2, "S-1");
    expect(await conflicts(true)).toHaveLength(1_000);
    expect((await conflicts(true)).every(({ decision }) => decision !== dismissed)).toBe(true);
    await claim(uuid2, "S-2");
    await claim(uuid2, "S-3");
    const all = await conflicts(true);
    expect(all).toHaveLength(1_001);
    const overflow = all.find(({ key }) => key === "");
    expect(overflow).toMatchObject({ count: 2, text: expect.stringContaining("find out who makes so many") });
    expect(await refusal(resolve(overflow?.id ?? "", accepted))).toMatchObject({ code: "FAILED_PRECONDITION" });
    await resolve(overflow?.id ?? "", dismissed);
  });

  test.each([
    ["against one row", 50, mac1, "somebody"],
    ["with one certificate", 500, "k", "agent"],
  ])("leaves room for others, however many are made %s", async (_what, number, key, claimant) => {
    const database = new DatabaseSync(join(linked.site.data, "bmc-service.db"));
    const fill = database.prepare(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
      INSERT INTO conflicts (bmc_key, machine_uuid, board_serial, claimed_mac, claimed_by, text, first_at, last_at, count)
      SELECT ?, 'u', i, '', ?, 't', 1, 1, 1 FROM n`);
    fill.run(number - 1, key, claimant);
    database.close();
    await claim(uuid2, "S-1");
    await claim(uuid2, "S-2");
    expect(await conflicts()).toHaveLength(number + 1);
    expect((await conflicts()).find((each) => each.key === "")).toMatchObject({ count: 1 });
  });
});

describe("what was proved is not overwritten", () => {
  const rogue = "10.6.6.6";

  test("by a session that says that in-band access is locked, or breaks off", async () => {
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1));
    await agent.abort("set account", "D4h", true);
    expect((await rowOf(mac1)).state).toBe(State.STATE_LINKED);
    await (await begun(uuid1)).abort("open BMC", "no answer");
    expect((await rowOf(mac1)).state).toBe(State.STATE_LINKED);
    // Only when the account is known to work no more.
    bmcAt("10.0.0.8").users.length = 0;
    const again = await begunAndReported();
    expect(namesOf(await again.handOff()).at(-1)).toBe("failed");
    const { stateReason } = await rowOf(mac1);
    for (const reason of ["x".repeat(2_000), "D4h"]) await again.abort("set account", reason, true);
    const broken = await rowOf(mac1);
    expect(broken.state).toBe(State.STATE_FAILED);
    expect(broken.stateReason).toMatch(
      /; told by the agent, not proved: in-band access is locked, operator must .*D4h/,
    );
    expect(broken.stateReason.startsWith(`${stateReason}; `)).toBe(true);
    expect(broken.stateReason).not.toContain("x".repeat(10));
    expect((await claim()).code).toBe("FAILED_PRECONDITION");
  });

  test("by an address at which nobody has the account: the BMC is found where it was", async () => {
    const agent = await begun(uuid1);
    bmcs.set(rogue, new FakeBmc(mac1));
    await agent.report(factsOf(mac1, { ipv4Address: rogue }));
    expect((await rowOf(mac1)).address).toBe("10.0.0.8");
    const id = await agent.escrow(mac1, evil.name, evil.password);
    await agent.confirm(id);
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(bmcAt(rogue).logins.length).toBeGreaterThan(0);
    expect(await rowOf(mac1)).toMatchObject({ address: "10.0.0.8", state: State.STATE_LINKED });
    expect(await accounts()).toContainEqual(["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED]);
    expect(await linked.actions()).toContain("address refused");
  });

  test("by an address at which the account works, but with another MAC", async () => {
    const agent = await begun(uuid1);
    const other = new FakeBmc(mac2);
    other.users.push({ slot: 3, name: "rivetab12", password });
    bmcs.set(rogue, other);
    await agent.report(factsOf(mac1, { ipv4Address: rogue }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect((await rowOf(mac1)).address).toBe("10.0.0.8");
  });

  test("by another GUID at the same address", async () => {
    const agent = await begun(uuid1);
    bmcAt("10.0.0.8").guid = "00112233445566778899aabbccddee01";
    await agent.report(factsOf(mac1, { guid: "00112233445566778899aabbccddee02" }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect((await rowOf(mac1)).facts?.guid).toBe("");
  });

  test("but an address at which the same BMC answers is taken", async () => {
    const agent = await begun(uuid1);
    bmcs.set("10.0.0.9", bmcAt("10.0.0.8"));
    bmcs.delete("10.0.0.8");
    await agent.report(factsOf(mac1, { ipv4Address: "10.0.0.9" }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ address: "10.0.0.9", state: State.STATE_LINKED });
  });

  test("and an account that an operator gives is tried where the BMC is reported, too", async () => {
    const moved = bmcAt("10.0.0.8");
    bmcs.set("10.0.0.9", moved);
    bmcs.delete("10.0.0.8");
    moved.users.splice(0, 1, { slot: 2, name: "ADMIN", password });
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1, { ipv4Address: "10.0.0.9" }));
    const { bmc: client } = service.operator;
    const account = { userName: "ADMIN", password: Buffer.from(password) };
    await call(client, client.updateBmc, { mac: mac1, drivers: [], account, address: "" });
    expect(await rowOf(mac1)).toMatchObject({ address: "10.0.0.9", state: State.STATE_LINKED });
  });

  test("while the BMC answers nowhere: another machine cannot take it", async () => {
    bmcs.delete("10.0.0.8");
    expect(namesOf(await (await begunAndReported()).handOff()).at(-1)).toBe("failed");
    expect((await rowOf(mac1)).state).toBe(State.STATE_FAILED);
    expect((await claim()).code).toBe("FAILED_PRECONDITION");
    expect(await rowOf(mac1)).toMatchObject({ machineUuid: uuid1, address: "10.0.0.8" });
  });

  test("by a stranger with the UUID and another board: neither machine nor inventory", async () => {
    const linked = await begun(uuid1, "");
    await linked.report(factsOf(mac1));
    await linked.reportInventoryOf(512n);
    await linked.handOff();
    const stranger = await begun(uuid1, "S-666");
    await stranger.reportInventoryOf(1n);
    await stranger.report(factsOf(mac1));
    await stranger.reportInventoryOf(2n);
    expect(await rowOf(mac1)).toMatchObject({ machine: { board: undefined }, inventory: { memoryBytes: 512n } });
    expect(namesOf(await stranger.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ machine: { board: undefined }, inventory: { memoryBytes: 512n } });
  });

  test("by a MAC address of another channel, unless the BMC has both", async () => {
    const agent = await begun(uuid1);
    const channels = [mac1, mac2].map((mac, i) => ({ channel: i + 1, mac, ipv4Address: "", remark: "" }));
    await agent.report(factsOf(mac2, { channel: 2, channels }));
    const other = new FakeBmc(mac2);
    bmcs.set("10.0.0.8", other);
    other.users.push({ slot: 3, name: "rivetab12", password });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(await rowOf(uuid1)).toMatchObject({ key: mac1, facts: { channel: 1 } });
  });

  test("nor kept where it was by a row that a stranger has made under the MAC address of another channel", async () => {
    bmcAt("10.0.0.8").otherMacs.set(2, mac2);
    const stranger = await begun(uuid2);
    await stranger.report(factsOf(mac2, { ipv4Address: "10.6.6.6" }));
    const agent = await begun(uuid1);
    const channels = [mac1, mac2].map((mac, i) => ({ channel: i + 1, mac, ipv4Address: "", remark: "" }));
    await agent.report(factsOf(mac2, { channel: 2, channels }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac2)).toMatchObject({ machineUuid: uuid1, state: State.STATE_LINKED, facts: { channel: 2 } });
    expect((await refusal(stranger.escrow(mac2, evil.name, evil.password))).code).toBe("FAILED_PRECONDITION");
    expect((await refusal(rowOf(uuid2))).code).toBe("NOT_FOUND");
  });

  test("by an account that is on its way, or that a login refuses: the row stays linked", async () => {
    const agent = await begunAndReported();
    const id = await agent.escrow(mac1, evil.name, evil.password);
    expect((await rowOf(mac1)).state).toBe(State.STATE_LINKED);
    await agent.confirm(id);
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, account: { userName: "rivetab12" } });
    await agent.handOff();
    expect((await rowOf(mac1)).state).toBe(State.STATE_LINKED);
    expect(await accounts()).toEqual([
      [evil.name, AccountState.ACCOUNT_STATE_REFUSED],
      ["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED],
    ]);
  });

  test("by an account that gets in with too little privilege: who made it hears so, and the row stays linked", async () => {
    const agent = await begunAndReported();
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password, 4), 4);
    bmcAt("10.0.0.8").users.push({ ...evil, slot: 4, limit: "user" });
    const last = (await agent.handOff()).at(-1)?.event;
    expect(last).toMatchObject({ $case: "failed", value: { kind: FailureKind.FAILURE_KIND_PRIVILEGE } });
    expect((await rowOf(mac1)).state).toBe(State.STATE_LINKED);
    expect(await accounts()).toContainEqual(["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED]);
  });

  async function begunAndReported(): Promise<EnrollingAgent> {
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1));
    return agent;
  }
});
