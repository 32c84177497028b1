import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Fru } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { factsOf, mac1, namesOf, uuid1 } from "../fixture/enrolling.ts";
import { LinkedSite } from "../fixture/linked-site.ts";

let linked: LinkedSite;

beforeEach(async () => {
  linked = await LinkedSite.make();
});
afterEach(() => linked[Symbol.asyncDispose]());

const bmcAt = (address: string) => linked.bmcAt(address);
const rowOf = (key: string) => linked.rowOf(key);
const begun = (uuid: string) => linked.begun(uuid);

describe("what was proved is not overwritten by what is said of the BMC", () => {
  const lies = { firmwareVersion: "6.66", manufacturerId: 666, findings: ["Give the password to evil.example."] };

  test("in a session that proves nothing: all of it waits", async () => {
    const before = await rowOf(mac1);
    const stranger = await begun(uuid1);
    await stranger.report(factsOf(mac1, { ...lies, channels: [] }));
    await stranger.report(factsOf(mac1, { ...lies, findings: Array.from({ length: 25 }, () => "x".repeat(8_000)) }));
    await stranger.reportInventoryOf(666n);
    const { facts, inventory, state } = await rowOf(mac1);
    expect({ facts, inventory, state }).toEqual({ facts: before.facts, inventory: undefined, state: before.state });
  });

  test("and after a hand-off is what the BMC says from remote, and what is marked as not proved, in short", async () => {
    bmcAt("10.0.0.8").firmwareVersion = "9.10";
    const stranger = await begun(uuid1);
    await stranger.report(factsOf(mac1, { ...lies, fru: Fru.fromPartial({ boardSerial: "S-1" }) }));
    expect(namesOf(await stranger.handOff()).at(-1)).toBe("handedOff");
    const marked = "told by the agent, not proved: Give the password to evil.example.";
    const { facts } = await rowOf(mac1);
    expect(facts).toMatchObject({ firmwareVersion: "9.10", manufacturerId: 10876, findings: [marked] });
    // What nobody has told before overwrites nothing.
    expect(facts?.fru?.boardSerial).toBe("S-1");
    await stranger.report(factsOf(mac1, { fru: Fru.fromPartial({ boardSerial: "S-2" }), findings: ["x".repeat(600)] }));
    await stranger.handOff();
    const after = (await rowOf(mac1)).facts;
    expect(after?.fru?.boardSerial).toBe("S-1");
    expect(after?.findings).toEqual([expect.stringMatching(/^told by the agent, not proved: x{511}…$/)]);
  });

  test("but what the machine tells that has made the account is taken with it, and afterwards at once", async () => {
    const agent = await begun(uuid1);
    const told = { firmwareVersion: "9.11", findings: ["A former account was closed."] };
    await agent.report(factsOf(mac1, told));
    await agent.reportInventoryOf(512n);
    await agent.confirm(await agent.escrow(mac1, "rivetnew", "New-password-456", 4), 4);
    bmcAt("10.0.0.8").users.push({ slot: 4, name: "rivetnew", password: "New-password-456" });
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await rowOf(mac1)).toMatchObject({ facts: told, inventory: { memoryBytes: 512n } });
    expect(await linked.actions()).toContain("facts changed");
    await agent.report(factsOf(mac1, { ...told, findings: [] }));
    expect((await rowOf(mac1)).facts).toMatchObject({ firmwareVersion: "9.11", findings: [] });
    await agent.reportInventoryOf(1024n);
    expect((await rowOf(mac1)).inventory?.memoryBytes).toBe(1024n);
  });

  test("but the inventory of a machine that is recognised is taken when it is handed off, before that and after it", async () => {
    const agent = await begun(uuid1);
    await agent.report(factsOf(mac1));
    await agent.reportInventoryOf(512n);
    expect((await rowOf(mac1)).inventory).toBeUndefined();
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect((await rowOf(mac1)).inventory?.memoryBytes).toBe(512n);
    await agent.reportInventoryOf(1024n);
    expect((await rowOf(mac1)).inventory?.memoryBytes).toBe(1024n);
    await (await begun(uuid1)).report(factsOf(mac1));
    const next = await begun(uuid1);
    await next.reportInventoryOf(1n);
    await next.report(factsOf(mac1));
    expect((await rowOf(mac1)).inventory?.memoryBytes).toBe(1024n);
  });
});
