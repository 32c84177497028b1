import { describe, expect, test } from "vitest";
import { describeOutcome, exitCodeOf } from "../../agent/outcome.ts";
import { StepError } from "../../agent/step.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { nameText } from "../simulator/users.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { fru, Machine, machineUuid, tried } from "./machine.ts";
import { smbiosTables } from "./smbios-tables.ts";

async function failure(promise: Promise<unknown>): Promise<StepError> {
  const error = await promise.then(
    () => undefined,
    (each: unknown) => each,
  );
  expect(error).toBeInstanceOf(StepError);
  return error as StepError;
}

describe("first enrolment", () => {
  test("links machine and BMC, and leaves the accounts of others as they were", async () => {
    const machine = new Machine();
    const before = JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3));
    const outcome = await machine.boot();
    expect(outcome).toMatchObject({ kind: "linked", machineUuid, driver: "IPMI", bmc: { channel: 1, slot: 3 } });
    expect(exitCodeOf(outcome)).toBe(0);
    expect(machine.foreign()).toBe(before);
    const [account] = machine.service.accounts;
    expect(account).toMatchObject({ slot: 3, confirmed: true, verified: true });
    expect(account?.userName).toMatch(/^rivet[a-z0-9]{10}$/);
    expect(machine.bmc.login(account!.userName, account!.password)).toBe(4);
    expect(machine.bmc.user(3)).toMatchObject({ ipmiMessaging: true, callbackOnly: false, enabled: true });
    expect(machine.transport?.closed).toBe(true);
    expect(machine.service.inventories).toBe(1);
  });

  test("an inventory that never comes does not outlast the time of the run", async () => {
    const machine = new Machine();
    const clock = virtualClock();
    const limit = new AbortController();
    const over = clock.sleep(5_000).then(() => limit.abort(new Error("the time is over")));
    const gatherInventory = () => new Promise<never>(() => undefined);
    expect(await machine.boot({ clock, step: { signal: limit.signal }, world: { gatherInventory } })).toMatchObject({
      kind: "linked",
    });
    expect(clock.now()).toBe(5_000);
    expect(machine.notes).toContain("The inventory was not reported: the time is over");
    await over;
  });

  test("escrows before the first write, and confirms before the hand-off", async () => {
    const machine = new Machine();
    let writesAtEscrow = -1;
    machine.service.hook = (when, call) => {
      if (when === "before" && call === "escrowAccount") writesAtEscrow = machine.bmc.writes.length;
    };
    await machine.boot();
    expect(writesAtEscrow).toBe(0);
    expect(machine.service.calls.filter((each) => each !== "reportInventory")).toEqual([
      "begin",
      "reportBmc",
      "escrowAccount",
      "confirmAccount",
      "watchHandOff",
    ]);
    expect(machine.bmc.writes).toEqual([
      "Set User Name",
      "Set User Password",
      "Set User Access",
      "Set User Password",
      "Set User Payload Access",
      "Set User Password",
    ]);
  });

  test("reports what the BMC tells", async () => {
    const machine = new Machine({ bmc: { guid: Uint8Array.from({ length: 16 }, (_, i) => i + 1) } });
    await machine.boot();
    expect(machine.service.facts).toMatchObject({
      mac: "52:54:00:b1:00:01",
      channel: 1,
      ipv4Address: "10.0.0.7",
      ipv4Source: 2,
      ipv4Mask: "255.255.255.0",
      ipv4Gateway: "10.0.0.1",
      vlanId: 0,
      rmcpPort: 623,
      firmwareVersion: "9.08",
      ipmiVersion: "2.0",
      manufacturerId: 0x1291,
      productId: 0x0f02,
      guid: "0102030405060708090a0b0c0d0e0f10",
      transport: "simulated",
      findings: [],
      fru: {
        chassisSerial: "CHS-4711-0001",
        boardProductName: "Board One X1",
        boardSerial: "BS-0123456789",
        productAssetTag: "A-1",
        boardManufacturedAt: new Date("2021-03-04T05:06:00Z"),
        defects: [],
      },
    });
  });

  const dualStack = { channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7", ipv6Address: "2001:db8::7" };

  test.each([
    [16, 45],
    [63, 2 * 63 + 30],
  ])("with %d user IDs it takes at most %d commands, with IPv6 too", async (userIds, most) => {
    const machine = new Machine({ bmc: { userIds, lans: [dualStack] } });
    const outcome = await machine.boot();
    expect(fru.length).toBe(240);
    expect(outcome.ipmi.commands).toBe(machine.bmc.log.length);
    expect(outcome.ipmi.commands).toBeLessThanOrEqual(most);
    expect(describeOutcome(outcome)).toContain(`${outcome.ipmi.commands} IPMI commands`);
  });

  test("a BMC without IPv4 is linked over IPv6", async () => {
    const lan = { channel: 2, mac: "52:54:00:b1:00:02", ipv4Address: "0.0.0.0", ipv6Address: "2001:db8::7" };
    const machine = new Machine({ bmc: { lans: [lan] } });
    expect(await machine.boot()).toMatchObject({ kind: "linked", bmc: { channel: 2, address: "2001:db8::7" } });
    expect(machine.service.facts?.ipv6Addresses).toEqual(["2001:db8::7/64"]);
    await machine.boot();
    const inspected = machine.events.find(({ kind, step }) => kind === "done" && step === "inspect BMC");
    expect(inspected).toMatchObject({ detail: "52:54:00:b1:00:02, no IPv4 address, channel 2, known" });
  });

  test("a channel that is closed is opened, and said", async () => {
    const machine = new Machine();
    const closed = { accessMode: 0, privilegeLevelLimit: 2 };
    machine.bmc.channelAccess = { volatile: { ...closed }, nonVolatile: { ...closed } };
    expect(await machine.boot()).toMatchObject({ kind: "linked" });
    const open = { accessMode: 2, privilegeLevelLimit: 4 };
    expect(machine.bmc.channelAccess).toEqual({ volatile: open, nonVolatile: open });
    expect(machine.notes).toContain("Channel 1 (stored) was opened to privilege 4 at all times.");
  });
});

describe("a known machine", () => {
  test("is recognised with at most 4 commands, and nothing is written", async () => {
    const machine = new Machine();
    await machine.boot();
    const before = JSON.stringify(machine.bmc.users);
    machine.bmc.log.length = 0;
    const outcome = await machine.boot();
    expect(outcome).toMatchObject({ kind: "recognised", driver: "IPMI", bmc: { slot: 3, address: "10.0.0.7" } });
    expect(exitCodeOf(outcome)).toBe(0);
    expect(outcome.ipmi.commands).toBeLessThanOrEqual(4);
    expect(machine.bmc.writes).toEqual([]);
    expect(JSON.stringify(machine.bmc.users)).toBe(before);
    expect(machine.service.calls).toContain("watchHandOff");
    expect(machine.service.accounts).toHaveLength(1);
    expect(machine.service.facts?.fru?.boardSerial).toBe("BS-0123456789");
  });

  test("whose account was removed gets a new one", async () => {
    const machine = new Machine();
    await machine.boot();
    machine.bmc.user(3).name = new Uint8Array(16);
    expect(await machine.boot()).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    expect(machine.notes.join("\n")).toMatch(/Slot 3 no longer holds our account "rivet\w+"/);
  });

  test("rotates in the same slot when asked: the old password stops working", async () => {
    const machine = new Machine();
    await machine.boot();
    const before = machine.foreign();
    const outcome = await machine.boot({ rotate: true });
    expect(outcome).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
    const [first, second] = machine.service.accounts;
    expect(machine.ours()).toEqual([3]);
    expect(machine.bmc.login(first!.userName, first!.password)).toBeUndefined();
    expect(machine.bmc.login(second!.userName, first!.password)).toBeUndefined();
    expect(machine.bmc.login(second!.userName, second!.password)).toBe(4);
    expect(machine.foreign()).toBe(before);
    // The slot is enabled and has its rights: those are not written again.
    expect(machine.bmc.writes.slice(6)).toEqual([
      "Set User Name",
      "Set User Password",
      "Set User Payload Access",
      "Set User Password",
    ]);
  });
});

describe("typed outcomes", () => {
  test("no BMC: reported as unmanaged, exit 0", async () => {
    const machine = new Machine({ noBmc: true });
    const outcome = await machine.boot();
    expect(outcome).toEqual({ kind: "unmanaged", machineUuid, tried, ipmi: { commands: 0, waitedMs: 0 } });
    expect(exitCodeOf(outcome)).toBe(0);
    expect(machine.service.noBmc).toBe(true);
    expect(machine.service.aborted).toBeUndefined();
  });

  test("SMBIOS names a BMC that is not to be found: not unmanaged, but locked, and an operator is to help", async () => {
    const machine = new Machine({ noBmc: true });
    const outcome = await machine.boot({ world: { readSmbios: async () => smbiosTables(machineUuid, 0xca2) } });
    expect(outcome).toMatchObject({ kind: "locked", mac: "" });
    expect(describeOutcome(outcome)).toMatch(
      /SMBIOS names a BMC \(KCS at io 0xca2\), but .* \(\/dev\/ipmi0: it does not exist\)\. .*credentials by hand/,
    );
    expect(exitCodeOf(outcome)).toBe(0);
    expect(machine.service.noBmc).toBe(false);
    expect(machine.service.aborted).toMatchObject({ step: "open BMC", inbandLocked: true });
  });

  test("SMBIOS leaves the address of a BMC zero: there is none", async () => {
    const machine = new Machine({ noBmc: true });
    const outcome = await machine.boot({ world: { readSmbios: async () => smbiosTables(machineUuid, 0) } });
    expect(outcome.kind).toBe("unmanaged");
  });

  test("in-band locked: facts are reported, the reason too, and nothing was changed", async () => {
    const machine = new Machine();
    const before = JSON.stringify(machine.bmc.users);
    const locked = {
      on: ({ netFn, cmd }: { netFn: number; cmd: number }) => netFn === 6 && cmd >= 0x43 && cmd <= 0x47,
    };
    const outcome = await machine.boot({ faults: [{ ...locked, effect: { answer: 0xd4 } }] });
    expect(outcome).toMatchObject({ kind: "locked", mac: "52:54:00:b1:00:01" });
    expect(exitCodeOf(outcome)).toBe(0);
    expect(machine.service.facts?.mac).toBe("52:54:00:b1:00:01");
    expect(machine.service.aborted).toMatchObject({
      step: "escrow account",
      inbandLocked: true,
      reason: expect.stringContaining("D4h"),
    });
    expect(JSON.stringify(machine.bmc.users)).toBe(before);
  });

  test("a full user table: a typed outcome, exit 77; nothing is written, and the service is told who sits where", async () => {
    const users = Array.from({ length: 9 }, (_, i) => ({ id: i + 2, name: `user${i + 2}`, password: "x" }));
    const machine = new Machine({ bmc: { userIds: 10, users } });
    const outcome = await machine.boot();
    const occupants = users.map(({ id, name }) => ({ slot: id, holder: `"${name}"` }));
    expect(outcome).toMatchObject({ kind: "no free slot", mac: "52:54:00:b1:00:01", occupants });
    const text = /no free user ID on the BMC: 2 "user2", 3 "user3".*10 "user10".*never touched.*rivet\.user_slot=N/;
    expect(describeOutcome(outcome)).toMatch(text);
    expect(exitCodeOf(outcome)).toBe(77);
    expect(machine.bmc.writes).toEqual([]);
    expect(machine.service.facts?.mac).toBe("52:54:00:b1:00:01");
    expect(machine.service.aborted).toMatchObject({ step: "escrow account", reason: expect.stringMatching(text) });
  });

  test("the remote login failed, but the policy does not require it", async () => {
    const machine = new Machine();
    machine.service.policy = { ...machine.service.policy, verificationRequired: false };
    machine.service.refuse = { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: "10.0.0.7:623 does not answer" };
    const outcome = await machine.boot();
    expect(outcome).toMatchObject({ kind: "unverified", reason: "10.0.0.7:623 does not answer" });
    expect(exitCodeOf(outcome)).toBe(0);
  });
});

describe("failures", () => {
  test.each([
    [FailureKind.FAILURE_KIND_LOGIN_REFUSED, 77],
    [FailureKind.FAILURE_KIND_PRIVILEGE, 77],
    [FailureKind.FAILURE_KIND_OTHER_BMC, 76],
    [FailureKind.FAILURE_KIND_PROTOCOL, 76],
    [FailureKind.FAILURE_KIND_UNREACHABLE, 75],
    [FailureKind.FAILURE_KIND_NO_ACCOUNT, 75],
  ])("the service does not get in (kind %d): exit %d, with its reason", async (kind, exitCode) => {
    const machine = new Machine();
    machine.service.refuse = { kind, reason: "what the service says" };
    const outcome = await machine.boot();
    expect(outcome).toMatchObject({ kind: "failed", failure: kind, reason: "what the service says" });
    expect(exitCodeOf(outcome)).toBe(exitCode);
    expect(machine.events.at(-1)).toMatchObject({ kind: "failed", step: "hand-off", reason: "what the service says" });
  });

  test.each([
    ["unavailable", 69],
    ["refused", 77],
  ] as const)("the service is %s: exit %d, the BMC is untouched", async (status, exitCode) => {
    const machine = new Machine();
    const before = JSON.stringify(machine.bmc.users);
    machine.service.hook = () => {
      throw new ServiceError(status, "service 10.0.2.2:4443: no");
    };
    const error = await failure(machine.boot());
    expect(error).toMatchObject({ step: "begin", message: "begin: service 10.0.2.2:4443: no" });
    expect(exitCodeOf(error)).toBe(exitCode);
    expect(machine.bmc.writes).toEqual([]);
    expect(JSON.stringify(machine.bmc.users)).toBe(before);
    expect(machine.transport?.closed).toBe(true);
  });

  test("escrow refused: the BMC is untouched, and the service is told", async () => {
    const machine = new Machine();
    const before = JSON.stringify(machine.bmc.users);
    machine.service.hook = (when, call) => {
      if (when === "before" && call === "escrowAccount") throw new ServiceError("precondition", "no");
    };
    const error = await failure(machine.boot());
    expect(error.step).toBe("escrow account");
    expect(machine.bmc.writes).toEqual([]);
    expect(JSON.stringify(machine.bmc.users)).toBe(before);
    expect(machine.service.aborted).toEqual({ step: "escrow account", reason: "no", inbandLocked: false });
  });

  test.each(["00000000-0000-0000-0000-000000000000", "03000200-0400-0500-0006-000700080009"])(
    "a filler UUID (%s) and no BMC to derive one from: exit 78, the service is not asked",
    async (uuid) => {
      const machine = new Machine({ noBmc: true });
      const error = await failure(machine.boot({ uuid }));
      expect(error.message).toMatch(/^identify machine: SMBIOS: .* because the machine has no BMC; .*vendor's tool/);
      expect(error.message).toContain(`the system UUID ${uuid} is a filler`);
      expect(exitCodeOf(error)).toBe(78);
      expect(machine.service.calls).toEqual([]);
    },
  );

  test("an SMBIOS table cut short: exit 78, naming structure and offset", async () => {
    const machine = new Machine();
    const { smbiosTables } = await import("./smbios-tables.ts");
    const { entryPoint, table } = smbiosTables(machineUuid);
    const world = { readSmbios: async () => ({ entryPoint, table: table.subarray(0, 20) }) };
    const error = await failure(machine.boot({ world }));
    expect(error.message).toBe("identify machine: SMBIOS structure of type 1: cut short: 20 of 27 bytes (at byte 0)");
    expect(exitCodeOf(error)).toBe(78);
  });

  test("a BMC that is never ready: exit 75, saying what was seen", async () => {
    const machine = new Machine();
    const faults = [{ on: ({ cmd }: { cmd: number }) => cmd === 1, effect: { answer: 0xd2 } }];
    const error = await failure(machine.boot({ faults }));
    expect(error.message).toMatch(/not ready within 1[78]\d s \(\d+ tries: \d+ times completion code D2h\)/);
    expect(exitCodeOf(error)).toBe(75);
    expect(machine.service.aborted?.step).toBe("open BMC");
  });

  test("a BMC that knows no password afterwards: exit 77, and it says so", async () => {
    const machine = new Machine();
    const isTest = ({ cmd, data }: { cmd: number; data: Uint8Array }) => cmd === 0x47 && data[1] === 3;
    const error = await failure(machine.boot({ faults: [{ on: isTest, effect: { answer: 0x80 } }] }));
    expect(error.message).toMatch(/^prove account: .*user ID 3, or does not keep it as it was.*\(80h, 80h\)/);
    expect(exitCodeOf(error)).toBe(77);
    expect(machine.service.accounts.map(({ confirmed }) => confirmed)).toEqual(new Array(8).fill(false));
  });

  test("the password is in no note, event, error or outcome", async () => {
    const machine = new Machine();
    const outcome = await machine.boot();
    const error = await failure(
      machine.boot({ rotate: true, faults: [{ on: ({ cmd }) => cmd === 0x43 || cmd === 0x44, effect: "lost" }] }),
    );
    const shown = JSON.stringify([outcome, machine.notes, machine.events, error.stack, `${error.cause}`]);
    for (const { password } of machine.service.accounts) {
      expect(shown).not.toContain(Buffer.from(password).toString("latin1"));
    }
    expect(nameText(machine.bmc.user(3))).toMatch(/^rivet/);
  });
});

describe("slow and quirky BMCs", () => {
  test("busy for seconds after each write (Quanta S99Q)", async () => {
    const machine = new Machine();
    const faults = [0x45, 0x47, 0x43, 0x44].map((wanted) => ({
      on: ({ netFn, cmd }: { netFn: number; cmd: number }) => netFn === 6 && cmd === wanted,
      times: 6,
      effect: { answer: 0xc0 },
    }));
    expect(await machine.boot({ faults })).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
  });

  test("a name that was taken although the answer says no (Supermicro X12)", async () => {
    const machine = new Machine();
    const faults = [
      { on: ({ cmd }: { cmd: number }) => cmd === 0x45, times: 1, effect: { answerAfterwards: 0xcc } as const },
    ];
    expect(await machine.boot({ faults })).toMatchObject({ kind: "linked" });
  });

  test("rights that do not stick until the user is enabled are written again", async () => {
    const machine = new Machine();
    const bmc = machine.bmc;
    const original = bmc.handle.bind(bmc);
    bmc.handle = (message) => {
      const reply = original(message);
      if (message.cmd === 0x47 && message.data[1] === 1) bmc.user(3).privilege = 15;
      return reply;
    };
    expect(await machine.boot()).toMatchObject({ kind: "linked" });
    expect(bmc.writes.filter((each) => each === "Set User Access")).toHaveLength(2);
  });

  test("the first answer is bad: three good ones in a row are waited for", async () => {
    const machine = new Machine();
    const bad = [1, 3].map((number) => ({
      on: ({ cmd }: { cmd: number }, command: number) => cmd === 1 && command === number,
      effect: { answer: 0xc1 },
    }));
    expect(await machine.boot({ faults: bad })).toMatchObject({ kind: "linked" });
    expect(machine.bmc.log.slice(0, 7)).toEqual([
      "(refused)",
      "Get Device ID",
      "(refused)",
      "Get Device ID",
      "Get Device ID",
      "Get Device ID",
      "Get Channel Info",
    ]);
  });
});
