import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot, type Told } from "./agent-log.ts";
import { until } from "./deadline.ts";
import { endedAs } from "./expected-outcome.ts";
import { ipmitool } from "./foreign-login.ts";
import { type MachineResult, summarise } from "./lab-result.ts";
import type { Lab } from "./lab-run.ts";
import type { SimulatedMachine } from "./machine.ts";
import { bmcctl, connectOperator } from "./service.ts";
import { differences } from "./truth.ts";

/** A boot under emulation, several side by side on few cores included. */
const bootLimitMs = 240_000;
/** Power off, a second's wait of the BMC, power on. */
const powerLimitMs = 30_000;
const rowLimitMs = 15_000;
/** A known machine costs no more IPMI commands than this. */
const knownMachineCommands = 4;

const label = (lab: Lab, machine: SimulatedMachine, what: string) =>
  lab.machines.length === 1 ? what : `${machine.name.replace(/^machine-?0?/, "#")} ${what}`;

/** Boots the machine, shows the run, and compares the service's row with what the machine was told. */
export async function firstBoot(lab: Lab, machine: SimulatedMachine, result: MachineResult): Promise<void> {
  const url = lab.documents.urlOf(`${machine.name}.yaml`);
  lab.screen.pending(label(lab, machine, "power on"), `machine ${machine.truth.uuid}`);
  await machine.powerOn(`rivet.log=json rivet.config=${url}${lab.ipmiDriver ? "" : " rivet.ipmi_driver=0"}`);
  const boot = await followMachine(lab, machine);
  const summary = summarise(boot, machine.bmc?.proxy.seen ?? [], lab.ipmiDriver);
  result.first_boot = summary;
  const expected = machine.expectedOutcome;
  if (!endedAs(expected, boot)) {
    problem(lab, machine, result, "first boot", `ended with "${boot.outcome}" instead of "${expected}": ${boot.text}`);
    return;
  }
  if (expected !== "linked" && expected !== "unmanaged") {
    lab.screen.done(label(lab, machine, "as expected"), `${expected}: ${boot.text}`, summary.duration_ms);
    return;
  }
  const row = await rowOf(lab, machine);
  // Without a BMC there is nothing but what the firmware tells.
  const wrong = differences(machine.truth, row).filter(({ field }) => machine.bmc || field.startsWith("machine"));
  result.row_differences = wrong;
  for (const { field, expected, found } of wrong) {
    problem(lab, machine, result, "row", `${field} is "${found}", the machine was told "${expected}"`);
  }
  if (machine.bmc === undefined) {
    if (row.state !== State.STATE_UNMANAGED) problem(lab, machine, result, "row", "it is not in the state Unmanaged");
    if (result.problems.length > 0) return;
    lab.screen.done(label(lab, machine, "unmanaged"), boot.text, summary.duration_ms);
    lab.screen.done(label(lab, machine, "row"), "every field is what the machine was told");
    return;
  }
  if (row.account === undefined) {
    problem(lab, machine, result, "account", "the service's row has none");
    return;
  }
  result.account = { user_name: row.account.userName, slot: row.account.slot };
  lab.screen.done(
    label(lab, machine, "linked"),
    `${row.account.userName}, slot ${row.account.slot}, ${summary.ipmi_commands} IPMI commands`,
    summary.duration_ms,
  );
  if (wrong.length === 0) lab.screen.done(label(lab, machine, "row"), "every field is what machine and BMC were told");
}

/** Has the service power-cycle the machine over its BMC's LAN; the machine has to go down, come up, and know itself. */
export async function powerCycle(lab: Lab, machine: SimulatedMachine, result: MachineResult): Promise<void> {
  if (machine.bmc === undefined) return;
  const { signal, screen } = lab;
  const start = performance.now();
  const before = machine.powerEvents.length;
  machine.bmc?.proxy.forget();
  machine.console.skip();
  const asked = lab.miniLab
    ? [
        ["boot", "pxe", "--efi"],
        ["power", "cycle"],
      ]
    : [["power", "cycle"]];
  for (const [command = "", ...words] of asked) {
    const done = await bmcctl(lab.service, [command, machine.truth.bmcMac, ...words], signal);
    if (done.exitCode === 0) continue;
    const said = (done.stderr || done.stdout).trim();
    const what = command === "boot" ? "boot target" : "power cycle";
    problem(lab, machine, result, what, `bmcctl ended with exit code ${done.exitCode}: ${said}`);
    return;
  }
  const seen = { off: false, on: false };
  try {
    await until(
      `${machine.name} to go down and come up`,
      powerLimitMs,
      () => {
        if (machine.trouble !== undefined) throw new Error(machine.trouble);
        const since = machine.powerEvents.slice(before).filter(({ by }) => by === "lan");
        seen.off = since.some(({ what }) => what === "off");
        seen.on = seen.off && since.some(({ what }) => what === "on");
        return seen.on;
      },
      { signal },
    );
  } catch (error) {
    signal.throwIfAborted();
    problem(lab, machine, result, "power cycle", error instanceof Error ? error.message : String(error));
  }
  const durationMs = Math.round(performance.now() - start);
  result.power_cycle = { went_down: seen.off, came_up: seen.on, duration_ms: durationMs };
  if (!seen.on) return;
  const from = machine.powerEvents.findLast(({ what }) => what === "on")?.bootFrom;
  if (lab.miniLab && from !== "network") {
    problem(lab, machine, result, "boot target", `the machine was started with "${from}" instead of "network"`);
  }
  screen.done(label(lab, machine, "power cycle"), "the machine went down and comes up again", durationMs);
  await secondBoot(lab, machine, result);
}

async function secondBoot(lab: Lab, machine: SimulatedMachine, result: MachineResult): Promise<void> {
  const boot = await followMachine(lab, machine);
  const summary = summarise(boot, machine.bmc?.proxy.seen ?? [], lab.ipmiDriver);
  result.second_boot = summary;
  if (boot.outcome !== "recognised") {
    problem(lab, machine, result, "second boot", `ended with "${boot.outcome}" instead of "recognised": ${boot.text}`);
    return;
  }
  if (summary.ipmi_commands > knownMachineCommands) {
    const words = `took ${summary.ipmi_commands} IPMI commands, at most ${knownMachineCommands} are allowed`;
    problem(lab, machine, result, "second boot", words);
  }
  if (summary.ipmi_writes > 0) {
    problem(lab, machine, result, "second boot", `changed the BMC (${summary.ipmi_writes} writing commands)`);
  }
  const { account } = await rowOf(lab, machine);
  if (account?.userName !== result.account?.user_name || account?.slot !== result.account?.slot) {
    problem(lab, machine, result, "second boot", "the account is another one than before");
  }
  if (result.problems.length > 0) return;
  const words = `nothing changed, ${summary.ipmi_commands} IPMI commands`;
  lab.screen.done(label(lab, machine, "recognised"), words, summary.duration_ms);
}

/** Logs in by ipmitool with the account that the agent made, and reads the power state. */
export async function foreignLogin(lab: Lab, machine: SimulatedMachine, result: MachineResult): Promise<void> {
  const { bmc } = machine;
  if (bmc === undefined) return;
  const { account } = await rowOf(lab, machine, true);
  if (account === undefined) {
    problem(lab, machine, result, "ipmitool", "there is no account to log in with");
    return;
  }
  const start = performance.now();
  const login = {
    lanPort: bmc.sim.lanPort,
    cipherSuite: machine.profile?.lan.cipherSuites.includes(3) === false ? (17 as const) : (3 as const),
    userName: account.userName,
    password: account.password,
    directory: machine.directory,
  };
  const { exitCode, output } = await ipmitool(login, ["chassis", "power", "status"]);
  const loggedIn = exitCode === 0 && output.includes("Chassis Power is on");
  result.ipmitool = { logged_in: loggedIn };
  if (!loggedIn) {
    problem(lab, machine, result, "ipmitool", `exit code ${exitCode}: ${output}`);
    return;
  }
  const words = `gets in too: "${output.trim()}"`;
  lab.screen.done(label(lab, machine, "ipmitool"), words, performance.now() - start);
}

/** The service's row of that machine. The service may be about to write it: it is asked again for a while. */
async function rowOf(lab: Lab, machine: SimulatedMachine, showSecrets = false): Promise<Bmc> {
  await using operator = connectOperator(lab.service);
  const { bmcMac, uuid } = machine.truth;
  const key = machine.bmc === undefined ? uuid : bmcMac;
  const { bmc } = await operator.getBmc(
    { key, showSecrets },
    AbortSignal.any([lab.signal, AbortSignal.timeout(rowLimitMs)]),
  );
  if (bmc === undefined) throw new Error(`bmc-service answered without a row for ${key}`);
  return bmc;
}

async function followMachine(lab: Lab, machine: SimulatedMachine): Promise<BootResult> {
  const { screen, signal } = lab;
  const start = performance.now();
  const show = (told: Told) => {
    switch (told.kind) {
      case "first":
        return screen.done(label(lab, machine, "agent starts"), told.text, performance.now() - start);
      case "init":
        return screen.done(label(lab, machine, told.task), told.detail, told.durationMs);
      case "step": {
        const { step, number, of, ok, detail, durationMs } = told.step;
        const what = label(lab, machine, `${number}/${of} ${step}`);
        return ok ? screen.done(what, detail, durationMs) : screen.failed(what, detail, durationMs);
      }
      case "problem":
        return screen.failed(label(lab, machine, "agent"), told.text);
      case "note":
        // With several machines, remarks would hide the steps; the serial logs have them.
        return lab.machines.length === 1 ? screen.note("", told.text) : undefined;
      case "end":
        return;
      default:
        return told satisfies never;
    }
  };
  return await followBoot(machine, { limitMs: bootLimitMs, signal, onTold: show });
}

function problem(lab: Lab, machine: SimulatedMachine, result: MachineResult, what: string, text: string): void {
  result.problems.push(`${what}: ${text}`);
  lab.screen.failed(label(lab, machine, what), text);
}
