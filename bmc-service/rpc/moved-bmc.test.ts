import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { refusal } from "../fixture/clients.ts";
import { type EnrollingAgent, factsOf, mac1, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { LinkedSite } from "../fixture/linked-site.ts";

const evil = { slot: 3, name: "rivetevil", password: "Evil-password-99" };
const guid1 = "00112233445566778899aabbccddee01";
const guid2 = "00112233445566778899aabbccddee02";
const accepted = ConflictDecision.CONFLICT_DECISION_ACCEPTED;
let linked: LinkedSite;
let bmcs: Map<string, FakeBmc>;

beforeEach(async () => {
  linked = await LinkedSite.make();
  ({ bmcs } = linked);
});
afterEach(() => linked[Symbol.asyncDispose]());

const bmcAt = (address: string) => linked.bmcAt(address);
const rowOf = (key: string) => linked.rowOf(key);
const accounts = () => linked.accounts();
const begun = (uuid: string) => linked.begun(uuid);
const conflicts = () => linked.conflicts();
const resolve = (id: string, decision: ConflictDecision) => linked.resolve(id, decision);

describe("a BMC at another place than the one that was proved", () => {
  const elsewhere = "10.0.0.9";
  let there: FakeBmc;

  beforeEach(() => {
    there = new FakeBmc(mac1);
    there.users.push(evil);
    bmcs.set(elsewhere, there);
  });

  /** Says that the BMC is there, and that it has a new account. */
  async function reportedThere(more: Parameters<typeof factsOf>[1] = {}): Promise<EnrollingAgent> {
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere, ...more }));
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    return agent;
  }

  test("that a new account alone opens is nothing while the proved account works where it was", async () => {
    const agent = await reportedThere();
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ address: "10.0.0.8", state: State.STATE_LINKED });
    expect(await accounts()).toEqual([
      [evil.name, AccountState.ACCOUNT_STATE_REFUSED],
      ["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED],
    ]);
    expect(await conflicts()).toEqual([]);
  });

  describe("that a new account alone opens, and nothing opens where it was proved,", () => {
    beforeEach(() => {
      bmcs.delete("10.0.0.8");
    });

    async function failed(): Promise<void> {
      const last = (await (await reportedThere()).handOff()).at(-1)?.event;
      expect(last).toMatchObject({ $case: "failed", value: { kind: FailureKind.FAILURE_KIND_OTHER_BMC } });
      expect(last?.$case === "failed" && last.value.reason).toContain("an admin accepts the claim (bmcctl conflicts)");
    }

    test("is a conflict: the agent hears so, and no account is retired", async () => {
      await failed();
      const [conflict, ...more] = await conflicts();
      expect(more).toEqual([]);
      expect(conflict).toMatchObject({ key: mac1, machineUuid: uuid1, claimedMac: mac1, claimedBy: "agent", count: 1 });
      expect(conflict?.text).toContain(
        `the new account "${evil.name}" opens a BMC with MAC ${mac1}, channel 1, at ${elsewhere}`,
      );
      expect(conflict?.text).toContain(`BMC ${mac1} was proved at 10.0.0.8`);
      expect(await rowOf(mac1)).toMatchObject({ address: "10.0.0.8", state: State.STATE_FAILED });
      expect(await accounts()).toEqual([
        [evil.name, AccountState.ACCOUNT_STATE_CONFIRMED],
        ["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED],
      ]);
      await failed();
      // Once for the report, once for the hand-off.
      expect((await conflicts()).map(({ count }) => count)).toEqual([3]);
    });

    test("is taken at the next boot if an admin accepts it, there and nowhere else", async () => {
      await failed();
      await resolve((await conflicts())[0]?.id ?? "", accepted);
      const other = "10.6.6.6";
      bmcs.set(other, there);
      const agent = await reportedThere({ ipv4Address: other });
      expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
      expect((await rowOf(mac1)).address).toBe("10.0.0.8");
      expect(namesOf(await (await reportedThere()).handOff()).at(-1)).toBe("handedOff");
      expect(await rowOf(mac1)).toMatchObject({ address: elsewhere, state: State.STATE_LINKED });
      // What was accepted is used up.
      bmcs.delete(elsewhere);
      there.users.splice(0, 1, { ...evil, name: "rivetnext" });
      const next = await begun(uuid1);
      await next.report(factsOf(mac1, { ipv4Address: other }));
      await next.confirm(await next.escrow(mac1, "rivetnext", evil.password));
      expect(namesOf(await next.handOff()).at(-1)).toBe("failed");
    });
  });

  test("that another machine claims there is that machine's if an admin accepts it, with a new account alone", async () => {
    const there = { ipv4Address: elsewhere };
    await refusal((await begun(uuid2)).report(factsOf(mac1, there)));
    const [conflict] = await conflicts();
    expect(conflict?.text).toContain(`machine ${uuid2} reports it as its own, at ${elsewhere}`);
    await resolve(conflict?.id ?? "", accepted);
    bmcs.delete("10.0.0.8");
    const agent = await begun(uuid2);
    await agent.report(factsOf(mac1, there));
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ address: elsewhere, machineUuid: uuid2, state: State.STATE_LINKED });
  });

  test.each([
    ["an IPv6 address beside a link-local one", uuid2, { ipv4Address: "", ipv6Addresses: ["fe80::5054:ff:feb1:1/64"] }],
    ["an IPv6 address beside a link-local IPv4 address", uuid1, { ipv4Address: "169.254.7.7", ipv6Addresses: [] }],
  ])(
    "that was accepted is the one that is shown and gone to, not one that hides behind it: %s",
    async (_what, uuid, facts) => {
      bmcs.delete("10.0.0.8");
      bmcs.set("2001:db8::9", new FakeBmc(mac1));
      bmcs.set("2001:db8::666", there);
      const at = (address: string) =>
        factsOf(mac1, { ...facts, ipv6Addresses: [...facts.ipv6Addresses, `${address}/64`] });
      const honest = await begun(uuid);
      const right = { slot: 3, name: "rivetright", password: "Right-password-1" };
      await honest.report(at("2001:db8::9")).catch(() => undefined);
      if (uuid === uuid1) {
        bmcAt("2001:db8::9").users.push(right);
        await honest.confirm(await honest.escrow(mac1, right.name, right.password));
        await honest.handOff();
      }
      const [conflict] = await conflicts();
      expect(conflict?.text).toContain("at [2001:db8::9]");
      await resolve(conflict?.id ?? "", accepted);
      const stranger = await begun(uuid);
      await stranger.report(at("2001:db8::666")).catch(() => undefined);
      const taken = stranger.escrow(mac1, evil.name, evil.password).then((id) => stranger.confirm(id));
      await taken.then(() => stranger.handOff()).catch(() => undefined);
      expect((await rowOf(mac1)).account?.userName).not.toBe(evil.name);
      expect(await rowOf(mac1)).toMatchObject({ address: "10.0.0.8", machineUuid: uuid1 });
    },
  );

  test("is proved by the known account before its machine puts another one in its place", async () => {
    const moved = bmcAt("10.0.0.8");
    bmcs.set(elsewhere, moved);
    bmcs.delete("10.0.0.8");
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere }));
    expect((await rowOf(mac1)).address).toBe(elsewhere);
    const id = await agent.escrow(mac1, "rivetnew", "New-password-456");
    moved.users.splice(0, 1, { slot: 3, name: "rivetnew", password: "New-password-456" });
    await agent.confirm(id);
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, account: { userName: "rivetnew" } });
  });

  test("that both the known and a new account open is taken, with the new one", async () => {
    const agent = await begun(uuid1);
    bmcAt("10.0.0.8").users.push({ ...evil, slot: 4 });
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere }));
    bmcs.set(elsewhere, bmcAt("10.0.0.8"));
    bmcs.delete("10.0.0.8");
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password, 4), 4);
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere, firmwareVersion: "9.11" }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ address: elsewhere, account: { userName: evil.name } });
    expect(await conflicts()).toEqual([]);
  });

  test("is not another place if it was set back to the factory's settings where it was: the new account is enough", async () => {
    bmcAt("10.0.0.8").users.splice(0, 1, evil);
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1));
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, account: { userName: evil.name } });
  });
});

describe("another GUID than the one that was proved", () => {
  beforeEach(async () => {
    bmcAt("10.0.0.8").guid = guid1;
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1, { guid: guid1 }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect((await rowOf(mac1)).remoteGuid).toBe(guid1);
  });

  test.each([
    ["another one", guid2],
    ["none any more", ""],
  ])("at the same place (%s) is a conflict if only a new account opens the BMC", async (_what, guid) => {
    Object.assign(bmcAt("10.0.0.8"), { guid });
    bmcAt("10.0.0.8").users.splice(0, 1, evil);
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1, { guid: guid === "" ? guid1 : guid }));
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_FAILED, remoteGuid: guid1, facts: { guid: guid1 } });
    expect(await accounts()).toContainEqual(["rivetab12", AccountState.ACCOUNT_STATE_VERIFIED]);
    const [conflict] = await conflicts();
    expect(conflict?.text).toContain(guid === "" ? "tells no GUID" : `tells GUID ${guid2}`);
    await resolve(conflict?.id ?? "", accepted);
    const again = await begun(uuid1);
    await again.report(factsOf(mac1, { guid: guid === "" ? guid1 : guid }));
    expect(namesOf(await again.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, account: { userName: evil.name } });
  });

  test("is that of a new firmware if the proved account opens the BMC, and is told", async () => {
    bmcAt("10.0.0.8").guid = guid2;
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1, { guid: guid2 }));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, remoteGuid: guid2, facts: { guid: guid2 } });
    expect(await linked.actions()).toContain("GUID changed");
  });
});
