import { existsSync } from "node:fs";
import { systemClock } from "../../inband/clock.ts";
import type { KeyName } from "../../proto/agent-keys.ts";
import { ExitCode } from "../../proto/exit-code.ts";
import type { LocalSettings, Source } from "../config/settings.ts";
import type { LocalSources } from "../configure.ts";
import type { Console } from "../console.ts";
import { findIpmi } from "../init/find-ipmi.ts";
import { realIpmiDeviceWorld, waitForIpmiDevice } from "../init/ipmi-device-node.ts";
import { ModuleLoader } from "../init/modules.ts";
import { kernelRelease } from "../init/mounts.ts";
import { isNetworkUp } from "../init/network/is-network-up.ts";
import { MachineNetwork } from "../init/network/set-up-network.ts";
import { RunLimitError } from "../perform-run.ts";
import { runOnce } from "../run-once.ts";
import type { AsFound } from "./as-found.ts";
import { endOnBugs } from "./early-end.ts";
import type { BegunGuest } from "./first-steps.ts";
import { useKernelNameServers } from "./kernel-name-servers.ts";
import { LastResort } from "./last-resort.ts";
import { rememberNetwork } from "./network-as-found.ts";

const standardLimitMs = 120_000;

/** Somebody waits for the end of this program: shorter limits than where it has the machine for itself. */
const defaults: Source = {
  name: "defaults of /inito",
  kind: "document",
  values: new Map([
    ["limit", String(standardLimitMs / 1000)],
    ["network_limit", "60"],
    ["service_limit", "60"],
    ["bmc_limit", "60"],
  ]),
};

/**
 * The run in somebody else's ramdisk, before the program that the machine was booted for: brings up what is missing, does the
 * run once, and leaves the machine as it was found. It ends within its limit, whatever happens. Returns the exit code.
 */
export async function runAsGuest(
  flags: ReadonlyMap<KeyName, string>,
  cmdlineFile: string,
  { asFound, ...begun }: BegunGuest,
): Promise<number> {
  const ends = new AbortController();
  endOnBugs(process, ends, () => begun.console);
  const lastResort = armLastResort(begun);
  let over = new AbortController();
  const leftMs = (limitMs: number): number => limitMs - performance.now(); // which counts from the process's start
  const endAt = (limitMs: number): void => {
    lastResort?.set(leftMs(limitMs));
    over.abort();
    over = new AbortController();
    systemClock.sleep(Math.max(leftMs(limitMs), 0), over.signal).then(
      () => ends.abort(new RunLimitError(limitMs)),
      () => undefined,
    );
  };
  lastResort?.set(leftMs(standardLimitMs));
  let exitCode: number = ExitCode.bug;
  try {
    exitCode = await runOnce(flags, cmdlineFile, begun, {
      defaults,
      ends,
      endAt,
      prepare: async (from, console) => {
        if (!from.local.keepNetwork) rememberNetwork(asFound);
        await prepare(from, asFound, console, ends.signal);
      },
    });
  } finally {
    over.abort();
    for (const problem of asFound.putBack()) begun.console.note(problem);
    lastResort?.endSoon(exitCode);
  }
  return exitCode;
}

/** A C library without such timers is no reason not to run. */
function armLastResort({ console, format }: BegunGuest | Omit<BegunGuest, "asFound">): LastResort | undefined {
  try {
    return new LastResort(format);
  } catch (error) {
    console.note(
      `a driver that holds the agent will not be noticed: ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
}

/** Drivers that the ramdisk has and nobody has loaded, the BMC's device and the network; the slow parts side by side. */
async function prepare(from: LocalSources, asFound: AsFound, console: Console, signal: AbortSignal): Promise<void> {
  const { local } = from;
  const release = kernelRelease();
  const modules = existsSync(`/lib/modules/${release}/modules.dep`) ? new ModuleLoader(release) : undefined;
  const isUp = isNetworkUp();
  if (isUp) useNetwork(asFound, console);
  else modules?.loadNetworkDrivers();
  if (!isUp && local.vlan !== undefined) modules?.load("8021q");
  const network = isUp ? undefined : new MachineNetwork().setUp(from, console, signal);
  network?.catch(() => undefined);
  const ipmi = local.ipmiDriver && modules !== undefined ? openDevice(modules, local, console) : undefined;
  for (const problem of modules?.problems ?? []) console.note(`driver: ${problem}`);
  await Promise.all([network, ipmi]);
}

/** The network that somebody brought up. */
function useNetwork(asFound: AsFound, console: Console): void {
  console.note("the network is up: it is left as it is");
  try {
    const servers = useKernelNameServers(asFound);
    if (servers.length > 0) console.note(`names: the kernel was told to ask ${servers.join(", ")}`);
  } catch (error) {
    console.note(`names: the servers that the kernel was told are not used: ${(error as Error).message}`);
  }
}

/** Loads the IPMI drivers, unless the device is there already. */
async function openDevice(modules: ModuleLoader, local: LocalSettings, console: Console): Promise<void> {
  if (realIpmiDeviceWorld.isThere()) return;
  const ipmi = await findIpmi(local);
  modules.loadIpmiDrivers(ipmi);
  if (ipmi.namedBy === undefined) return;
  const probeAgain = () => modules.probeIpmiAgain(ipmi);
  await waitForIpmiDevice(
    { ...realIpmiDeviceWorld, probeAgain, limitMs: local.bmcLimitMs, namedBy: ipmi.namedBy },
    console,
  );
}
