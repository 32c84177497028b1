import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { systemClock } from "../../inband/clock.ts";
import { ExitCode } from "../../proto/exit-code.ts";
import type { KeptKey } from "../begin-with-token.ts";
import { type Afterwards, canGoOffline, type LocalSettings, type LogFormat } from "../config/settings.ts";
import { type LocalSources, peekAfterwards, readLocalSources, readSettings, withStickDocument } from "../configure.ts";
import { type Console, openConsole, type RunEnd } from "../console.ts";
import { OutcomeRecord } from "../overlay/outcome-record.ts";
import { readConsoles, wantsTechnician } from "../screen/consoles.ts";
import type { Technician } from "../screen/technician.ts";
import { afterRun, realAfterRunWorld } from "./after-run.ts";
import { findIpmi } from "./find-ipmi.ts";
import type { BegunInit } from "./first-steps.ts";
import { realIpmiDeviceWorld, waitForIpmiDevice } from "./ipmi-device-node.ts";
import { quietKernel } from "./kernel-messages.ts";
import { reap, setHostName } from "./libc.ts";
import { ModuleLoader } from "./modules.ts";
import { bringUpLoopback } from "./network/apply-network.ts";
import { MachineNetwork } from "./network/set-up-network.ts";
import { Reaper, zombiesOf } from "./reaper.ts";
import { watchForStuck } from "./stuck.ts";
import { survive } from "./survive.ts";
import { tryAgain } from "./try-again.ts";

/** Node reaps its own children within milliseconds; what is left after this is nobody's. */
const reapAfterMs = 2_000;
const remindEveryMs = 15 * 60_000;

/**
 * Process 1 after its first line: prepares the machine, does the run, again while that may end better, and does what `then`
 * says. Never returns, and whatever is thrown ends on the console with the machine waiting, because the kernel panics when
 * its init ends.
 */
export async function runAsInit(begun: BegunInit): Promise<never> {
  const { cmdline, format, release } = begun;
  let { console } = begun;
  const bugs = survive(process, () => console);
  startReaping();
  const technician = await openScreen(begun);
  console = technician?.console ?? console;

  let afterwards: Afterwards = peekAfterwards(cmdline);
  let tries = 1;
  const kept: KeptKey = {};
  let watching: Disposable | undefined;
  const record = new OutcomeRecord(new Date());
  const network = new MachineNetwork();
  let former: RunEnd | undefined;
  const attempt = async (): Promise<RunEnd> => {
    const triedAt = performance.now();
    const ends = bugs.nextRun();
    technician?.begins();
    // Now and not when it ended: what comes after the last try has the network.
    if (former?.exitCode === ExitCode.serviceUnavailable) network.giveUp(console);
    try {
      if (format === "json") quietKernel();
      setHostName("metal-rivet");
      const onMachine = readLocalSources(new Map(), cmdline);
      ({ afterwards, tries } = onMachine.local);
      record.begin(onMachine, true, console);
      watching ??= watchAgainstDrivers(onMachine.local, format, console);
      for (const remark of onMachine.remarks) console.note(remark);
      const modules = new ModuleLoader(release);
      if (onMachine.local.stick) modules.loadStorageDrivers();
      if (technician !== undefined) modules.loadKeyboardDrivers();
      const reading = technician?.leavesDocument === true ? onMachine : withStickDocument(onMachine, console);
      // A stick takes its time to show itself: enough for what no document changes.
      if (onMachine.local.stick) loadWhileStickIsRead(modules, console);
      const from = await reading;
      console.site?.(from.local.site);
      const { withoutNetwork } = await prepare(from, network, modules, console);
      const settings = { ...(await readSettings(from, console)), withoutNetwork };
      ({ afterwards, tries } = settings);
      console.site?.(settings.site);
      const [{ realWorld }, { performRun }] = await Promise.all([
        import("../real-world.ts"),
        import("../perform-run.ts"),
      ]);
      if (settings.log !== format && technician === undefined) console = await openConsole(settings.log);
      if (settings.log === "json") quietKernel();
      return await performRun(settings, console, realWorld(settings, console, kept), ends);
    } catch (error) {
      const { failedEnd } = await import("../perform-run.ts");
      const ended = failedEnd(error, triedAt);
      console.end(ended);
      return ended;
    }
  };

  const clock = { sleep: (ms: number) => (technician ?? systemClock).sleep(ms) };
  const world = { clock, random: Math.random, console: () => console, most: () => tries };
  for (;;) {
    const ended = await tryAgain(async () => (former = await attempt()), world);
    watching?.[Symbol.dispose]();
    watching = undefined;
    await record.end(ended, console);
    await afterRun(afterwards, ended, console, { ...realAfterRunWorld, leave: async () => await technician?.close() });
    await waitUntilWanted(ended, console, technician?.hasKeys === true ? technician.again() : undefined);
  }
}

/** A configuration that is wrong is told by the run. */
function peekLocalSettings(cmdline: Uint8Array): LocalSettings {
  try {
    return readLocalSources(new Map(), cmdline).local;
  } catch {
    return readLocalSources(new Map(), Buffer.alloc(0)).local;
  }
}

/** The technician's screen, if it is wanted. */
async function openScreen(begun: BegunInit): Promise<Technician | undefined> {
  const wishes = peekLocalSettings(begun.cmdline);
  const consoles = readConsoles((path) => readFileSync(path, "latin1"));
  if (!wantsTechnician(wishes, consoles)) return undefined;
  try {
    const { openTechnician } = await import("../screen/open-technician.ts");
    return await openTechnician(begun, consoles, wishes);
  } catch (error) {
    begun.console.note(`no technician's screen: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** A C library without such timers is no reason not to run. */
function watchAgainstDrivers(settings: LocalSettings, format: LogFormat, console: Console): Disposable | undefined {
  try {
    return watchForStuck(settings, format);
  } catch (error) {
    console.note(
      `a driver that holds the agent will not be noticed: ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
}

/** Does what loads modules, and tells which and how long it took; nothing of what was loaded before. */
function loadTimed(name: string, modules: ModuleLoader, console: Console, load: () => void): void {
  const startedAt = performance.now();
  const before = modules.loaded.length;
  load();
  console.task(name, performance.now() - startedAt, modules.loaded.slice(before).join(" "));
}

const loadNetworkDrivers = (modules: ModuleLoader, console: Console): void =>
  loadTimed("load network drivers", modules, console, () => modules.loadNetworkDrivers());

function loadWhileStickIsRead(modules: ModuleLoader, console: Console): void {
  loadNetworkDrivers(modules, console);
  loadAhead(() => true).catch(() => undefined); // whoever needs a part imports it again, and tells
}

/** Drivers, the BMC's device and the network; the slow parts side by side. */
async function prepare(
  from: LocalSources,
  machineNetwork: MachineNetwork,
  modules: ModuleLoader,
  console: Console,
): Promise<{ readonly withoutNetwork: boolean }> {
  if (!from.local.stick) loadNetworkDrivers(modules, console);
  if (from.local.vlan !== undefined) modules.load("8021q");
  // starts here: the first question to the DHCP servers is on its way while the other drivers load
  const network = bringUpNetworkUnlessOffline(from, machineNetwork, console);
  let isWaiting = true;
  const answered = (): void => {
    isWaiting = false;
  };
  network.then(answered, answered);
  const ipmi = await findIpmi(from.local);
  if (from.local.ipmiDriver) loadTimed("load IPMI drivers", modules, console, () => modules.loadIpmiDrivers(ipmi));
  else console.note("the IPMI drivers are left out, as rivet.ipmi_driver=0 says");
  for (const problem of modules.problems) console.note(`driver: ${problem}`);
  loadAhead(() => isWaiting).catch(() => undefined); // whoever needs a part imports it again, and tells
  const wait = { limitMs: from.local.bmcLimitMs, probeAgain: () => modules.probeIpmiAgain(ipmi) };
  const [isUp] = await Promise.all([
    network,
    from.local.ipmiDriver && ipmi.namedBy !== undefined
      ? waitForIpmiDevice({ ...realIpmiDeviceWorld, ...wait, namedBy: ipmi.namedBy }, console)
      : undefined,
  ]);
  return { withoutNetwork: !isUp };
}

/**
 * Evaluates what comes after the network while links, switches and DHCP servers take their time: 30 ms, and twenty times
 * that under emulation. Part by part, so that an answer is not kept waiting for all of it.
 * @param isWaiting whether the network is still waited for: what not every document needs is loaded in that time only
 */
async function loadAhead(isWaiting: () => boolean): Promise<void> {
  await import("../../outband-client/service/enrolment.ts");
  await setImmediate();
  await Promise.all([
    import("../../outband-client/service/retry.ts"),
    import("../real-world.ts"),
    import("../perform-run.ts"),
    import("../run.ts"),
  ]);
  await setImmediate();
  await Promise.all([import("../config/fetch-document.ts"), import("../config/document.ts")]);
  await setImmediate();
  if (isWaiting()) await import("yaml");
  await import("../inventory.ts");
  // What is compiled to machine code at a function's first calls is never earned back by a run of a second: a tenth of it
  // under emulation. Not an option of the executable, because V8 would refuse the code cache of Node's own modules then.
  setFlagsFromString("--no-sparkplug");
}

/** @returns whether there is a network; without one the run is kept on the stick, if it can be */
async function bringUpNetworkUnlessOffline(
  from: LocalSources,
  network: MachineNetwork,
  console: Console,
): Promise<boolean> {
  const { local, sources } = from;
  const mayStay = canGoOffline(local);
  // What is not named cannot be reached. A document elsewhere, which may name it, needs the network.
  const namesAService = from.hasDocument !== true || sources.some(({ values }) => values.has("service"));
  if (mayStay && (local.offline === "always" || !namesAService)) {
    bringUpLoopback();
    console.note("no service is wanted: the network stays down, and the report is kept on the stick");
    return false;
  }
  try {
    console.begins?.("network", local.networkLimitMs);
    await network.setUp(from, console);
    return true;
  } catch (error) {
    if (!mayStay || !(error instanceof Error) || error.name !== "NetworkError") throw error;
    console.note(`${error.message}. Going on without a service: the report is kept on the stick`);
    return false;
  }
}

/** Orphans become children of process 1 and stay zombies unless it waits for them. */
function startReaping(): void {
  const reaper = new Reaper(() => zombiesOf(process.pid), reap);
  let isDue = false;
  const later = (): void => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      if (reaper.look()) later();
    }, reapAfterMs);
  };
  process.on("SIGCHLD", later);
}

/** @param again resolves when somebody wants another run; undefined: nobody can */
async function waitUntilWanted(ended: RunEnd, console: Console, again: Promise<void> | undefined): Promise<void> {
  const over = new AbortController();
  void again?.then(() => over.abort());
  const how = again === undefined ? "reset the machine" : "press R or reset the machine";
  while (!over.signal.aborted) {
    const text = `waiting (${ended.outcome}, exit code ${ended.exitCode}); ${how} to run again`;
    if (console.waits === undefined) console.note(text);
    else console.waits(text);
    await systemClock.sleep(remindEveryMs, over.signal).catch(() => undefined);
  }
}
