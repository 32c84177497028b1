import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { startBootApi } from "../lab/boot-api.ts";
import { commandsOfPrograms, writesAmong } from "../lab/codec-proxy.ts";
import { until } from "../lab/deadline.ts";
import { ipmitool } from "../lab/foreign-login.ts";
import { bootFrom, miniLabMachines, miniLabUuid } from "../lab/mini-lab.ts";
import { serialOverLan } from "../lab/serial-over-lan.ts";
import { type BmcctlResult, bmcctl } from "../lab/service.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/*
 * Two machines of metal-stack's mini-lab, side by side: linked, cycled, sent to their disk, and back to the network. Then a third
 * one, which has no BMC.
 */

interface Seen {
  readonly linked: BootResult;
  readonly row: Bmc;
  readonly cycled: BmcctlResult;
  readonly recognised: BootResult;
  /** What the firmware says that was told to boot from the empty disk. */
  readonly fromDisk: string;
  readonly bootTarget: BmcctlResult;
  readonly fromNetwork: BootResult;
  readonly commands: number;
  readonly writes: number;
  /** What stands in the BMC once the machine has used it. */
  readonly usedUp: BmcctlResult;
}

type Name = "one" | "two";
const names: readonly Name[] = ["one", "two"];

const stack = new AsyncDisposableStack();
let site: Site<Name | "bare">;
const seen = new Map<Name, Seen>();
let overLan: string;
let bare: BootResult;

const bootLimitMs = 240_000;
const limitMs = 900_000;
/** What the network card's ROM says on the serial port before anything boots. */
const fromFirmware = /Open Source Network Boot Firmware/;

async function follow(name: Name | "bare"): Promise<BootResult> {
  return await followBoot(site.machines[name], { limitMs: bootLimitMs });
}

/** Has the service cycle the power, and waits until the machine is on again. */
async function cycle(name: Name): Promise<BmcctlResult> {
  const machine = site.machines[name];
  const before = machine.powerEvents.length;
  machine.bmc?.proxy.forget();
  const done = await bmcctl(site.service, ["power", machine.truth.bmcMac, "cycle"]);
  const since = () => machine.powerEvents.slice(before).map(({ what, by }) => `${what} by ${by}`);
  await until(`${name} to go off and on`, 30_000, () => since().includes("on by lan"));
  expect(since()).toEqual(["off by lan", "on by lan"]);
  machine.console.skip();
  return done;
}

async function live(name: Name): Promise<Seen> {
  const machine = site.machines[name];
  const { bmcMac } = machine.truth;
  await machine.powerOn("");
  const linked = await follow(name);
  const row = await rowOf(site, bmcMac);
  const cycled = await cycle(name);
  const recognised = await follow(name);
  await bmcctl(site.service, ["boot", bmcMac, "disk", "--efi"]);
  await cycle(name);
  const fromDisk = await machine.console.waitFor("the firmware to give its disk up", bootLimitMs, (line) =>
    /failed to (load|start)|iPXE|\{"/.test(line) ? line : undefined,
  );
  const bootTarget = await bmcctl(site.service, ["boot", bmcMac, "pxe", "--efi", "--output", "json"]);
  await cycle(name);
  const fromNetwork = await follow(name);
  const commands = commandsOfPrograms(machine.bmc?.proxy.seen ?? []);
  const usedUp = await bmcctl(site.service, ["boot", bmcMac, "status", "--output", "json"]);
  const counts = { commands: commands.length, writes: writesAmong(commands).length };
  return { linked, row, cycled, recognised, fromDisk, bootTarget, fromNetwork, ...counts, usedUp };
}

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-mini-lab-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const [one, two, three] = await miniLabMachines(directory, 3);
  if (one === undefined || two === undefined || three === undefined)
    throw new Error("the mini-lab has not three machines");
  site = stack.use(await openSite({ one, two, bare: { ...three, withBmc: false } }));
  const { service } = site;
  const api = stack.use(await startBootApi({ directory: site.directory, service, allow: "all" }));
  bootFrom(directory, api);
  await Promise.all(names.map(async (name) => seen.set(name, await live(name))));
  await site.machines.two.powerOff();
  await site.machines.bare.powerOn("");
  bare = await follow("bare");
  await site.machines.bare.powerOff();
  const { bmc, truth, directory: own } = site.machines.one;
  const { account } = await rowOf(site, truth.bmcMac, true);
  if (bmc === undefined || account === undefined) throw new Error("the machine has no BMC or no account");
  const login = { lanPort: bmc.sim.lanPort, userName: account.userName, password: account.password, directory: own };
  overLan = await serialOverLan(login, fromFirmware, () => ipmitool(login, ["chassis", "power", "reset"]));
}, limitMs);
afterAll(() => stack.disposeAsync());

const textOf = ({ told }: BootResult) => JSON.stringify(told);
const of = (name: Name): Seen => {
  const found = seen.get(name);
  if (found === undefined) throw new Error(`${name} was not seen to its end`);
  return found;
};

describe.each([
  ["one", miniLabUuid(1)],
  ["two", miniLabUuid(2)],
] as const)("machine %s, UUID %s", (name, uuid) => {
  test("is linked under that very UUID, though all BMCs tell the same GUID", () => {
    const { linked, row } = of(name);
    expect([linked.outcome, linked.exitCode], textOf(linked)).toEqual(["linked", 0]);
    expect(row).toMatchObject({ machineUuid: uuid, state: State.STATE_LINKED, warnings: [] });
    expect(row.machine).toMatchObject({ uuid, uuidDerived: false });
  });

  test("bmcctl power cycle restarts it, and it is recognised", () => {
    const { cycled, recognised } = of(name);
    expect(cycled).toMatchObject({ exitCode: 0, stderr: "" });
    expect([recognised.outcome, recognised.exitCode], textOf(recognised)).toEqual(["recognised", 0]);
  });

  test("boot target disk keeps it from the network", () => {
    expect(of(name).fromDisk).toMatch(/failed to (load|start)/);
  });

  test("boot target pxe boots it from the network, where it is recognised with four commands and no write", () => {
    const { bootTarget, fromNetwork, commands, writes } = of(name);
    expect(JSON.parse(bootTarget.stdout)).toMatchObject({ target: "pxe", persistent: false });
    expect([fromNetwork.outcome, fromNetwork.exitCode], textOf(fromNetwork)).toEqual(["recognised", 0]);
    expect(commands).toBeLessThanOrEqual(4);
    expect(writes).toBe(0);
    const on = site.machines[name].powerEvents.flatMap(({ what, bootFrom: from }) => (what === "on" ? [from] : []));
    expect(on).toEqual([undefined, undefined, "disk", "network"]);
  });

  test("has used the boot target up", () => {
    expect(JSON.parse(of(name).usedUp.stdout)).toMatchObject({ target: "none" });
  });
});

test("the serial console is there over the BMC's LAN, for the account that was made", () => {
  expect(overLan).toMatch(fromFirmware);
});

test("a machine without BMC is listed as Unmanaged, with what is known of it", async () => {
  expect([bare.outcome, bare.exitCode], textOf(bare)).toEqual(["unmanaged", 0]);
  const { uuid, smbios } = site.machines.bare.truth;
  const { stdout } = await bmcctl(site.service, ["ls"]);
  expect(stdout).toMatch(new RegExp(`Unmanaged .*${uuid}|${uuid}.* Unmanaged`));
  const described = await bmcctl(site.service, ["describe", uuid, "--output", "json"]);
  expect(JSON.parse(described.stdout)).toMatchObject({
    ...{ protocol: "Unmanaged", machine_id: uuid, state: "unmanaged" },
    smbios: { board: { serial_number: smbios[2].serial }, system: { serial_number: smbios[1].serial } },
  });
});
