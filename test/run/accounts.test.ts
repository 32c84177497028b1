import { describe, expect, test } from "vitest";
import { exitCodeOf } from "../../agent/outcome.ts";
import { defaultLimits } from "../../agent/world.ts";
import { formText, passwordForms } from "../../inband/account/password-form.ts";
import { PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { noPolicy } from "../simulator/password-policy.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import type { Fault } from "../simulator/simulated-transport.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { foreignUsers, Machine } from "./machine.ts";

type Changes = { readonly [K in keyof Profile]?: Partial<Profile[K]> };

/** The strictest BMC of all, with changes. */
function machineWith({ users, passwords, timing }: Changes): Machine {
  const profile: Profile = {
    ...strict,
    users: { ...strict.users, given: foreignUsers, ...users },
    passwords: { ...strict.passwords, ...passwords },
    timing: { ...strict.timing, ...timing },
  };
  return new Machine({ profile });
}

const formsOf = ({ service }: Machine) => service.accounts.map(({ password }) => password.length);
const refusals = ({ notes }: Machine) => notes.filter((note) => note.startsWith("A password of "));

async function links(machine: Machine, faults: readonly Fault[] = []): Promise<void> {
  const foreign = JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3));
  const outcome = await machine.boot({ clock: virtualClock(), faults });
  expect(outcome).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
  expect(machine.service.opens()).toBe(machine.service.accounts.at(-1));
  expect(machine.ours()).toEqual([3]);
  expect(JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3))).toBe(foreign);
}

describe("a password policy", () => {
  test.each([
    ["only 20 bytes", { sizes: [20], sizeRefused: 0xc7 }, PasswordForm.PASSWORD_FORM_SIXTEEN_IN_TWENTY, [16, 16]],
    ["20 characters", { policy: { ...noPolicy, minLength: 20 } }, PasswordForm.PASSWORD_FORM_TWENTY, [16, 16, 20]],
    [
      "special characters of its own",
      { policy: { ...noPolicy, specials: 1, allowedSpecials: "^$~", refused: 0x8f } },
      PasswordForm.PASSWORD_FORM_OTHER_SPECIALS,
      [16, 16, 20, 16],
    ],
    [
      "letters and digits only",
      { policy: { ...noPolicy, allowedSpecials: "" } },
      PasswordForm.PASSWORD_FORM_LETTERS_AND_DIGITS,
      [16, 16, 20, 16, 16],
    ],
    [
      "letters and digits in 20 bytes only",
      { sizes: [20], sizeRefused: 0xc8, policy: { ...noPolicy, allowedSpecials: "" } },
      PasswordForm.PASSWORD_FORM_LETTERS_AND_DIGITS,
      [16, 16, 20, 16, 16],
    ],
    [
      "FFh (OpenBMC's PAM)",
      { policy: { ...noPolicy, minLength: 17, refused: 0xff } },
      PasswordForm.PASSWORD_FORM_TWENTY,
      [16, 16, 20],
    ],
  ] as const)(
    "%s: each password is escrowed before it is tried, and the form that worked is told",
    async (_what, passwords, form, lengths) => {
      const machine = machineWith({ passwords });
      const sent: string[] = [];
      const unknown: string[] = [];
      const watch = ({ cmd, data }: { cmd: number; data: Uint8Array }) => {
        if (cmd !== 0x47 || data[1] !== 2) return false;
        const text = Buffer.from(data.subarray(2)).toString("latin1").replace(/\0+$/, "");
        sent.push(text);
        const escrowed = machine.service.accounts.map(({ password }) => Buffer.from(password).toString("latin1"));
        if (!escrowed.includes(text)) unknown.push(text);
        return false;
      };
      await links(machine, [{ on: watch, effect: "lost" }]);
      expect(new Set(sent).size).toBe(lengths.length);
      expect(unknown).toEqual([]);
      expect(formsOf(machine)).toEqual(lengths);
      expect(machine.service.accounts.at(-1)).toMatchObject({ form, confirmed: true });
      expect(new Set(machine.service.accounts.map(({ userName, slot }) => `${userName} ${slot}`)).size).toBe(1);
      expect(refusals(machine)).toHaveLength(lengths.length - 1);
    },
  );

  test("the form that the service hints at is tried first", async () => {
    const machine = machineWith({ passwords: { policy: { ...noPolicy, minLength: 20 } } });
    machine.service.formHint = PasswordForm.PASSWORD_FORM_TWENTY;
    await links(machine);
    expect(formsOf(machine)).toEqual([20]);
  });

  test("the usual form is told too", async () => {
    const machine = machineWith({});
    await links(machine);
    expect(machine.service.accounts.map(({ form }) => form)).toEqual([PasswordForm.PASSWORD_FORM_SIXTEEN]);
  });

  test("that nothing satisfies: 8 attempts, exit 77; of a known machine the former account goes on working", async () => {
    const machine = machineWith({});
    await links(machine);
    const faults: Fault[] = [{ on: ({ cmd, data }) => cmd === 0x47 && data[1] === 2, effect: { answer: 0xcc } }];
    const error = await machine.boot({ rotate: true, faults }).catch((each: unknown) => each as Error);
    expect(error).toMatchObject({ step: "set account" });
    for (const form of passwordForms) expect((error as Error).message).toContain(`${formText(form)} (CCh`);
    expect(exitCodeOf(error as Error)).toBe(77);
    expect(machine.service.accounts).toHaveLength(1 + 8);
    expect(machine.service.opens()).toBe(machine.service.accounts[0]);
    expect(machine.service.aborted?.reason).toContain("the BMC refuses every password");
  });
});

describe("writes that get lost", () => {
  test.each([3, 4, 5, 6, 7])("every %dth: written again, and told", async (losesEveryWrite) => {
    await links(machineWith({ timing: { losesEveryWrite } }));
  });

  const resets = [1, 2, 3, 4, 5].flatMap((number) => [true, false].map((kept) => [number, kept] as const));
  test.each(resets)("a BMC that resets at write %d (kept: %s) is waited for", async (number, kept) => {
    const machine = machineWith({ timing: { resetAtWrite: { number, kept, downMs: 40_000 } } });
    await links(machine);
    expect(machine.service.accounts).toHaveLength(1);
  });
});

describe("a name that is refused", () => {
  test("in a slot that is fixed without saying so: another slot is tried, escrowed before", async () => {
    const machine = machineWith({ users: { fixedSlots: [3, 6] } });
    expect(await machine.boot()).toMatchObject({ kind: "linked", bmc: { slot: 7 } });
    expect(machine.service.accounts.map(({ slot }) => slot)).toEqual([3, 6, 7]);
    expect(machine.service.opens()?.slot).toBe(7);
    expect(machine.notes.join("\n")).toMatch(
      /refuses the name "rivet\w+" for user ID 6: .* Trying user ID 7 first\.$/m,
    );
  });

  test("in every slot: exit 77 after eight of them, and nothing else was written", async () => {
    const machine = machineWith({ users: { namePattern: "^admin" } });
    const error = await machine.boot().catch((each: unknown) => each as Error);
    expect((error as Error).message).toMatch(/^set account: the BMC refuses the name .* for user ID 12:/);
    expect(exitCodeOf(error as Error)).toBe(77);
    expect(machine.bmc.writes).toEqual(new Array(8).fill("Set User Name"));
  });

  test.each([0xd5, 0xc1, 0xff])("with %d in one slot: another slot is tried", async (nameRefused) => {
    const machine = machineWith({ users: { fixedSlots: [3], nameRefused } });
    expect(await machine.boot({ clock: virtualClock() })).toMatchObject({ kind: "linked", bmc: { slot: 6 } });
  });

  test("with D5h in every slot: locked; with FFh: exit 75, because nobody knows why", async () => {
    const refusing = (nameRefused: number) =>
      machineWith({ users: { namePattern: "^admin", nameRefused } }).boot({ clock: virtualClock() });
    expect(await refusing(0xd5)).toMatchObject({ kind: "locked" });
    const error = await refusing(0xff).catch((each: unknown) => each);
    expect(exitCodeOf(error as Error)).toBe(75);
  });

  test("for an account of ours: it keeps its name and gets another password", async () => {
    const machine = machineWith({});
    await links(machine);
    const faults: Fault[] = [{ on: ({ cmd }) => cmd === 0x45, effect: { answer: 0xcc } }];
    expect(await machine.boot({ rotate: true, faults })).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    const [first, , last] = machine.service.accounts;
    expect(last?.userName).toBe(first?.userName);
    expect(machine.service.opens()).toBe(last);
  });
});

test("a BMC that tells the MAC of another LAN channel than before has its account still: there are never two", async () => {
  const lans = [
    { channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7" },
    { channel: 2, mac: "52:54:00:b1:00:02", ipv4Address: "10.0.0.8" },
  ];
  const machine = new Machine({ bmc: { lans } });
  // Whether the service gets in over the other channel is not what is asked for here.
  machine.service.policy = { ...machine.service.policy, verificationRequired: false };
  const faults: Fault[] = [{ on: ({ cmd, data }) => cmd === 0x42 && data[0] === 1, effect: { answer: 0xcc } }];
  expect(await machine.boot({ faults })).toMatchObject({ bmc: { channel: 2, slot: 3 } });
  expect(await machine.boot({ rotate: true })).toMatchObject({ kind: "linked", bmc: { channel: 1, slot: 3 } });
  expect(machine.ours()).toEqual([3]);
});

test("what the account's making showed is in the report", async () => {
  const machine = machineWith({ users: { payloadRefused: 0xc1 } });
  await links(machine);
  expect(machine.service.facts?.findings.at(-1)).toMatch(
    /^Serial over LAN was not enabled for the account: completion code C1h/,
  );
  expect(machine.service.facts?.channels).not.toEqual([]);
});

test("rights that the BMC takes in three bytes only", async () => {
  await links(machineWith({ users: { shortAccess: undefined, longAccess: 0xc7 } }));
});

describe("enabling", () => {
  test("without a password only, where the rest is refused with CCh", async () => {
    await links(machineWith({ passwords: { enableSizes: [0], enableSizeRefused: 0xcc } }));
  });

  test.each([0, 16, 20] as const)("with %d bytes only", async (size) => {
    await links(machineWith({ passwords: { enableSizes: [size], enableSizeRefused: 0xc7 } }));
  });
});

describe("rivet.user_slot", () => {
  const bootWith = (machine: Machine, userSlot: number, rotate = false) =>
    machine.boot({ world: { settings: { agentVersion: "test", rotate, userSlot, limits: defaultLimits } } });

  test("names the place of a new account", async () => {
    const machine = new Machine();
    expect(await bootWith(machine, 9)).toMatchObject({ kind: "linked", bmc: { slot: 9 } });
  });

  test.each([2, 5, 40])(
    "%d, which is taken or does not exist, is refused: exit 77, nothing is written",
    async (slot) => {
      const machine = new Machine();
      const outcome = await bootWith(machine, slot);
      expect(outcome).toMatchObject({
        kind: "no free slot",
        reason: expect.stringContaining(`user ID ${slot} (user_slot)`),
      });
      expect(exitCodeOf(outcome)).toBe(77);
      expect(machine.bmc.writes).toEqual([]);
      expect(machine.service.aborted?.reason).toContain('2 "ADMIN"');
    },
  );

  test("does not move an account of ours: there are never two", async () => {
    const machine = new Machine();
    await machine.boot();
    expect(await bootWith(machine, 9, true)).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    expect(machine.ours()).toEqual([3]);
    expect(machine.notes.join("\n")).toContain("Our account is in slot 3 and stays there");
  });
});
