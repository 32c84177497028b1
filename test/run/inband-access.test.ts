import { describe, expect, test } from "vitest";
import { describeOutcome, exitCodeOf, type Outcome } from "../../agent/outcome.ts";
import { defaultLimits } from "../../agent/world.ts";
import type { FaultRule } from "../simulator/fault-rule.ts";
import type { Profile, TimingProfile } from "../simulator/profile.ts";
import { profiles, spec } from "../simulator/profiles.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { Machine, type MachineOptions } from "./machine.ts";

interface Booted {
  readonly machine: Machine;
  readonly outcome: Outcome;
  readonly tookMs: number;
}

async function boot(options: MachineOptions, machine = new Machine(options)): Promise<Booted> {
  const clock = virtualClock();
  const outcome = await machine.boot({ clock });
  return { machine, outcome, tookMs: clock.now() };
}

const withAccess = (refused: number): Profile => ({ ...spec, access: { inBand: "none", refused } });
const named = (name: string): Profile => profiles.get(name) ?? expect.unreachable(name);

describe("in-band access that is locked", () => {
  test("user commands only: MAC, IP, GUID and FRU are reported, and it ends at once", async () => {
    const { machine, outcome, tookMs } = await boot({ profile: named("openbmc-restricted") });
    expect(outcome).toMatchObject({ kind: "locked", mac: "52:54:00:b1:00:01", reason: expect.stringContaining("D4h") });
    expect(exitCodeOf(outcome)).toBe(0);
    const { guid, fru, ipv4Address } = machine.service.facts ?? {};
    expect(ipv4Address).toBe("10.0.0.7");
    expect(guid).toMatch(/^[0-9a-f]{32}$/);
    expect(fru?.boardSerial).not.toBe("");
    expect(machine.service.aborted).toMatchObject({ inbandLocked: true });
    expect(tookMs).toBeLessThan(1_000);
  });

  test.each([
    [0xd4, 5_000],
    [0xd5, 30_000],
    [0xd6, 30_000],
    [0xc1, 185_000],
  ])("everything (%d): no longer than it takes to tell it from a boot", async (code, limitMs) => {
    const { machine, outcome, tookMs } = await boot({ profile: withAccess(code) });
    expect(outcome).toMatchObject({ kind: "locked", mac: "" });
    expect(describeOutcome(outcome)).toMatch(/^The BMC lets its machine make no accounts: Get Device ID: .*by hand\.$/);
    expect(exitCodeOf(outcome)).toBe(0);
    const hex = code.toString(16).toUpperCase();
    expect(machine.service.facts).toMatchObject({ mac: "", channel: 0, firmwareVersion: "", guid: "", fru: undefined });
    expect(machine.service.facts?.findings.join(" ")).toMatch(
      new RegExp(`what it is: .*${hex}h.*GUID.*${hex}h.*FRU 0`),
    );
    expect(machine.service.noBmc).toBe(false);
    expect(machine.service.aborted).toMatchObject({ step: "inspect BMC", inbandLocked: true });
    expect(tookMs).toBeLessThan(limitMs);
  });

  test("all but GUID and FRU: those are reported, although no MAC address is known", async () => {
    const faults: FaultRule[] = [{ netFn: 0x0c, count: "always", effects: [{ completionCode: 0xd4 }] }];
    const { machine, outcome } = await boot({ profile: spec, bmc: { faults } });
    expect(outcome).toMatchObject({
      kind: "locked",
      mac: "",
      reason: expect.stringContaining("Get LAN Configuration"),
    });
    expect(machine.service.facts).toMatchObject({ mac: "", firmwareVersion: "9.08", fru: { boardSerial: "BS-1" } });
    expect(machine.service.facts?.guid).toMatch(/^[0-9a-f]{32}$/);
    expect(machine.service.accounts).toEqual([]);
  });

  test("a BMC without LAN is no locked one: exit 75, reported", async () => {
    const machine = new Machine({ profile: spec, bmc: { lans: [] } });
    const error = await machine.boot({ clock: virtualClock() }).then(
      () => expect.unreachable(),
      (each: Error) => each,
    );
    expect(error.message).toMatch(/^inspect BMC: the BMC has no LAN channel with a MAC address/);
    expect(exitCodeOf(error)).toBe(75);
    expect(machine.service.facts).toMatchObject({ mac: "", fru: { boardSerial: "BS-1" } });
    expect(machine.service.aborted).toMatchObject({ inbandLocked: false });
    expect(machine.notes.join(" ")).toContain("looking again for up to 30 s");
  });

  test.each([
    ["C1h to all but Get Device ID", 0xc1],
    ["C1h to LAN and channel commands, D4h to those for users", 0xd4],
  ])("%s: locked", async (_what, userCode) => {
    const always = (netFn: number, cmd: number | undefined, completionCode: number): FaultRule => ({
      netFn,
      ...(cmd === undefined ? {} : { cmd }),
      count: "always",
      effects: [{ completionCode }],
    });
    const faults = [
      ...[0x42, 0x43, 0x45, 0x46, 0x47].map((cmd) => always(6, cmd, 0xc1)),
      always(6, 0x44, userCode),
      always(0x0c, undefined, 0xc1),
    ];
    const { machine, outcome } = await boot({ profile: spec, bmc: { faults } });
    expect(outcome).toMatchObject({ kind: "locked", reason: expect.stringContaining("Get User Access") });
    expect(machine.service.aborted).toMatchObject({ inbandLocked: true });
  });

  test("C1h to LAN and channel commands, but users are told: a BMC without LAN", async () => {
    const noChannels: FaultRule = { netFn: 6, cmd: 0x42, count: "always", effects: [{ completionCode: 0xc1 }] };
    const noLan: FaultRule = { netFn: 0x0c, count: "always", effects: [{ completionCode: 0xc1 }] };
    const machine = new Machine({ profile: spec, bmc: { faults: [noChannels, noLan] } });
    await expect(machine.boot({ clock: virtualClock() })).rejects.toThrow("the BMC has no LAN channel");
  });

  test("all but LAN parameters: those are reported, and what the BMC is stays open", async () => {
    const others: FaultRule[] = [0x06, 0x0a].map((netFn) => ({
      netFn,
      count: "always",
      effects: [{ completionCode: 0xd4 }],
    }));
    const { machine, outcome } = await boot({ profile: spec, bmc: { faults: others } });
    expect(outcome).toMatchObject({ kind: "locked", mac: "52:54:00:b1:00:01" });
    expect(machine.service.facts).toMatchObject({ ipv4Address: "10.0.0.7", firmwareVersion: "", manufacturerId: 0 });
    expect(machine.service.facts?.findings.join(" ")).toMatch(/does not tell what it is: .*D4h.*GUID.*D4h.*FRU 0.*D4h/);
  });

  test("Get Device ID alone is no lock of the accounts", async () => {
    const faults: FaultRule[] = [{ netFn: 6, cmd: 1, count: "always", effects: [{ completionCode: 0xd4 }] }];
    const { machine, outcome } = await boot({ profile: spec, bmc: { faults } });
    expect(outcome.kind).toBe("linked");
    expect(machine.service.facts?.findings[0]).toContain("The BMC does not tell what it is");
  });

  test("D4h on an optional command is no lock", async () => {
    const faults: FaultRule[] = [
      { netFn: 0x0c, cmd: 2, from: 4, count: 4, effects: [{ completionCode: 0xd4 }] },
      { netFn: 6, cmd: 0x37, effects: [{ completionCode: 0xd4 }] },
    ];
    const { outcome } = await boot({ profile: spec, bmc: { faults } });
    expect(outcome.kind).toBe("linked");
  });

  test("a lock that came after our account: recognised by its MAC, and the service logs in", async () => {
    const machine = new Machine({ profile: spec });
    await boot({}, machine);
    const handle = machine.bmc.handle.bind(machine.bmc);
    machine.bmc.handle = (message, arrival) => {
      const isUserCommand = message.netFn === 6 && message.cmd >= 0x43 && message.cmd <= 0x47;
      return isUserCommand ? { completionCode: 0xd4, data: new Uint8Array() } : handle(message, arrival);
    };
    const { outcome } = await boot({}, machine);
    expect(outcome).toMatchObject({ kind: "recognised", driver: "IPMI" });
    expect(machine.notes.join("\n")).toMatch(
      /slot 3 cannot be read: completion code D4h.*In-band access may be locked/,
    );
  });
});

describe("a BMC that resets in the middle", () => {
  const writes = [1, 2, 3, 4, 5].flatMap((number) => [true, false].map((kept) => ({ number, kept })));

  test.each(writes)("at write $number, kept: $kept", async ({ number, kept }) => {
    const timing: TimingProfile = { resetAtWrite: { number, kept, downMs: 40_000 } };
    const { machine, outcome, tookMs } = await boot({ profile: { ...spec, timing } });
    expect(outcome.kind).toBe("linked");
    expect(machine.ours()).toHaveLength(1);
    expect(machine.service.opens()).toMatchObject({ confirmed: true, verified: true });
    expect(tookMs).toBeGreaterThan(40_000);
  });

  test.each([
    ["Get Channel Info", 0x06, 0x42, 1],
    ["Get LAN Configuration Parameters", 0x0c, 0x02, 3],
    ["Get User Name", 0x06, 0x46, 4],
    ["Read FRU Data", 0x0a, 0x11, 2],
  ])("while reading: %s", async (_name, netFn, cmd, from) => {
    const faults: FaultRule[] = [{ netFn, cmd, from, effects: [{ resetMs: 60_000 }] }];
    const undisturbed = await boot({ profile: spec });
    const { machine, outcome } = await boot({ profile: spec, bmc: { faults } });
    expect(outcome.kind).toBe("linked");
    expect({ ...machine.service.facts, commandLatencies: undefined }).toEqual({
      ...undisturbed.machine.service.facts,
      commandLatencies: undefined,
    });
  });

  test("for longer than the limit: exit 75, saying what was seen", async () => {
    const faults: FaultRule[] = [{ netFn: 6, cmd: 0x46, from: 4, effects: [{ resetMs: 10_000_000 }] }];
    const machine = new Machine({ profile: spec, bmc: { faults } });
    const clock = virtualClock();
    const error = await machine.boot({ clock }).then(
      () => expect.unreachable(),
      (each: Error) => each,
    );
    expect(error.message).toMatch(/^escrow account: .*not ready within/);
    expect(exitCodeOf(error)).toBe(75);
    expect(clock.now()).toBeLessThan(defaultLimits.accountMs + defaultLimits.serviceMs + 60_000);
    expect(machine.bmc.writes).toEqual([]);
  });
});

describe("pacing", () => {
  test("a BMC that needs a pause gets it from the second write on", async () => {
    const { machine, outcome, tookMs } = await boot({ profile: named("quanta-s99q") });
    expect(outcome.kind).toBe("linked");
    // Without the pause each write costs up to six refusals more.
    expect(outcome.ipmi.commands).toBeLessThan(60);
    expect(tookMs).toBeLessThan(30_000);
    expect(machine.service.opens()).toMatchObject({ verified: true });
  });

  test("a BMC that needs none is never waited for", async () => {
    const { tookMs, outcome } = await boot({ profile: spec });
    expect(tookMs).toBe(0);
    expect(outcome.ipmi.commands).toBeLessThanOrEqual(45);
  });
});

describe("what is reported", () => {
  test("how long the commands took", async () => {
    const faults: FaultRule[] = [{ netFn: 0x0a, cmd: 0x11, effects: [{ delayMs: 300 }] }];
    const { machine, outcome } = await boot({ profile: spec, bmc: { faults } });
    const { buckets = [], longestMs } = machine.service.facts?.commandLatencies ?? {};
    expect(longestMs).toBe(300);
    expect(buckets.find(({ upToMs }) => upToMs === 500)?.count).toBe(1);
    const measured = buckets.reduce((sum, { count }) => sum + count, 0);
    expect(measured).toBeGreaterThan(10);
    expect(measured).toBeLessThan(outcome.ipmi.commands);
  });

  test("a BMC without an address, after it had 30 s to get one", async () => {
    const lans = [{ channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "0.0.0.0" }];
    const { machine, tookMs } = await boot({ profile: spec, bmc: { lans } });
    expect(machine.service.facts).toMatchObject({ mac: "52:54:00:b1:00:01", ipv4Address: "" });
    expect(machine.notes).toContain("The BMC has no IP address yet: waiting up to 30 s for one.");
    expect(tookMs).toBe(30_000);
  });
});

describe("weak logins", () => {
  const lan = { ...spec.lan, cipherSuites: [0, 3, 17], suitePrivileges: [4, 4, 4], authenticationTypes: 0x05 };
  const weak: Profile = { ...spec, lan };
  const settings = { agentVersion: "metal-rivet test", rotate: false, harden: true, limits: defaultLimits };
  const bootHardening = (machine: Machine) => machine.boot({ clock: virtualClock(), world: { settings } });

  test("are switched off when asked, after the account was confirmed, and told", async () => {
    const machine = new Machine({ profile: weak });
    let atConfirm: readonly number[] = [];
    machine.service.hook = (when, call) => {
      if (when === "before" && call === "confirmAccount") atConfirm = machine.bmc.suitePrivileges;
    };
    expect(await bootHardening(machine)).toMatchObject({ kind: "linked" });
    expect(atConfirm).toEqual([4, 4, 4]);
    expect(machine.bmc.suitePrivileges).toEqual([0, 4, 4]);
    expect([...machine.bmc.authenticationTypes]).toEqual([4, 4, 4, 4, 4]);
    const told = [
      "Logins with cipher suite 0 were switched off on channel 1.",
      'Logins with authentication type "none" were switched off on channel 1.',
    ];
    expect(machine.notes).toEqual(expect.arrayContaining(told));
    expect(machine.service.facts?.findings.slice(-2)).toEqual(told);
  });

  test("are left alone when not asked", async () => {
    const { machine, outcome } = await boot({ profile: weak });
    expect(outcome.kind).toBe("linked");
    expect(machine.bmc.suitePrivileges).toEqual([4, 4, 4]);
    expect(machine.bmc.writes).not.toContain("Set LAN Configuration Parameters");
  });

  test("a BMC without them is not written to, and the budget of commands holds", async () => {
    const machine = new Machine({ profile: spec });
    const outcome = await bootHardening(machine);
    expect(outcome.kind).toBe("linked");
    expect(machine.bmc.writes).not.toContain("Set LAN Configuration Parameters");
    expect(machine.service.calls.filter((each) => each === "reportBmc")).toHaveLength(1);
    expect(outcome.ipmi.commands).toBeLessThanOrEqual(45);
  });

  test("a change that is refused keeps nobody out", async () => {
    const machine = new Machine({ profile: { ...weak, lan: { ...lan, setRefused: 0xd4 } } });
    expect(await bootHardening(machine)).toMatchObject({ kind: "linked" });
    expect(machine.service.facts?.findings.join("\n")).toMatch(
      /cipher suite 0 are allowed on channel 1 and were not switched off: completion code D4h/,
    );
    expect(machine.bmc.suitePrivileges).toEqual([4, 4, 4]);
  });
});
