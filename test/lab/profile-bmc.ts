import { codecFace, listenOnLan } from "../simulator/bmc-faces.ts";
import type { PowerOperation } from "../simulator/chassis.ts";
import { mainLan } from "../simulator/main-lan.ts";
import type { Profile, SimulatedLan } from "../simulator/profile.ts";
import { createBmc, type SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { fruImage, type MadeUpTruth, randomMac, type Truth } from "./truth.ts";

/** What a profile's LAN channels tell, whichever it is. */
const lanTold = { bmcMask: "255.255.255.0", bmcGateway: "10.0.0.1", bmcIpSource: "dhcp" } as const;

/** A machine's own BMC out of a profile: no two machines of a lab may have the same MAC. */
export interface ProfileMachine {
  readonly profile: Profile;
  readonly lans: readonly SimulatedLan[];
  readonly truth: Truth;
}

/** The truth about a machine whose BMC is as the profile says; the machine itself is the one that was made up. */
export function machineOfProfile(profile: Profile, madeUp: MadeUpTruth): ProfileMachine {
  const main = mainLan(profile.channels.lans);
  const lans = profile.channels.lans.map((lan) => {
    if (lan === main) return { ...lan, mac: madeUp.bmcMac };
    return lan.mac === "00:00:00:00:00:00" ? lan : { ...lan, mac: randomMac() };
  });
  const truth = {
    ...madeUp,
    bmcChannel: main.channel,
    bmcIp: main.ipv4Address,
    ...lanTold,
    fru: tellsGivenFru(profile) ? madeUp.fru : ("unknown" as const),
  };
  return { profile, lans, truth };
}

function tellsGivenFru({ fru }: Profile): boolean {
  return [fru.image, fru.refused, fru.empty, fru.badChecksum, fru.placeholders].every((each) => each === undefined);
}

/** A simulated BMC of ours behind a VM and on the network. */
export interface ProfileBmc extends AsyncDisposable {
  readonly bmc: SimulatedBmc;
  /** UDP port of IPMI over LAN on 127.0.0.1. */
  readonly lanPort: number;
  /** TCP port of the VM codec on 127.0.0.1. */
  readonly vmPort: number;
}

/** How often its watchdog is looked at, ms. */
const watchdogPeriodMs = 100;

/** What the BMC does to its machine when the countdown is over. IPMI 2.0 §27.6, timeout actions. */
function fireWatchdog({ watchdog }: SimulatedBmc, onPower: (operation: PowerOperation) => void): void {
  if (watchdog.startedAtMs === undefined || watchdog.running(performance.now())) return;
  const action = watchdog.settings?.timeoutAction;
  watchdog.startedAtMs = undefined;
  if (action === "hardReset" || action === "powerDown" || action === "powerCycle") onPower(action);
}

export async function startProfileBmc(
  { profile, lans, truth }: ProfileMachine,
  onPower: (operation: PowerOperation) => void,
): Promise<ProfileBmc> {
  const fru = truth.fru === "unknown" ? {} : { fru: fruImage(truth.fru) };
  const bmc = createBmc(profile, { lans, machineUuid: truth.uuid, onPower, ...fru });
  bmc.chassis.powerOn = false;
  await using stack = new AsyncDisposableStack();
  const vm = stack.use(await codecFace(bmc));
  const lan = stack.use(await listenOnLan(bmc));
  const timer = setInterval(() => fireWatchdog(bmc, onPower), watchdogPeriodMs);
  stack.defer(() => clearInterval(timer));
  const parts = stack.move();
  return { bmc, lanPort: lan.port, vmPort: vm.port, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
