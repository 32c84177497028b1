import { describe, expect, test } from "vitest";
import { exitCodeOf, type Outcome } from "../../agent/outcome.ts";
import { makePlan } from "../../agent/plan.ts";
import { StepError, type StepName } from "../../agent/step.ts";
import { defaultLimits } from "../../agent/world.ts";
import { cryptoRandomBelow } from "../../inband/account/credentials.ts";
import { encodeFru } from "../../ipmi/fru/encode.ts";
import type { Machine as MachineMessage } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { type Fault, SimulatedTransport } from "../simulator/simulated-transport.ts";
import { nameText } from "../simulator/users.ts";
import { fakeClock } from "./fake-clock.ts";
import { type BootOptions, fru, Machine } from "./machine.ts";
import { smbiosTables } from "./smbios-tables.ts";

const bogus = "03000200-0400-0500-0006-000700080009";

/** Made by Python's uuid.uuid5 in the documented name space. */
const uuidOf: Readonly<Record<string, string>> = {
  "BS-0123456789/52:54:00:b1:00:01": "07e3217a-a9df-5d47-a7a2-ebb5966f0d69",
  "S-1/52:54:00:b1:00:01": "988d6c78-1047-5bfa-b1bb-a463cbd8e412",
  "S-1/52:54:00:b1:00:02": "851e9175-17ef-55ca-b7ad-92d9e9fd9cb7",
};

/** The message of Begin, at each boot. */
const begun: MachineMessage[] = [];

/** A boot with firmware that tells no UUID of the machine's own. */
function boot(machine: Machine, options: BootOptions = {}, boardSerial?: string): Promise<Outcome> {
  begun.length = 0;
  const connectService = async () => {
    const client = machine.service.client();
    const begin: typeof client.begin = (request, signal) => {
      if (request.machine !== undefined) begun.push(request.machine);
      return client.begin(request, signal);
    };
    return { ...client, begin };
  };
  const readSmbios = async () => smbiosTables(bogus, undefined, boardSerial);
  return machine.boot({ ...options, world: { readSmbios, connectService, ...options.world } });
}

async function failure(promise: Promise<unknown>): Promise<StepError> {
  const error = await promise.catch((each: unknown) => each);
  expect(error).toBeInstanceOf(StepError);
  return error as StepError;
}

/** An answer to Get LAN Configuration Parameters for the MAC address of one channel. */
const macFault = (channel: number, answer: number): Fault => ({
  on: ({ netFn, cmd, data }) => netFn === 0x0c && cmd === 0x02 && data[0] === channel && data[1] === 5,
  effect: { answer },
});
const readFruFault: Fault = { on: ({ netFn, cmd }) => netFn === 0x0a && cmd === 0x11, effect: { answer: 0xff } };

describe("a machine whose firmware tells a filler as UUID", () => {
  test("is linked by one that is derived from board serial number and MAC address", async () => {
    const machine = new Machine();
    const others = JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3));
    const outcome = await boot(machine);
    const uuid = uuidOf["BS-0123456789/52:54:00:b1:00:01"];
    expect(outcome).toMatchObject({ kind: "linked", machineUuid: uuid, bmc: { slot: 3 } });
    expect(begun).toMatchObject([{ uuid, uuidDerived: true, firmwareUuid: bogus }]);
    // Nobody sat in slot 3 before: all others are as they were.
    expect(machine.foreign()).toBe(others);
  });

  test("says which UUID is refused and which one is used, and reads the BMC once, before it begins", async () => {
    const machine = new Machine();
    const { ipmi } = await boot(machine);
    const done = machine.events.filter(({ kind }) => kind === "done");
    expect(done.slice(0, 5).map(({ step }) => step)).toEqual([
      "identify machine",
      "open BMC",
      "inspect BMC",
      "begin",
      "report BMC",
    ]);
    expect(done[0]).toMatchObject({
      detail: `Acme Rack One: the system UUID ${bogus} is a filler that many machines share`,
    });
    expect(machine.notes[0]).toBe(
      `Refused: the system UUID ${bogus} is a filler that many machines share. Used instead: ` +
        "07e3217a-a9df-5d47-a7a2-ebb5966f0d69, derived from board serial number BS-0123456789 and BMC MAC address 52:54:00:b1:00:01.",
    );
    expect(done.filter(({ step }) => step === "inspect BMC")).toHaveLength(1);
    const plain = new Machine();
    expect(ipmi.commands).toBe((await plain.boot()).ipmi.commands);
  });

  test("takes the serial number of SMBIOS before that of the FRU", async () => {
    const outcome = await boot(new Machine(), { faults: [readFruFault] }, "S-1");
    expect(outcome).toMatchObject({ kind: "linked", machineUuid: uuidOf["S-1/52:54:00:b1:00:01"] });
  });

  test("has another UUID than one with the same filler and another BMC", async () => {
    const lans = [{ channel: 1, mac: "52:54:00:b1:00:02", ipv4Address: "10.0.0.8" }];
    const outcome = await boot(new Machine({ bmc: { lans } }), {}, "S-1");
    expect(outcome.machineUuid).toBe(uuidOf["S-1/52:54:00:b1:00:02"]);
  });

  test("is recognised at the next boot, and nothing is written", async () => {
    const machine = new Machine();
    const first = await boot(machine);
    const writes = machine.bmc.writes.length;
    const second = await boot(machine);
    expect(second).toMatchObject({ kind: "recognised", machineUuid: first.machineUuid, bmc: { slot: 3 } });
    expect(exitCodeOf(second)).toBe(0);
    expect(machine.bmc.writes).toHaveLength(writes);
    expect(machine.service.accounts).toHaveLength(1);
    expect(machine.service.facts?.fru?.boardSerial).toBe("BS-0123456789");
  });

  test("whose account was removed gets a new one, without another full look", async () => {
    const machine = new Machine();
    await boot(machine);
    machine.bmc.user(3).name = new Uint8Array(16);
    machine.bmc.log.length = 0;
    expect(await boot(machine)).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    expect(machine.notes.join("\n")).toMatch(/Slot 3 no longer holds our account "rivet\w+"/);
    expect(machine.bmc.log.filter((each) => each === "Get FRU Inventory Area Info")).toHaveLength(1);
  });

  test("rotates when asked", async () => {
    const machine = new Machine();
    const { machineUuid } = await boot(machine);
    expect(await boot(machine, { rotate: true })).toMatchObject({ kind: "linked", machineUuid, bmc: { slot: 3 } });
    const [first, second] = machine.service.accounts;
    expect(machine.bmc.login(first?.userName ?? "", first?.password ?? new Uint8Array())).toBeUndefined();
    expect(machine.bmc.login(second?.userName ?? "", second?.password ?? new Uint8Array())).toBe(4);
  });

  test("keeps its UUID when another LAN channel is elected", async () => {
    const lan = (channel: number, last: number, ipv4Address: string) => ({
      channel,
      mac: `52:54:00:b1:00:0${last}`,
      ipv4Address,
    });
    const cable = (one: string, three: string) => new Machine({ bmc: { lans: [lan(1, 1, one), lan(3, 2, three)] } });
    const [inThree, inOne] = [cable("0.0.0.0", "10.0.0.9"), cable("10.0.0.7", "10.0.0.9")];
    expect(await boot(inThree, {}, "S-1")).toMatchObject({
      machineUuid: uuidOf["S-1/52:54:00:b1:00:01"],
      bmc: { channel: 3, mac: "52:54:00:b1:00:02" },
    });
    expect(await boot(inOne, {}, "S-1")).toMatchObject({
      machineUuid: uuidOf["S-1/52:54:00:b1:00:01"],
      bmc: { channel: 1 },
    });
  });

  test("is reported if its BMC lets it make no accounts", async () => {
    const machine = new Machine();
    const locked: Fault = {
      on: ({ netFn, cmd }) => netFn === 6 && cmd >= 0x43 && cmd <= 0x47,
      effect: { answer: 0xd4 },
    };
    const outcome = await boot(machine, { faults: [locked] });
    expect(outcome).toMatchObject({ kind: "locked", machineUuid: uuidOf["BS-0123456789/52:54:00:b1:00:01"] });
    expect(machine.service.facts?.mac).toBe("52:54:00:b1:00:01");
  });

  const steps: StepName[] = [
    "open BMC",
    "inspect BMC",
    "begin",
    "report BMC",
    "set account",
    "prove account",
    "hand-off",
  ];
  test.each(steps.flatMap((step) => [["before", step] as const, ["after", step] as const]))(
    "dies %s %s, and is the same machine at the next boot, with one account",
    async (when, step) => {
      const machine = new Machine();
      const hook = (at: string, name: StepName) => {
        if (at === when && name === step) throw new Error("killed");
      };
      await failure(boot(machine, { step: { hook } }));
      const outcome = await boot(machine);
      expect(outcome.machineUuid).toBe(uuidOf["BS-0123456789/52:54:00:b1:00:01"]);
      expect(["linked", "recognised"]).toContain(outcome.kind);
      expect(machine.ours()).toEqual([3]);
    },
  );
});

describe("what cannot be read is not taken for missing: exit 75, and neither service nor BMC is changed", () => {
  const twoChannels = () =>
    new Machine({
      bmc: {
        lans: [1, 2].map((channel) => ({
          channel,
          mac: `52:54:00:b1:00:0${channel}`,
          ipv4Address: `10.0.0.${channel}`,
        })),
      },
    });
  const spoiled = encodeFru({ board: { serialNumber: "B-1" } });
  spoiled[spoiled.length - 1] = (spoiled.at(-1) ?? 0) ^ 1;

  test.each([
    [
      "the MAC address of a lower channel",
      twoChannels,
      [macFault(1, 0xff)],
      "S-1",
      /did not tell the MAC address of channel 1\./,
    ],
    [
      "the only MAC address",
      () => new Machine(),
      [macFault(1, 0xff)],
      "S-1",
      /did not tell the MAC address of channel 1\./,
    ],
    ["the FRU", () => new Machine(), [readFruFault], undefined, /FRU 0 cannot be read \(.*FFh/],
    [
      "the FRU's checksum",
      () => new Machine({ bmc: { fru: spoiled } }),
      [],
      undefined,
      /FRU 0 is not to be trusted \(board: /,
    ],
  ])("%s", async (_what, make, faults, boardSerial, text) => {
    const machine = make();
    const error = await failure(boot(machine, { faults }, boardSerial));
    expect(error.step).toBe("inspect BMC");
    expect(error.message).toMatch(text);
    expect(error.message).toContain(bogus);
    expect(exitCodeOf(error)).toBe(75);
    expect([machine.service.calls, machine.bmc.writes]).toEqual([[], []]);
  });

  test("a BMC that SMBIOS names and that is not to be found", async () => {
    const machine = new Machine({ noBmc: true });
    const readSmbios = async () => smbiosTables(bogus, 0xca2, "S-1");
    expect(exitCodeOf(await failure(boot(machine, { world: { readSmbios } })))).toBe(75);
  });

  test("a lower channel that refuses its MAC address for good has none", async () => {
    const outcome = await boot(twoChannels(), { faults: [macFault(1, 0xcc)] }, "S-1");
    expect(outcome.machineUuid).toBe(uuidOf["S-1/52:54:00:b1:00:02"]);
  });
});

describe("where there is nothing to derive a UUID from: exit 78, saying what is missing and what to do", () => {
  test.each([
    [
      "no serial number",
      encodeFru({ board: { serialNumber: "Default string" } }),
      [],
      "0000000",
      /neither SMBIOS nor the FRU tells a serial/,
    ],
    ["no FRU and no serial number", new Uint8Array(), [], undefined, /neither SMBIOS nor the FRU tells a serial/],
    ["no MAC address", fru, [macFault(1, 0xcc)], "S-1", /the BMC tells no MAC address/],
  ])("%s", async (_what, image, faults, boardSerial, text) => {
    const machine = new Machine({ bmc: { fru: image } });
    const error = await failure(boot(machine, { faults }, boardSerial));
    expect(error.step).toBe("identify machine");
    expect(error.message).toMatch(text);
    expect(error.message).toMatch(new RegExp(`${bogus} is a filler.*Set a UUID of its own`));
    expect(exitCodeOf(error)).toBe(78);
    expect([machine.service.calls, machine.bmc.writes]).toEqual([[], []]);
  });

  test("a BMC that is closed altogether: the console tells that too", async () => {
    const machine = new Machine();
    const closed: Fault = { on: () => true, effect: { answer: 0xd4 } };
    const error = await failure(boot(machine, { faults: [closed] }, "S-1"));
    expect(exitCodeOf(error)).toBe(78);
    expect(machine.notes.join("\n")).toContain("D4h");
  });
});

describe("the plan", () => {
  const planFor = (machine: Machine, account?: string) =>
    makePlan(
      {
        readSmbios: async () => smbiosTables(bogus),
        openBmc: async () => new SimulatedTransport(machine.bmc),
        clock: fakeClock(),
        randomBelow: cryptoRandomBelow,
      },
      { agentVersion: "test", rotate: false, limits: defaultLimits },
      900_000,
      account,
    );

  test("names the derived UUID, and the commands that the run then sends", async () => {
    const machine = new Machine();
    const plan = await planFor(machine);
    expect(plan).toMatchObject({ outcome: "linked", machineUuid: uuidOf["BS-0123456789/52:54:00:b1:00:01"] });
    expect(plan.remarks[0]).toContain(`Refused: the system UUID ${bogus}`);
    expect(machine.bmc.writes).toEqual([]);
    await boot(machine);
    expect(plan.commands.map(({ command }) => command)).toEqual(machine.bmc.writes);
    const known = nameText(machine.bmc.user(3));
    expect(await planFor(machine, known)).toMatchObject({ outcome: "recognised", commands: [] });
  });
});
