import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { PowerOperation } from "../simulator/chassis.ts";
import type { Profile } from "../simulator/profile.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { artifacts } from "./artifacts.ts";
import type { Child } from "./child.ts";
import { type CodecProxy, startCodecProxy } from "./codec-proxy.ts";
import type { MachineOutcome } from "./expected-outcome.ts";
import { type LanConfig, type SimulatedUser, startIpmiSim, writeLanConfig } from "./ipmi-sim.ts";
import { openPowerLine, type PowerLine, type PowerRequest } from "./power-line.ts";
import { machineOfProfile, startProfileBmc } from "./profile-bmc.ts";
import { serialFileOf, startVm, type Vm, type VmOptions } from "./qemu.ts";
import { SerialConsole } from "./serial-console.ts";
import { fruImage, type MadeUpTruth, type Truth } from "./truth.ts";

export interface MachineOptions {
  /** "machine-1". */
  readonly name: string;
  /** A directory of this name is made in it. */
  readonly parentDirectory: string;
  readonly truth: MadeUpTruth;
  /** The BMC is a simulated one of ours that behaves like this, instead of OpenIPMI's ipmi_sim. */
  readonly profile?: Profile;
  /** Users of ipmi_sim; one "ADMIN" in slot 2 by default. */
  readonly users?: readonly SimulatedUser[];
  /** False: there is no BMC, and nothing that looks like one. */
  readonly withBmc?: boolean;
  readonly memoryMib?: number;
  readonly memoryFile?: VmOptions["memoryFile"];
  readonly hardwareClock?: VmOptions["hardwareClock"];
  /** Virtual CPUs; 1 by default. */
  readonly cpus?: number;
  readonly nic?: VmOptions["nic"];
  /** "isa-ipmi-kcs" by default. */
  readonly bmcInterface?: VmOptions["bmcInterface"];
  /** Where the machine reaches ipmi_sim on the loopback; a free port of 127.0.0.1 by default. */
  readonly bmcAt?: { readonly host: string; readonly port: number };
  /** GUID of ipmi_sim, 32 hexadecimal digits; the machine's UUID by default. */
  readonly bmcGuid?: string;
  /** The serial port as a telnet server on the loopback, which is ipmi_sim's SOL. Without it the BMC has none. */
  readonly serialPort?: { readonly host: string; readonly port: number };
  readonly board?: VmOptions["board"];
  readonly disk?: VmOptions["disk"];
  readonly onReboot?: VmOptions["onReboot"];
  /** The command line that it is switched on with is not used then. */
  readonly networkBoot?: VmOptions["networkBoot"];
  /** The same. */
  readonly stick?: VmOptions["stick"];
  readonly kernel?: string;
  readonly initramfs?: string;
  /** Wait before the BMC hears of each command, in milliseconds. */
  readonly bmcDelayMs?: number;
  readonly extraArgs?: VmOptions["extraArgs"];
}

/** Something that happened to a machine's power. */
export interface PowerEvent {
  readonly at: Date;
  readonly what: "on" | "off" | "reset";
  /** Of "on": what the BMC had been told to boot the machine from, if anything. */
  readonly bootFrom?: VmOptions["bootFrom"];
  /** "lan": the BMC was told to. "lab": we did it. "machine": it did so itself. */
  readonly by: "lan" | "lab" | "machine";
}

/** The BMC of a machine, on ports of 127.0.0.1. */
export interface MachineBmc {
  readonly sim: {
    /** UDP port of IPMI over LAN. */
    readonly lanPort: number;
    /** ipmi_sim; a simulated BMC of ours runs in this process. */
    readonly child?: Child;
  };
  readonly proxy: CodecProxy;
  /** Its state, if it is one of ours. */
  readonly simulated?: SimulatedBmc;
}

/** A VM with its BMC, wired like a server: whoever tells the BMC to cut the power stops the VM. */
export interface SimulatedMachine extends AsyncDisposable {
  readonly name: string;
  readonly directory: string;
  /** What its BMC is like; undefined for ipmi_sim and for no BMC. */
  readonly profile: Profile | undefined;
  /** How the first run on it has to end. */
  readonly expectedOutcome: MachineOutcome;
  /** As it is now. */
  readonly truth: Truth;
  /** Undefined for a machine without BMC. */
  readonly bmc: MachineBmc | undefined;
  readonly console: SerialConsole;
  readonly powerEvents: readonly PowerEvent[];
  readonly isOn: boolean;
  /** Why the machine does not run although it should: QEMU's own words. */
  readonly trouble: string | undefined;
  /** Sets the kernel command line for this and later boots, and switches on. */
  powerOn(commandLine: string): Promise<void>;
  /** Sets the kernel command line for later boots only. */
  setCommandLine(commandLine: string): void;
  powerOff(): Promise<void>;
  /**
   * What the BMC tells as its addresses from now on, and what the firmware tells from the next boot on.
   * @throws Error for addresses of a BMC that is not ipmi_sim
   */
  change(truth: Partial<Pick<Truth, "bmcIp" | "bmcMask" | "bmcGateway" | "smbios">>): void;
}

/** What of a machine has to be known to follow its boot. */
export type FollowedMachine = Pick<SimulatedMachine, "name" | "console" | "isOn" | "trouble">;

/** First part of every kernel command line: messages to the serial port, few of them, no waiting for ever after a panic, and all memory for the ramdisk. */
const kernelDefaults = "console=ttyS0 quiet panic=5 rootfstype=ramfs";

/** Makes BMC and wires; the machine is off. */
export async function assembleMachine(options: MachineOptions, signal?: AbortSignal): Promise<SimulatedMachine> {
  const { name } = options;
  let truth: Truth = options.truth;
  const directory = join(options.parentDirectory, name);
  mkdirSync(directory, { mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  const powerEvents: PowerEvent[] = [];
  let commandLine = "";
  let vm: Vm | undefined;
  let trouble: string | undefined;
  let disposed = false;
  // One thing at a time happens to the power, in the order in which it was asked for.
  let queue: Promise<void> = Promise.resolve();

  const happened = (what: PowerEvent["what"], by: PowerEvent["by"], more: Partial<PowerEvent> = {}) =>
    powerEvents.push({ at: new Date(), what, by, ...more });

  const switchOn = async (by: PowerEvent["by"]) => {
    if (vm?.child.running || disposed) return;
    const bootFrom = bootFromOf(bootDevices?.takeBootDevice());
    const started = await startVm({
      directory,
      kernel: options.kernel ?? artifacts.kernel,
      initramfs: options.initramfs ?? artifacts.initramfs,
      commandLine: `${kernelDefaults} ${commandLine}`,
      uuid: truth.uuid,
      smbios: truth.smbios,
      bmcPort: bmc?.proxy.port,
      bmcHost: bmc?.proxy.host,
      bmcInterface: options.bmcInterface,
      serialPort: options.serialPort,
      board: options.board,
      disk: options.disk,
      bootFrom,
      nic: options.nic ?? "virtio-net-pci",
      nicMac: truth.nicMac,
      memoryMib: options.memoryMib ?? 512,
      memoryFile: options.memoryFile,
      hardwareClock: options.hardwareClock,
      cpus: options.cpus ?? 1,
      onReboot: options.onReboot ?? "restart",
      networkBoot: options.networkBoot,
      stick: options.stick,
      extraArgs: options.extraArgs ?? [],
    });
    vm = started;
    happened("on", by, bootFrom === undefined ? {} : { bootFrom });
    tellPower(true);
    void started.exited.then(() => {
      if (vm !== started) return;
      vm = undefined;
      tellPower(false);
      happened("off", "machine");
    });
  };
  const switchOff = async (by: PowerEvent["by"]) => {
    const running = vm;
    if (running === undefined) return;
    vm = undefined;
    await running.pullPlug();
    happened("off", by);
    tellPower(false);
  };
  const enqueue = (work: () => Promise<void>): Promise<void> => {
    const done = queue.then(work);
    queue = done.catch((error: unknown) => {
      trouble = error instanceof Error ? error.message : String(error);
    });
    return done;
  };

  const onRequest = (request: PowerRequest) => {
    const obey = async () => {
      switch (request.kind) {
        case "power":
          return request.on ? await switchOn("lan") : await switchOff("lan");
        case "reset":
          happened("reset", "lan");
          if (bootFromOf(bootDevices?.bootDevice) === undefined) return await vm?.reset();
          if (vm === undefined) return;
          // QEMU keeps the boot order that it was started with.
          await switchOff("lan");
          return await switchOn("lan");
        case "shutdown":
          return await switchOff("lan");
        case "boot":
        case "identify":
          return;
        default:
          return request satisfies never;
      }
    };
    // What goes wrong is kept in `trouble`: nobody waits for it here.
    enqueue(obey).catch(() => undefined);
  };

  let tellPower: (on: boolean) => void = () => undefined;
  let bootDevices: Pick<PowerLine, "bootDevice" | "takeBootDevice"> | undefined;
  let bmc: MachineBmc | undefined;
  if (options.profile !== undefined) {
    const ofProfile = machineOfProfile(options.profile, options.truth);
    truth = ofProfile.truth;
    const sim = stack.use(
      await startProfileBmc(ofProfile, (operation) => {
        for (const request of powerRequests(operation)) onRequest(request);
      }),
    );
    const proxy = stack.use(await startProxy(sim.vmPort, options));
    bmc = { sim, proxy, simulated: sim.bmc };
    tellPower = (on) => {
      sim.bmc.chassis.powerOn = on;
    };
  } else if (options.withBmc !== false) {
    const power = stack.use(await openPowerLine(directory, onRequest));
    tellPower = (on) => power.setPower(on);
    bootDevices = power;
    bmc = await wireIpmiSim(stack, options, directory, power.program, signal);
  }
  const parts = stack.move();
  return {
    name,
    directory,
    profile: options.profile,
    expectedOutcome: bmc === undefined ? "unmanaged" : (options.profile?.expected ?? "linked"),
    get truth() {
      return truth;
    },
    bmc,
    console: new SerialConsole(serialFileOf(directory)),
    powerEvents,
    get isOn() {
      return vm?.child.running === true;
    },
    get trouble() {
      return trouble;
    },
    powerOn(line) {
      commandLine = line;
      return enqueue(() => switchOn("lab"));
    },
    setCommandLine(line) {
      commandLine = line;
    },
    powerOff: () => enqueue(() => switchOff("lab")),
    change(changes) {
      truth = { ...truth, ...changes };
      const { smbios: _ofMachine, ...ofBmc } = changes;
      if (bmc === undefined || Object.keys(ofBmc).length === 0) return;
      if (bmc.simulated !== undefined) throw new Error(`${name}: the addresses of its BMC are those of the profile`);
      writeLanConfig(directory, lanConfigOf(truth));
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
      await enqueue(() => switchOff("lab"));
      await parts.disposeAsync();
    },
  };
}

function lanConfigOf(truth: Truth): LanConfig {
  const { bmcMac: mac, bmcIp: ip, bmcMask: mask, bmcGateway: gateway, bmcIpSource: ipSource } = truth;
  return { mac, ip, mask, gateway, ipSource };
}

/** What an operation of Chassis Control means for the wires to the machine, in this order. */
function powerRequests(operation: PowerOperation): readonly PowerRequest[] {
  switch (operation) {
    case "powerDown":
      return [{ kind: "power", on: false }];
    case "powerUp":
      return [{ kind: "power", on: true }];
    case "powerCycle":
      return [
        { kind: "power", on: false },
        { kind: "power", on: true },
      ];
    case "hardReset":
      return [{ kind: "reset" }];
    case "softShutdown":
      return [{ kind: "shutdown" }];
    case "pulseDiagnosticInterrupt":
      return [];
    default:
      return operation satisfies never;
  }
}

function bootFromOf(device: string | undefined): VmOptions["bootFrom"] {
  switch (device) {
    case "pxe":
      return "network";
    case "default":
      return "disk";
    default:
      return undefined;
  }
}

async function startProxy(bmcPort: number, { bmcDelayMs, bmcAt }: MachineOptions): Promise<CodecProxy> {
  return await startCodecProxy({
    bmcPort,
    ...(bmcDelayMs === undefined ? {} : { delayMs: bmcDelayMs }),
    ...(bmcAt === undefined ? {} : { at: bmcAt }),
  });
}

async function wireIpmiSim(
  stack: AsyncDisposableStack,
  options: MachineOptions,
  directory: string,
  powerProgram: string,
  signal: AbortSignal | undefined,
): Promise<MachineBmc> {
  const { truth } = options;
  const sim = stack.use(
    await startIpmiSim(
      {
        directory,
        ...lanConfigOf(truth),
        guid: options.bmcGuid ?? truth.uuid.replaceAll("-", ""),
        fru: fruImage(truth.fru),
        powerProgram,
        ...(options.users === undefined ? {} : { users: options.users }),
        ...(options.serialPort === undefined ? {} : { sol: options.serialPort }),
      },
      signal,
    ),
  );
  const proxy = stack.use(await startProxy(sim.vmPort, options));
  return { sim, proxy };
}

/** Why a machine says nothing more; undefined while it runs. */
export function exitReason(machine: FollowedMachine): string | undefined {
  return machine.trouble ?? (machine.isOn ? undefined : "the machine went off");
}
