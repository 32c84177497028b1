import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Account, AccountState, type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ProcessWatch } from "../canary/process-watch.ts";
import { filesHolding, textsHolding } from "../canary/search.ts";
import { commandKey, writesAmong } from "../lab/codec-proxy.ts";
import { until } from "../lab/deadline.ts";
import { type IpmiSim, type SimulatedUser, startIpmiSim } from "../lab/ipmi-sim.ts";
import { differences } from "../lab/truth.ts";
import { letsIn, readUserSlots, type UserSlot } from "./bmc-users.ts";
import { accountsOf, type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/** ipmi_sim has 63 user IDs: two commands for each and thirty more is what a first enrolment may take. */
const firstEnrolmentCommands = 2 * 63 + 30;
const knownMachineCommands = 4;

const administrator: SimulatedUser = { slot: 2, name: "ADMIN", password: "factory-Pass-1", privilege: "admin" };
const foreign: SimulatedUser[] = [
  administrator,
  { slot: 3, name: "monitor", password: "watch-Pass-2", privilege: "user" },
  { slot: 5, name: "retired", password: "gone-Pass-3", privilege: "operator", enabled: false },
];
const foreignSlots = foreign.map(({ slot }) => slot);

type Name = "known" | "refused" | "bare";

/** What was seen of a machine that is linked, boots again, and gets a new account. */
interface Life {
  readonly before: readonly UserSlot[];
  readonly first: Boot;
  readonly firstRow: Bmc;
  readonly after: readonly UserSlot[];
  readonly firstAccount: Account;
  readonly firstLetIn: boolean;
  readonly second: Boot;
  readonly secondRow: Bmc;
  readonly rotation: Boot;
  readonly rotationRow: Bmc;
  readonly newAccount: Account;
  readonly newLetIn: boolean;
  readonly oldLetIn: boolean;
  readonly foreignInTheEnd: readonly UserSlot[];
}

/** What was seen of a machine whose new account is refused from remote. */
interface Refusal {
  readonly first: Boot;
  readonly firstRow: Bmc;
  readonly refused: Boot;
  readonly refusedRow: Bmc;
  readonly accounts: readonly Account[];
}

interface Bare {
  readonly boot: Boot;
  readonly row: Bmc;
  readonly wentOff: boolean;
}

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let watch: ProcessWatch;
let life: Life;
let refusal: Refusal;
let bare: Bare;

beforeAll(async () => {
  watch = stack.use(new ProcessWatch());
  site = stack.use(
    await openSite({
      known: { users: foreign },
      refused: { nic: "e1000", users: [administrator] },
      bare: { withBmc: false },
    }),
  );
  const other = stack.use(await startOtherBmc());
  // Two lanes: as many virtual machines at a time as a small machine has cores.
  const secondLane = async () => {
    refusal = await liveAndBeRefused(other);
    bare = await liveWithoutBmc();
  };
  [life] = await Promise.all([liveAndRotate(), secondLane()]);
});
afterAll(() => stack.disposeAsync());

/** A BMC that knows nobody but its factory user: to the service it answers at the address of another one. */
async function startOtherBmc(): Promise<IpmiSim> {
  const directory = join(site.directory, "other-bmc");
  mkdirSync(directory);
  const guid = "ffeeddccbbaa99887766554433221100";
  return await startIpmiSim({ directory, mac: "02:00:5e:00:00:99", ip: "192.0.2.251", guid });
}

async function liveAndRotate(): Promise<Life> {
  const machine = site.machines.known;
  const { bmcMac } = machine.truth;
  const before = await readUserSlots(machine, administrator, foreignSlots);
  const first = await boot(site, "known");
  const firstRow = await rowOf(site, bmcMac);
  const [firstAccount] = await accountsOf(site, bmcMac);
  if (firstAccount === undefined) throw new Error(`no account after the first boot: ${first.text}`);
  const after = await readUserSlots(machine, administrator, [...foreignSlots, firstAccount.slot]);
  const firstLetIn = await letsIn(machine, firstAccount.userName, firstAccount.password);

  const second = await boot(site, "known");
  const secondRow = await rowOf(site, bmcMac);

  const { smbios } = machine.truth;
  machine.change({ bmcIp: "192.0.2.252", smbios: { ...smbios, 2: { ...smbios[2], serial: "BRD-CHANGED" } } });
  const rotation = await boot(site, "known", { args: "rivet.rotate=1" });
  const rotationRow = await rowOf(site, bmcMac);
  const [newAccount] = await accountsOf(site, bmcMac);
  if (newAccount === undefined) throw new Error("no account after the rotation");
  return {
    ...{
      before,
      first,
      firstRow,
      after,
      firstAccount,
      firstLetIn,
      second,
      secondRow,
      rotation,
      rotationRow,
      newAccount,
    },
    newLetIn: await letsIn(machine, newAccount.userName, newAccount.password),
    oldLetIn:
      (await letsIn(machine, firstAccount.userName, firstAccount.password)) ||
      (await letsIn(machine, newAccount.userName, firstAccount.password)),
    foreignInTheEnd: await readUserSlots(machine, administrator, foreignSlots),
  };
}

async function liveAndBeRefused(other: IpmiSim): Promise<Refusal> {
  const { bmcMac } = site.machines.refused.truth;
  const first = await boot(site, "refused");
  const firstRow = await rowOf(site, bmcMac);
  const road = site.roads.get("refused");
  if (road === undefined) throw new Error("no road to that BMC");
  road.target = other.lanPort;
  const refused = await boot(site, "refused", { config: { rotate: true } });
  return { first, firstRow, refused, refusedRow: await rowOf(site, bmcMac), accounts: await accountsOf(site, bmcMac) };
}

async function liveWithoutBmc(): Promise<Bare> {
  const machine = site.machines.bare;
  const result = await boot(site, "bare", { args: "rivet.then=poweroff", stayOn: true });
  const wentOff = await until("the machine to power off", 30_000, () => !machine.isOn).catch(() => false);
  await machine.powerOff();
  return { boot: result, row: await rowOf(site, machine.truth.uuid), wentOff };
}

describe("first boot", () => {
  test("the run ends linked, with exit code 0", () => {
    expect([life.first.outcome, life.first.exitCode], life.first.text).toEqual(["linked", 0]);
  });

  test("the service's row is what machine and BMC were told", () => {
    expect(life.firstRow.state).toBe(State.STATE_LINKED);
    expect(differences(site.machines.refused.truth, refusal.firstRow)).toEqual([]);
    const { bmcIp: _ip, smbios: _smbios, ...unchanged } = site.machines.known.truth;
    expect(life.firstRow).toMatchObject({ mac: unchanged.bmcMac, machineUuid: unchanged.uuid, drivers: ["IPMI"] });
  });

  test("the account: rivet and random characters, in a slot that was empty", () => {
    expect(life.firstAccount.userName).toMatch(/^rivet[a-z0-9]{1,11}$/);
    expect(life.firstAccount.slot).toBe(4);
    expect(life.firstAccount.state).toBe(AccountState.ACCOUNT_STATE_VERIFIED);
  });

  test("the password: 16 characters of four classes, none beside itself", () => {
    const { password } = life.firstAccount;
    expect(password).toHaveLength(16);
    for (const kind of [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/]) expect(kind.test(password)).toBe(true);
    expect(/(.)\1/.test(password)).toBe(false);
  });

  test("it lets a foreign client in, as administrator on the LAN channel", () => {
    expect(life.firstLetIn).toBe(true);
    const slot = life.after.find(({ slot }) => slot === life.firstAccount.slot);
    // Bits 3:0 privilege 4, bit 4 IPMI messaging, bit 6 callback only. ipmi_sim tells state 0 (unspecified); 2 is disabled.
    expect(Number.parseInt(slot?.access.split(" ")[3] ?? "", 16) & 0x5f).toBe(0x14);
    expect(slot?.access.split(" ")[1]).not.toBe("2");
  });

  test("accounts of others are untouched, byte by byte", () => {
    expect(life.after.filter(({ slot }) => foreignSlots.includes(slot))).toEqual(life.before);
    expect(life.foreignInTheEnd).toEqual(life.before);
  });

  test("the passwords of others still work, and the disabled one still does not", async () => {
    expect(await letsIn(site.machines.known, "ADMIN", administrator.password)).toBe(true);
    expect(await letsIn(site.machines.known, "retired", "gone-Pass-3")).toBe(false);
  });

  test(`with 63 user IDs it takes at most ${firstEnrolmentCommands} IPMI commands`, () => {
    expect(life.first.commands.length).toBeGreaterThan(10);
    expect(life.first.commands.length).toBeLessThanOrEqual(firstEnrolmentCommands);
  });
});

describe("second boot", () => {
  test("the machine is recognised, with exit code 0", () => {
    expect([life.second.outcome, life.second.exitCode], life.second.text).toEqual(["recognised", 0]);
  });

  test(`at most ${knownMachineCommands} IPMI commands, and none that changes anything`, () => {
    expect(life.second.commands.length).toBeGreaterThan(0);
    expect(life.second.commands.map(commandKey).length).toBeLessThanOrEqual(knownMachineCommands);
    expect(writesAmong(life.second.commands)).toEqual([]);
  });

  test("the row keeps its account", () => {
    expect(life.secondRow.account?.id).toBe(life.firstAccount.id);
    expect(life.secondRow.state).toBe(State.STATE_LINKED);
  });
});

describe("rivet.rotate=1, and the BMC has a new address", () => {
  test("ends linked with a new account in the same slot", () => {
    expect([life.rotation.outcome, life.rotation.exitCode], life.rotation.text).toEqual(["linked", 0]);
    expect(life.newAccount.slot).toBe(life.firstAccount.slot);
    expect(life.newAccount.id).not.toBe(life.firstAccount.id);
    expect(life.newAccount.password).not.toBe(life.firstAccount.password);
  });

  test("the new password works and the old one has stopped working", () => {
    expect(life.newLetIn).toBe(true);
    expect(life.oldLetIn).toBe(false);
  });

  test("the row changed with the address and the board's serial number", () => {
    expect(differences(site.machines.known.truth, life.rotationRow)).toEqual([]);
    expect(life.rotationRow.facts?.ipv4Address).toBe("192.0.2.252");
    expect(life.rotationRow.machine?.board?.serialNumber).toBe("BRD-CHANGED");
    expect(life.firstRow.facts?.ipv4Address).not.toBe("192.0.2.252");
  });
});

describe("an account that is refused from remote", () => {
  test("the first enrolment of that machine, over an e1000, went well", () => {
    expect([refusal.first.outcome, refusal.first.exitCode], refusal.first.text).toEqual(["linked", 0]);
  });

  test("the run ends failed, and not with exit code 0", () => {
    expect(refusal.refused.outcome, refusal.refused.text).toBe("failed");
    expect(refusal.refused.exitCode).toBe(77);
  });

  test("the row says so, with the reason", () => {
    expect(refusal.refusedRow.state).toBe(State.STATE_FAILED);
    expect(refusal.refusedRow.stateReason).toMatch(/user|login|refus/i);
    expect(refusal.refusedRow.stateReason).toContain("127.0.0.1");
  });

  test("the service keeps the old credentials", () => {
    const old = refusal.accounts.find(({ id }) => id === refusal.firstRow.account?.id);
    expect(old?.password).toHaveLength(16);
    expect(refusal.accounts).toHaveLength(2);
  });
});

describe("a machine without BMC", () => {
  test("is a row with the driver Unmanaged, and exit code 0", () => {
    expect([bare.boot.outcome, bare.boot.exitCode], bare.boot.text).toEqual(["unmanaged", 0]);
    expect(bare.row).toMatchObject({
      mac: "",
      drivers: ["Unmanaged"],
      state: State.STATE_UNMANAGED,
      machineUuid: site.machines.bare.truth.uuid,
    });
    expect(bare.row.machine?.board?.serialNumber).toBe(site.machines.bare.truth.smbios[2].serial);
  });

  test("rivet.then=poweroff switches it off", () => {
    expect(bare.wentOff).toBe(true);
  });
});

describe("canary: the made passwords", () => {
  test("are in no file that was written, the BMCs' own memory apart", async () => {
    const accounts = [life.firstAccount, life.newAccount, ...refusal.accounts];
    expect(accounts).toHaveLength(4);
    for (const { password } of accounts) expect(filesHolding(password, site.directory, ["bmc-flash"])).toEqual([]);
  });

  test("were in no process's arguments and no environment", () => {
    expect(watch.seen.size).toBeGreaterThan(10);
    for (const { password } of [life.firstAccount, life.newAccount, ...refusal.accounts]) {
      expect(textsHolding(password, watch.seen)).toEqual([]);
    }
  });
});
