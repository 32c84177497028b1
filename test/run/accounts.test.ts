import { describe, expect, test } from "vitest";
import { exitCodeOf } from "../../agent/outcome.ts";
import { defaultLimits } from "../../agent/world.ts";
import { shapedName } from "../../inband/account/shaped-name.fixture.ts";
import { formText, passwordForms } from "../../ipmi/password-form.ts";
import { FailureKind, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { noPolicy } from "../simulator/password-policy.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import type { Fault } from "../simulator/simulated-transport.ts";
import { nameText } from "../simulator/users.ts";
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

describe("a BMC that takes a password with 00h and has another one", () => {
  test.each([
    ["cuts 20 characters to 16", { keeps: { characters: 16 } }, PasswordForm.PASSWORD_FORM_TWENTY],
    ["drops some special characters", { keeps: { without: "!@%_" } }, undefined],
    ["keeps those of 20 bytes only", { keeps: { onlySize: 20 } }, undefined],
  ] as const)("%s: gets a new one in another form, escrowed before", async (_what, passwords, formHint) => {
    const machine = machineWith({ passwords });
    if (formHint !== undefined) machine.service.formHint = formHint;
    await links(machine);
    const { accounts } = machine.service;
    expect(accounts.length).toBeGreaterThan(1);
    expect(new Set(accounts.map(({ password }) => Buffer.from(password).toString("latin1"))).size).toBe(
      accounts.length,
    );
    expect(accounts.filter(({ confirmed }) => confirmed)).toEqual([accounts.at(-1)]);
    expect(refusals(machine)[0]).toMatch(/does not do \(Set User Password: .*(80h|81h)/);
  });

  test("whatever it is: 8 attempts, exit 77", async () => {
    const machine = machineWith({ passwords: { keeps: { characters: 3 } } });
    const error = await machine.boot({ clock: virtualClock() }).catch((each: unknown) => each as Error);
    expect((error as Error).message).toContain("does not keep it as it was");
    expect(exitCodeOf(error as Error)).toBe(77);
    expect(machine.service.accounts).toHaveLength(8);
  });
});

describe("writes that get lost", () => {
  test("every second one, by a BMC that cannot test a password: it gets it often enough", async () => {
    await links(machineWith({ timing: { losesEveryWrite: 2 }, passwords: { test: 0xc1 } }));
  });

  test.each([2, 3, 4, 5, 6, 7])("every %dth: written again, and told", async (losesEveryWrite) => {
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

  test("where all free slots are empty by a completion code: another of them is tried, after a closer look", async () => {
    const users = { fixedSlots: [3], emptyName: { refused: 0xcc } };
    const machine = machineWith({ users });
    Object.assign(machine.bmc.users[5] ?? {}, { enabled: true, ipmiMessaging: true, privilege: 4 });
    expect(await machine.boot()).toMatchObject({ kind: "linked", bmc: { slot: 7 } });
    expect(machine.bmc.user(6)).toMatchObject({ enabled: true, privilege: 4, password: undefined });
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

describe("names that cannot be read because the BMC is busy", () => {
  const busy = (ids: readonly number[]): Fault[] => [
    { on: ({ cmd, data }) => cmd === 0x46 && ids.includes(data[0] ?? 0), effect: { answer: 0xc0 } },
  ];
  const all = Array.from({ length: 62 }, (_, i) => i + 2);

  test("in one slot: another one is taken", async () => {
    const machine = machineWith({});
    const faults = busy([3]);
    expect(await machine.boot({ clock: virtualClock(), faults })).toMatchObject({ kind: "linked", bmc: { slot: 6 } });
  });

  test.each([15, 63])("in all of %d: exit 75 with what was seen, within the step's limit", async (ids) => {
    const machine = machineWith({ users: { ids } });
    const clock = virtualClock();
    const error = await machine.boot({ clock, faults: busy(all) }).catch((each: unknown) => each as Error);
    expect(error).toMatchObject({ step: "escrow account", cause: { name: "SlotsUnreadableError" } });
    expect((error as Error).message).toContain("2 unreadable (completion code C0h");
    expect(exitCodeOf(error as Error)).toBe(75);
    expect(clock.now()).toBeLessThan(60_000);
    expect(machine.bmc.writes).toEqual([]);
  });
});

test.each([1, 3])("a stray code on Get User Access of slot %d ends no run", async (slot) => {
  const machine = machineWith({});
  const faults: Fault[] = [{ on: ({ cmd, data }) => cmd === 0x44 && data[1] === slot, effect: { answer: 0x93 } }];
  await links(machine, faults);
});

describe("while the service takes its time to store the account", () => {
  /** A run in which that takes so long; somebody may give the slot a name meanwhile. */
  function bootWith(machine: Machine, storedInMs: number, name: string | undefined) {
    const clock = virtualClock();
    let waitedMs = 0;
    machine.service.hook = (when, call) => {
      if (when !== "after" || call !== "escrowAccount") return;
      waitedMs = storedInMs;
      if (name !== undefined) machine.bmc.user(3).name.set(Buffer.from(name.padEnd(16, "\0")));
    };
    return machine.boot({ clock: { ...clock, now: () => clock.now() + waitedMs } });
  }

  test("somebody takes the slot: nothing is written, and the next run chooses another one", async () => {
    const machine = machineWith({});
    const error = await bootWith(machine, 5_000, "somebody").catch((error: Error) => error);
    expect(error).toMatchObject({ message: expect.stringContaining(`the BMC tells "somebody"`) });
    expect(exitCodeOf(error)).toBe(75);
    expect(machine.bmc.writes).toEqual([]);
    machine.service.hook = () => undefined;
    expect(await machine.boot({ clock: virtualClock() })).toMatchObject({ kind: "linked", bmc: { slot: 6 } });
    expect(nameText(machine.bmc.user(3))).toBe("somebody");
  });

  test("nobody does: one more name is read, and none where it was quick", async () => {
    const commands = async (storedInMs: number) => {
      const machine = machineWith({});
      expect(await bootWith(machine, storedInMs, undefined)).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
      return machine.bmc.log.length;
    };
    expect(await commands(5_000)).toBe((await commands(1_000)) + 1);
  });
});

describe("former accounts of ours", () => {
  const shaped = { id: 8, name: shapedName(1), password: "forgotten" };
  const second = { id: 9, name: shapedName(2), password: "forgotten" };
  const alike = [
    { id: 10, name: "rivetsupervisor", password: "not ours" },
    { id: 11, name: "rivetoperator01", password: "not ours" },
    { id: 12, name: "rivetLookalike1", password: "not ours" },
  ];
  const others = (machine: Machine) => JSON.stringify(machine.bmc.users.filter(({ id }) => ![3, 8, 9].includes(id)));
  const withUsers = (...users: readonly (typeof shaped)[]) =>
    machineWith({ users: { given: [...foreignUsers, ...alike, ...users], namePattern: ".*" } });
  const enabled = (machine: Machine) => [3, 8, 9].filter((id) => machine.bmc.user(id).enabled);
  const retiring = ({ events }: Machine) => events.filter(({ step }) => step === "retire former accounts");

  test("that nobody remembers: one gives its slot to the new account, the others are closed after the hand-off", async () => {
    const machine = withUsers(shaped, second);
    const before = others(machine);
    const atHandOff: number[][] = [];
    machine.service.hook = (when, call) => {
      if (when === "after" && call === "watchHandOff") atHandOff.push(enabled(machine));
    };
    const outcome = await machine.boot();
    expect(outcome).toMatchObject({ kind: "linked", bmc: { slot: 8 } });
    expect(outcome.ipmi.commands).toBe(machine.bmc.log.length);
    expect(atHandOff).toEqual([[8, 9]]);
    expect(enabled(machine)).toEqual([8]);
    expect(machine.bmc.user(9)).toMatchObject({ ipmiMessaging: false, privilege: 15 });
    expect(nameText(machine.bmc.user(9))).toBe("");
    expect(others(machine)).toBe(before);
    expect(machine.service.facts?.findings.at(-1)).toBe(
      `User ID 9, "${second.name}", a former account of ours: disabled, without rights, without a name.`,
    );
    expect(machine.events.at(-1)).toMatchObject({ kind: "done", step: "retire former accounts", number: 10, of: 10 });
  });

  test("that the service knows: as well; a machine that is recognised is not scanned for them", async () => {
    const machine = new Machine();
    await machine.boot();
    const [first] = machine.service.accounts;
    if (first !== undefined) machine.service.accounts.push({ ...first, id: "2", userName: shaped.name, slot: 8 });
    Object.assign(machine.bmc.user(8), { name: Buffer.from(shaped.name.padEnd(16, "\0")), enabled: true });
    machine.service.accounts.reverse();
    expect(await machine.boot()).toMatchObject({ kind: "recognised", ipmi: { commands: 4 } });
    expect(enabled(machine)).toEqual([3, 8]);
    expect(await machine.boot({ rotate: true })).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    expect(enabled(machine)).toEqual([3]);
  });

  test("with one of which the service got in instead of the new one: that is left alone and told, and the next run settles it", async () => {
    const machine = withUsers(shaped, second);
    for (const { id, name, password } of [shaped, second]) {
      const about = { id: `${id}`, userName: name, slot: id, confirmed: true, verified: true };
      machine.service.accounts.push({ ...about, password: Buffer.from(password) });
    }
    const made = () => machine.service.accounts.at(-1)?.slot ?? 0;
    machine.service.hook = (when, call) => {
      if (when === "before" && call === "watchHandOff") machine.bmc.user(made()).enabled = false;
    };
    expect(await machine.boot()).toMatchObject({ kind: "linked" });
    expect([8, 9]).toContain(made());
    const [used = second] = [shaped, second].filter(({ id }) => id !== made());
    expect(enabled(machine)).toEqual([used.id]);
    expect(machine.service.opens()?.userName).toBe(used.name);
    expect(machine.service.facts?.findings.at(-1)).toContain(
      `"${used.name}", a former account of ours: left alone, the service`,
    );
    expect(machine.service.formerAccounts).toBe(1);
    machine.service.hook = () => undefined;
    expect(await machine.boot()).toMatchObject({ kind: "linked" });
    expect(enabled(machine)).toEqual([made()]);
    expect(machine.service.opens()?.slot).toBe(made());
  });

  test("stay as they are if the service does not get in", async () => {
    const machine = withUsers(shaped, second);
    machine.service.refuse = { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: "no way" };
    expect(await machine.boot()).toMatchObject({ kind: "failed" });
    expect(machine.bmc.user(9).enabled).toBe(true);
    expect(retiring(machine)).toEqual([]);
  });

  test("beside the slot that an operator asks for are closed too", async () => {
    const machine = withUsers(shaped);
    const settings = { agentVersion: "test", rotate: false, userSlot: 3, limits: defaultLimits };
    expect(await machine.boot({ world: { settings } })).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    expect(enabled(machine)).toEqual([3]);
  });

  test("that the BMC does not let go are told, and the machine is linked all the same", async () => {
    const machine = withUsers(shaped, second);
    const about9: Fault["on"] = ({ cmd, data }) => (cmd === 0x47 || cmd === 0x45) && data[0] === 9;
    expect(await machine.boot({ faults: [{ on: about9, effect: { answer: 0xd5 } }] })).toMatchObject({
      kind: "linked",
    });
    expect(machine.service.facts?.findings.at(-1)).toMatch(/: without rights, not disabled \(.*D5h/);
    // It would not let them go at the next boot either.
    expect(machine.service.formerAccounts).toBe(0);
    expect(await machine.boot()).toMatchObject({ kind: "recognised" });
  });

  test("that a busy BMC keeps are left to the next run", async () => {
    const machine = withUsers(shaped, second);
    const about9: Fault["on"] = ({ cmd, data }) => cmd === 0x47 && data[0] === 9;
    expect(await machine.boot({ faults: [{ on: about9, effect: { answer: 0xc0 } }] })).toMatchObject({
      kind: "linked",
    });
    expect(machine.service.formerAccounts).toBe(1);
    expect(await machine.boot()).toMatchObject({ kind: "linked" });
    expect(enabled(machine)).toEqual([8]);
    expect(machine.service.formerAccounts).toBe(0);
  });

  test("there are none: the run has no further step", async () => {
    const machine = new Machine();
    await machine.boot();
    expect(retiring(machine)).toEqual([]);
    expect(machine.events.at(-1)).toMatchObject({ step: "hand-off", number: 9, of: 9 });
    expect(machine.service.formerAccounts).toBeUndefined();
    expect(machine.service.calls.filter((call) => call === "reportBmc")).toHaveLength(1);
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
