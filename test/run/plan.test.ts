import { describe, expect, test } from "vitest";
import { makePlan, type Plan } from "../../agent/plan.ts";
import { planText } from "../../agent/plan-text.ts";
import { defaultLimits, type RunSettings } from "../../agent/world.ts";
import { shapedName } from "../../inband/account/shaped-name.fixture.ts";
import type { Clock } from "../../inband/clock.ts";
import { NoBmcError } from "../../inband/openipmi/open-bmc.ts";
import { knownProfile } from "../simulator/known-profile.ts";
import { profiles, strict } from "../simulator/profiles.ts";
import type { Fault } from "../simulator/simulated-transport.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { nameText } from "../simulator/users.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { fakeClock } from "./fake-clock.ts";
import { foreignUsers, Machine, machineUuid, tried } from "./machine.ts";
import { smbiosTables } from "./smbios-tables.ts";

interface PlanOptions {
  readonly clock?: Clock;
  readonly settings?: Partial<RunSettings>;
  readonly account?: string;
  readonly faults?: readonly Fault[];
  readonly noBmc?: boolean;
  readonly uuid?: string;
}

/** The plan for the machine; nothing may be written. */
async function planFor(machine: Machine, options: PlanOptions = {}): Promise<Plan> {
  const { settings, account, faults, noBmc, uuid, clock } = options;
  const before = JSON.stringify(machine.bmc.users);
  const writes = machine.bmc.writes.length;
  const calls = machine.service.calls.length;
  const made = await makePlan(
    {
      readSmbios: async () => smbiosTables(uuid ?? machineUuid),
      openBmc: async () => {
        if (noBmc) throw new NoBmcError(tried);
        return new SimulatedTransport(machine.bmc, faults, clock);
      },
      clock: clock ?? fakeClock(),
      randomBelow: (below) => Math.floor(Math.random() * below),
    },
    { agentVersion: "test", rotate: false, limits: defaultLimits, ...settings },
    900_000,
    account,
  );
  expect(machine.bmc.writes.length).toBe(writes);
  expect(JSON.stringify(machine.bmc.users)).toBe(before);
  expect(machine.service.calls.length).toBe(calls);
  return made;
}

const sentBy = (machine: Machine): string[] => machine.bmc.writes;
const nameOf = (machine: Machine): string => nameText(machine.bmc.user(3));

describe("the plan of a first enrolment", () => {
  test("names the commands that the run then sends, in their order", async () => {
    const machine = new Machine();
    const plan = await planFor(machine);
    expect(plan).toMatchObject({
      outcome: "linked",
      exitCode: 0,
      machineUuid,
      bmc: { mac: "52:54:00:b1:00:01", channel: 1, address: "10.0.0.7" },
      account: { slot: 3, userName: "rivet**********" },
    });
    await machine.boot();
    expect(plan.commands.map(({ command }) => command)).toEqual(sentBy(machine));
  });

  test("has the nonce and what is put back, on a BMC without GUID that keeps System Info", async () => {
    const machine = new Machine({ profile: knownProfile("keeps-system-info") });
    const { commands } = await planFor(machine);
    const planned = commands.filter(({ command }) => command === "Set System Info Parameters");
    expect(planned).toMatchObject([
      { effect: 'name of the operating system: "rivet-********"', bestEffort: true },
      { effect: 'name of the operating system: "Linux"', bestEffort: true },
    ]);
  });

  test("tells each of them with its fields, and no password", async () => {
    const { commands, notNeeded } = await planFor(new Machine());
    expect(commands.map(({ effect }) => effect)).toEqual([
      'user ID 3: name "rivet**********"',
      "user ID 3: password [random, 16 characters] in the 16-byte form",
      "user ID 3 on channel 1: privilege administrator, IPMI messaging on",
      "user ID 3: enable",
      "user ID 3 on channel 1: Serial over LAN",
      "user ID 3: test the password; changes nothing",
    ]);
    expect(commands[1]?.request).toEqual({
      user: { twenty_bytes: false, id: 3 },
      action: { operation: "set" },
      password: "[random, 16 characters]",
    });
    expect(notNeeded).toEqual([{ command: "Set Channel Access", reason: "the channel is open already" }]);
  });

  test("a closed channel is in the plan, both copies", async () => {
    const machine = new Machine();
    const closed = { accessMode: 0, privilegeLevelLimit: 2 };
    machine.bmc.channelAccess = { volatile: { ...closed }, nonVolatile: { ...closed } };
    const plan = await planFor(machine);
    await machine.boot();
    expect(plan.commands.map(({ command }) => command)).toEqual(sentBy(machine));
    expect(plan.commands.filter(({ command }) => command === "Set Channel Access").map(({ effect }) => effect)).toEqual(
      [
        "channel 1: access mode always available (in use), privilege limit administrator (in use)",
        "channel 1: access mode always available (stored), privilege limit administrator (stored)",
      ],
    );
  });

  test("weak logins that harden switches off are in the plan, as the run writes them", async () => {
    const lan = { ...strict.lan, cipherSuites: [0, 1, 3, 17], suitePrivileges: [4, 4, 4, 4] };
    const machine = new Machine({ profile: { ...strict, lan } });
    expect((await planFor(machine)).commands.map(({ command }) => command)).not.toContain(setLan);
    const { commands } = await planFor(machine, { settings: { harden: true } });
    expect(commands.filter(({ command }) => command === setLan)).toEqual([
      expect.objectContaining({
        effect: "channel 1: no cipher suites 0 and 1 any more, bytes 000044000000000000",
        changes: true,
        bestEffort: true,
      }),
    ]);
    await machine.boot({
      world: { settings: { agentVersion: "test", rotate: false, harden: true, limits: defaultLimits } },
    });
    expect(commands.map(({ command }) => command)).toEqual(sentBy(machine));
  });

  test("what is best effort: the run links without it, and only without it", async () => {
    const closed = { accessMode: 0, privilegeLevelLimit: 4 };
    const closedMachine = () => {
      const machine = new Machine();
      machine.bmc.channelAccess = { volatile: { ...closed }, nonVolatile: { ...closed } };
      // The service's own look is not what is asked for here.
      machine.service.policy = { ...machine.service.policy, verificationRequired: false };
      return machine;
    };
    const { commands } = await planFor(closedMachine());
    const writing = commands.flatMap((each) => (each.changes ? [each] : []));
    expect(new Set(writing.map(({ bestEffort }) => bestEffort))).toEqual(new Set([true, false]));
    for (const { command, bestEffort, request } of writing) {
      const operation = (request.action as { operation?: string } | undefined)?.operation;
      const faults: Fault[] = [
        {
          on: ({ netFn, cmd, data }) =>
            netFn === 6 &&
            cmd === commandNumbers[command] &&
            (operation === undefined || ["disable", "enable", "set", "test"].indexOf(operation) === data[1]),
          effect: { answer: 0xd5 },
        },
      ];
      const made = await closedMachine()
        .boot({ faults })
        .then(
          ({ kind }) => kind === "linked" || kind === "unverified",
          () => false,
        );
      expect([command, operation, made]).toEqual([command, operation, bestEffort]);
    }
  });
});

const setLan = "Set LAN Configuration Parameters";

const commandNumbers: Readonly<Record<string, number>> = {
  "Set Channel Access": 0x40,
  "Set User Access": 0x43,
  "Set User Name": 0x45,
  "Set User Password": 0x47,
  "Set User Payload Access": 0x4c,
};

describe("the plan for a BMC with an account of ours", () => {
  test("says what it looks like, and how to ask for it", async () => {
    const machine = new Machine();
    await machine.boot();
    const { account, remarks } = await planFor(machine);
    expect(account).toEqual({ slot: 3, userName: "rivet**********" });
    expect(remarks.join("\n")).toContain(`See what it does then with --account ${nameOf(machine)}.`);
  });

  test("tells which former accounts are closed in the end", async () => {
    const users = [...foreignUsers, { id: 8, name: shapedName(1) }, { id: 9, name: shapedName(2) }];
    const machine = new Machine({ bmc: { users } });
    const { account, commands } = await planFor(machine);
    expect(account).toEqual({ slot: 8, userName: "rivet**********" });
    const retirement = commands.slice(-3);
    expect(retirement.map(({ effect }) => effect)).toEqual([
      "user ID 9: disable",
      "user ID 9 on channel 1: no rights any more",
      "user ID 9: no name any more",
    ]);
    expect(retirement.every(({ changes, bestEffort }) => changes && bestEffort)).toBe(true);
    expect(machine.bmc.writes).toEqual([]);
  });

  test("recognises the account that is named", async () => {
    const machine = new Machine();
    await machine.boot();
    const plan = await planFor(machine, { account: nameOf(machine) });
    expect(plan).toMatchObject({
      outcome: "recognised",
      exitCode: 0,
      account: { slot: 3, userName: nameOf(machine) },
      commands: [],
    });
  });

  test("with rotate: the same slot, and what the account has already is left out", async () => {
    const machine = new Machine();
    await machine.boot();
    const plan = await planFor(machine, { account: nameOf(machine), settings: { rotate: true } });
    expect(plan).toMatchObject({ outcome: "linked", account: { slot: 3, userName: "rivet**********" } });
    expect(plan.notNeeded.map(({ command, reason }) => `${command}: ${reason}`)).toEqual([
      "Set User Access: the account has these rights already",
      "Set User Password: the account is enabled already",
      "Set Channel Access: the channel is open already",
    ]);
    const before = machine.bmc.writes.length;
    await machine.boot({ rotate: true });
    expect(plan.commands.map(({ command }) => command)).toEqual(machine.bmc.writes.slice(before));
  });

  test("one that is named but not there", async () => {
    const plan = await planFor(new Machine(), { account: "rivetgone" });
    expect(plan).toMatchObject({ outcome: "linked", account: { slot: 3 } });
    expect(plan.remarks).toContain('No slot of the BMC holds "rivetgone".');
  });

  test("one that may be in a slot that cannot be read", async () => {
    const unreadable = {
      on: ({ cmd, data }: { cmd: number; data: Uint8Array }) => cmd === 0x46 && data[0] === 7,
      effect: { answer: 0xd5 },
    };
    const plan = await planFor(new Machine(), { account: "rivetgone", faults: [unreadable] });
    expect(plan.remarks).toContain('No slot of the BMC that could be read holds "rivetgone".');
  });

  test("one on a BMC that was not reached: nothing is said of its slots", async () => {
    const plan = await planFor(new Machine(), { account: "rivetgone", noBmc: true });
    expect(plan.remarks.join("\n")).not.toContain("rivetgone");
  });
});

describe("the plan where the run would not link", () => {
  test("no free slot: who sits where, and exit code 77", async () => {
    const users = Array.from({ length: 9 }, (_, i) => ({ id: i + 2, name: `user${i + 2}`, password: "x" }));
    const plan = await planFor(new Machine({ bmc: { userIds: 10, users } }));
    expect(plan).toMatchObject({ exitCode: 77, commands: [], notNeeded: [] });
    expect(plan.occupants?.at(-1)).toEqual({ slot: 10, holder: '"user10"' });
    expect(plan.text).toMatch(/2 "user2", 3 "user3".*10 "user10"/);
  });

  test("locked: as far as reading shows it", async () => {
    const faults: Fault[] = [{ on: ({ netFn, cmd }) => netFn === 6 && cmd === 0x44, effect: { answer: 0xd4 } }];
    for (const account of [undefined, "rivetabc"]) {
      const plan = await planFor(new Machine(), { faults, ...(account === undefined ? {} : { account }) });
      expect(plan).toMatchObject({ outcome: "locked", exitCode: 0, commands: [], bmc: { mac: "52:54:00:b1:00:01" } });
      expect(plan.text).toContain("D4h");
    }
  });

  test("no BMC: what was tried", async () => {
    const plan = await planFor(new Machine(), { noBmc: true, account: "rivetabc" });
    expect(plan).toMatchObject({ outcome: "unmanaged", exitCode: 0, commands: [], ipmiCommands: 0 });
    expect(plan.text).toContain("/dev/ipmi0: it does not exist");
  });

  test("a filler UUID and no BMC to derive one from: exit code 78", async () => {
    const plan = await planFor(new Machine(), { uuid: "00000000-0000-0000-0000-000000000000", noBmc: true });
    expect(plan).toMatchObject({ outcome: "error", exitCode: 78, ipmiCommands: 0 });
  });

  test("a BMC that is never ready: exit code 75, and what was seen", async () => {
    const faults: Fault[] = [{ on: ({ cmd }) => cmd === 1, effect: { answer: 0xd2 } }];
    for (const account of [undefined, "rivetabc"]) {
      const plan = await planFor(new Machine(), { faults, ...(account === undefined ? {} : { account }) });
      expect(plan).toMatchObject({ outcome: "error", exitCode: 75 });
      expect(plan.text).toContain("completion code D2h");
    }
  });
});

describe("the plan on a BMC of each profile", () => {
  test.each([...profiles.values()].map((profile) => [profile.name, profile] as const))(
    "%s: it ends as the run does, as far as reading shows that",
    async (_, profile) => {
      const plan = await planFor(new Machine({ profile }), { clock: virtualClock() });
      const { expected, access } = profile;
      const showsOnlyWhenWritten = expected === "failed" || access.inBand === "no writes";
      const outcome = showsOnlyWhenWritten ? "linked" : expected === "not ready" ? "error" : expected;
      expect(plan.outcome, plan.text).toBe(outcome);
      expect(plan.commands.length > 0).toBe(outcome === "linked");
    },
  );
});

test("as text it fits 80 columns and does not steer the terminal", async () => {
  const machine = new Machine({ bmc: { users: [{ id: 2, name: "rivet\u001b[31m", password: "x" }] } });
  const text = planText(await planFor(machine));
  expect(text).toContain("rivet?[31m");
  expect(Math.max(...text.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(80);
  expect(text.split("\n").slice(0, 12)).toEqual([
    "outcome  linked",
    `machine  ${machineUuid}`,
    "BMC      52:54:00:b1:00:01, 10.0.0.7, channel 1",
    'account  "rivet**********" in slot 3',
    "",
    "The machine would be linked to BMC 52:54:00:b1:00:01: an account is made in slot",
    "3, and the service logs in with it from remote.",
    "",
    "The run would send, after the service has stored name and password:",
    "  1  Set User Name",
    '       user ID 3: name "rivet**********"',
    "  2  Set User Password",
  ]);
});
