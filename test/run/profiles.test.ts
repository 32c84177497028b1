import { describe, expect, test } from "vitest";
import { exitCodeOf, type Outcome } from "../../agent/outcome.ts";
import { StepError } from "../../agent/step.ts";
import { mainLan } from "../simulator/main-lan.ts";
import type { ExpectedOutcome, Profile } from "../simulator/profile.ts";
import { profiles } from "../simulator/profiles.ts";
import { everyProfile } from "../simulator/variants.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { Machine } from "./machine.ts";

const errors: Readonly<Record<string, ExpectedOutcome>> = {
  NotReadyError: "not ready",
  NoFreeSlotError: "no free slot",
};

interface End {
  /** In the words of the profiles; of any other error all that it says. */
  readonly how: string;
  readonly exitCode: number;
}

async function boot(machine: Machine, clock = virtualClock()): Promise<End> {
  let ended: Outcome | Error;
  try {
    ended = await machine.boot({ clock });
  } catch (error) {
    ended = error as Error;
  }
  const exitCode = exitCodeOf(ended);
  if (!(ended instanceof Error)) return { how: ended.kind, exitCode };
  const cause = ended instanceof StepError && ended.cause instanceof Error ? ended.cause : ended;
  return { how: errors[cause.name] ?? String(ended), exitCode };
}

/** The users with which the BMC came. */
function given(machine: Machine, profile: Profile): string {
  const ids = new Set(profile.users.given.map(({ id }) => id));
  return JSON.stringify(machine.bmc.users.filter(({ id }) => ids.has(id)));
}

const exitCodes: Readonly<Record<ExpectedOutcome, number>> = {
  linked: 0,
  locked: 0,
  failed: 77,
  "no free slot": 77,
  "not ready": 75,
};

describe("the profiles", () => {
  test("are those that are promised, and say where they were seen", () => {
    const boards =
      "spec openbmc intel-oem supermicro-x8 supermicro-x12 dell-idrac hpe-ilo lenovo-xcc quanta-s99q huawei dgx-h200 " +
      "ami-v6only facebook-openbmc booting weak-login lossy-kcs";
    expect([...profiles.keys()].slice(0, 16)).toEqual(boards.split(" "));
    for (const { name, sources } of [...everyProfile.values()]) {
      expect(sources.length, name).toBeGreaterThan(0);
      // A section is one of the specification.
      for (const source of sources) expect(source.replaceAll(/IPMI 2\.0 §/g, ""), name).not.toContain("§");
    }
  });
});

describe.each([...everyProfile.values()])("a run on $name", (profile) => {
  test(`ends as ${profile.expected}, and leaves the accounts of others as they were`, async () => {
    const machine = new Machine({ profile });
    const before = given(machine, profile);
    const end = await boot(machine);
    expect(end).toEqual({ how: profile.expected, exitCode: exitCodes[profile.expected] });
    expect(given(machine, profile)).toBe(before);
    const { service, bmc } = machine;
    switch (profile.expected) {
      case "linked": {
        const { mac, channel } = mainLan(bmc.lans);
        expect(service.facts).toMatchObject({ mac, channel });
        expect(machine.ours()).toHaveLength(1);
        expect(service.opens()).toMatchObject({ confirmed: true, verified: true });
        break;
      }
      case "locked":
        expect(service.aborted).toMatchObject({ inbandLocked: true });
        expect(machine.ours()).toEqual([]);
        break;
      case "failed":
        expect(service.opens()).toBeUndefined();
        // Made in vain, so it was taken back.
        expect(machine.bmc.users.filter(({ id, enabled }) => enabled && machine.ours().includes(id))).toEqual([]);
        break;
      case "not ready":
      case "no free slot":
        expect(service.accounts).toEqual([]);
        break;
      default:
        expect.unreachable(profile.expected satisfies never);
    }
  });

  if (profile.expected === "linked") {
    test("is recognised the next time, with 4 commands and no write", async () => {
      const machine = new Machine({ profile: { ...profile, faults: [], timing: {} } });
      const clock = virtualClock();
      await boot(machine, clock);
      machine.bmc.log.length = 0;
      expect(await boot(machine, clock)).toEqual({ how: "recognised", exitCode: 0 });
      expect(machine.bmc.writes).toEqual([]);
      expect(machine.bmc.log.length).toBeLessThanOrEqual(4);
    });

    test("rotates the password when asked", async () => {
      const machine = new Machine({ profile });
      const clock = virtualClock();
      await boot(machine, clock);
      const before = given(machine, profile);
      const outcome = await machine.boot({ rotate: true, clock });
      expect(outcome.kind).toBe("linked");
      expect(given(machine, profile)).toBe(before);
      expect(machine.ours()).toHaveLength(1);
      expect(machine.service.opens()).toBe(machine.service.accounts.at(-1));
    });
  }
});
