import { describe, expect, test } from "vitest";
import { describeOutcome, exitCodeOf } from "../../agent/outcome.ts";
import type { World } from "../../agent/world.ts";
import { NoBmcError } from "../../inband/openipmi/open-bmc.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Profile } from "../simulator/profile.ts";
import { profiles, spec } from "../simulator/profiles.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { Machine, type MachineOptions, machineUuid, tried } from "./machine.ts";
import { smbiosTables } from "./smbios-tables.ts";

const userName = "rackadmin";
const password = "Gv7-canary.Wk2@mP";
const bmc = { users: [{ id: 3, name: userName, password, privilege: 4 }] };

/** A machine whose BMC is linked by the account of an operator. */
async function linkedByOperator(options: MachineOptions): Promise<Machine> {
  const machine = new Machine({ bmc, ...options });
  await machine.boot({ clock: virtualClock() });
  // The agent's own, where it could make one, is no more.
  machine.service.accounts.length = 0;
  machine.service.give(userName, password);
  machine.service.calls.length = 0;
  machine.bmc.log.length = 0;
  return machine;
}

async function bootAgain(machine: Machine, rotate = false) {
  const users = JSON.stringify(machine.bmc.users);
  const outcome = await machine.boot({ clock: virtualClock(), rotate });
  return { outcome, isUntouched: JSON.stringify(machine.bmc.users) === users };
}

const hidden = profiles.get("dgx-h200-locked") ?? expect.unreachable();
const readable = profiles.get("openbmc-restricted") ?? expect.unreachable();

describe("a machine that is linked by the account of an operator", () => {
  test.each([
    ["lets accounts be made", spec, 3],
    ["is closed to writes", readable, 3],
  ])("is recognised by its MAC address where the BMC %s", async (_what, profile, commands) => {
    const machine = await linkedByOperator({ profile });
    const { outcome, isUntouched } = await bootAgain(machine);
    expect(outcome).toMatchObject({ kind: "recognised", bmc: { mac: "52:54:00:b1:00:01", slot: 0, userName: "" } });
    expect(exitCodeOf(outcome)).toBe(0);
    expect(describeOutcome(outcome)).toContain("52:54:00:b1:00:01 at 10.0.0.7 with an account that an operator gave");
    expect(machine.bmc.log.length).toBe(commands);
    expect(isUntouched).toBe(true);
    expect(machine.service.calls).not.toContain("escrowAccount");
  });

  test("however long ago the last login was, while the account opens the BMC", async () => {
    const machine = await linkedByOperator({ profile: spec });
    machine.service.linked = false;
    expect((await bootAgain(machine)).outcome.kind).toBe("recognised");
  });

  test("is recognised where the BMC tells nothing, and nothing is claimed to have been read", async () => {
    const machine = await linkedByOperator({ profile: hidden });
    machine.service.facts = machine.service.facts && { ...machine.service.facts, mac: "52:54:00:b1:00:01", channel: 1 };
    const { outcome } = await bootAgain(machine);
    expect(outcome).toMatchObject({ kind: "recognised", bmc: { mac: "52:54:00:b1:00:01", address: "" } });
    expect(machine.service.reported?.mac).toBe("");
    expect(machine.notes.join("\n")).toContain("The MAC address cannot be read");
    expect(machine.service.calls).not.toContain("escrowAccount");
  });

  test("is not taken for it with another MAC address", async () => {
    const machine = await linkedByOperator({ profile: spec });
    machine.service.facts = machine.service.facts && { ...machine.service.facts, mac: "52:54:00:b1:00:09" };
    expect((await bootAgain(machine)).outcome.kind).toBe("linked");
  });

  test("gets an account of the agent's if that opens the BMC no more, or ends as locked", async () => {
    for (const [profile, kind] of [
      [spec, "linked"],
      [readable, "locked"],
    ] as const) {
      const machine = await linkedByOperator({ profile });
      const user = machine.bmc.users[2] ?? expect.unreachable();
      user.enabled = false;
      const { outcome } = await bootAgain(machine);
      expect(outcome.kind).toBe(kind);
      expect(user.enabled).toBe(false);
    }
  });

  const shown = { openBmc: () => Promise.reject(new NoBmcError(tried)) };
  const named = { ...shown, readSmbios: async () => smbiosTables(machineUuid, 0xca2) };

  test.each<[string, Partial<World>]>([
    ["shows no BMC", shown],
    ["names a BMC and shows no way to it", named],
  ])("is recognised by the login from remote alone where the machine %s", async (_what, world) => {
    const machine = await linkedByOperator({ profile: spec });
    const outcome = await machine.boot({ clock: virtualClock(), world });
    expect(outcome).toMatchObject({ kind: "recognised", bmc: { mac: "52:54:00:b1:00:01", slot: 0 } });
    expect(machine.service.calls).not.toContain("reportBmc");
    expect(machine.service.inventories).toBe(2);
  });

  test("is recognised by the login from remote alone where the BMC never gets ready", async () => {
    const machine = await linkedByOperator({ profile: spec });
    machine.bmc.reset(0, 10_000_000);
    const outcome = await machine.boot({ clock: virtualClock() });
    expect(outcome.kind).toBe("recognised");
    expect(machine.events.map(({ step, kind }) => `${step} ${kind}`)).toContain("open BMC failed");
  });

  test("ends as locked where the machine shows no way to the BMC, and the account opens it no more", async () => {
    const machine = await linkedByOperator({ profile: spec });
    const user = machine.bmc.users[2] ?? expect.unreachable();
    user.enabled = false;
    const outcome = await machine.boot({ clock: virtualClock(), world: named });
    expect(outcome.kind).toBe("locked");
    expect(machine.service.aborted).toMatchObject({ inbandLocked: true });
  });

  test("does not get one because the service cannot reach the BMC", async () => {
    const machine = await linkedByOperator({ profile: spec });
    machine.service.refuse = { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: "nobody answered" };
    const { outcome, isUntouched } = await bootAgain(machine);
    expect(outcome).toMatchObject({ kind: "failed", reason: "nobody answered" });
    expect(isUntouched).toBe(true);
  });

  test("gets one if that is asked for", async () => {
    const machine = await linkedByOperator({ profile: spec });
    expect((await bootAgain(machine, true)).outcome.kind).toBe("linked");
  });
});

describe("a known account that lets nobody in from remote any more is made anew in the same boot", () => {
  const linked = async (profile: Profile) => {
    const machine = new Machine({ profile });
    expect((await machine.boot({ clock: virtualClock() })).kind).toBe("linked");
    return machine;
  };

  test("because it was disabled", async () => {
    const machine = await linked(spec);
    const [slot = 0] = machine.ours();
    const user = machine.bmc.users[slot - 1] ?? expect.unreachable();
    user.enabled = false;
    expect((await bootAgain(machine)).outcome).toMatchObject({ kind: "linked", bmc: { slot } });
    expect(machine.notes.join("\n")).toContain("The BMC refuses the account that the service knows");
    expect(machine.ours()).toEqual([slot]);
  });

  test("because a reset of the BMC has closed its channel again, of which it had kept no stored copy", async () => {
    const machine = await linked({ ...spec, channels: { ...spec.channels, closed: true } });
    machine.bmc.channelAccess.nonVolatile = { ...machine.bmc.channelAccess.nonVolatile, accessMode: 0 };
    machine.bmc.reset(0, 0);
    expect((await bootAgain(machine)).outcome.kind).toBe("linked");
    expect(machine.notes.join("\n")).toMatch(/Channel 1 \(in use\) was opened/);
  });
});
