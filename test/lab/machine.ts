import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { artifacts } from "./artifacts.ts";
import { type CodecProxy, startCodecProxy } from "./codec-proxy.ts";
import { type IpmiSim, type LanConfig, type SimulatedUser, startIpmiSim, writeLanConfig } from "./ipmi-sim.ts";
import { openPowerLine, type PowerLine } from "./power-line.ts";
import { serialFileOf, startVm, type Vm, type VmOptions } from "./qemu.ts";
import { SerialConsole } from "./serial-console.ts";
import { fruImage, type Truth } from "./truth.ts";

export interface MachineOptions {
  /** "machine-1". */
  readonly name: string;
  /** A directory of this name is made in it. */
  readonly parentDirectory: string;
  readonly truth: Truth;
  /** Users of the BMC; one "ADMIN" in slot 2 by default. */
  readonly users?: readonly SimulatedUser[];
  /** False: there is no BMC, and nothing that looks like one. */
  readonly withBmc?: boolean;
  readonly memoryMib?: number;
  /** Virtual CPUs; 1 by default. */
  readonly cpus?: number;
  readonly nic?: VmOptions["nic"];
  /** "isa-ipmi-kcs" by default. */
  readonly bmcInterface?: VmOptions["bmcInterface"];
  readonly onReboot?: VmOptions["onReboot"];
  readonly kernel?: string;
  readonly initramfs?: string;
  /** Wait before the BMC hears of each command, in milliseconds. */
  readonly bmcDelayMs?: number;
}

/** Something that happened to a machine's power. */
export interface PowerEvent {
  readonly at: Date;
  readonly what: "on" | "off" | "reset";
  /** "lan": the BMC was told to. "lab": we did it. "machine": it did so itself. */
  readonly by: "lan" | "lab" | "machine";
}

/** A VM with its BMC, wired like a server: whoever tells the BMC to cut the power stops the VM. */
export interface SimulatedMachine extends AsyncDisposable {
  readonly name: string;
  readonly directory: string;
  /** As it is now. */
  readonly truth: Truth;
  /** Undefined for a machine without BMC. */
  readonly bmc: { readonly sim: IpmiSim; readonly proxy: CodecProxy } | undefined;
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
  /** What the BMC tells as its addresses from now on, and what the firmware tells from the next boot on. */
  change(truth: Partial<Pick<Truth, "bmcIp" | "bmcMask" | "bmcGateway" | "smbios">>): void;
}

/** First part of every kernel command line: messages to the serial port, few of them, and no waiting for ever after a panic. */
const kernelDefaults = "console=ttyS0 quiet panic=5";

/** Makes BMC and wires; the machine is off. */
export async function assembleMachine(options: MachineOptions, signal?: AbortSignal): Promise<SimulatedMachine> {
  const { name } = options;
  let { truth } = options;
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

  const happened = (what: PowerEvent["what"], by: PowerEvent["by"]) => powerEvents.push({ at: new Date(), what, by });

  const switchOn = async (by: PowerEvent["by"]) => {
    if (vm?.child.running || disposed) return;
    const started = await startVm({
      directory,
      kernel: options.kernel ?? artifacts.kernel,
      initramfs: options.initramfs ?? artifacts.initramfs,
      commandLine: `${kernelDefaults} ${commandLine}`,
      uuid: truth.uuid,
      smbios: truth.smbios,
      bmcPort: bmc?.proxy.port,
      bmcInterface: options.bmcInterface,
      nic: options.nic ?? "virtio-net-pci",
      nicMac: truth.nicMac,
      memoryMib: options.memoryMib ?? 512,
      cpus: options.cpus ?? 1,
      onReboot: options.onReboot ?? "restart",
    });
    vm = started;
    happened("on", by);
    power.setPower(true);
    void started.exited.then(() => {
      if (vm !== started) return;
      vm = undefined;
      power.setPower(false);
      happened("off", "machine");
    });
  };
  const switchOff = async (by: PowerEvent["by"]) => {
    const running = vm;
    if (running === undefined) return;
    vm = undefined;
    await running.pullPlug();
    happened("off", by);
    power.setPower(false);
  };
  const enqueue = (work: () => Promise<void>): Promise<void> => {
    const done = queue.then(work);
    queue = done.catch((error: unknown) => {
      trouble = error instanceof Error ? error.message : String(error);
    });
    return done;
  };

  const power: PowerLine = stack.use(
    await openPowerLine(directory, (request) => {
      const obey = async () => {
        switch (request.kind) {
          case "power":
            return request.on ? await switchOn("lan") : await switchOff("lan");
          case "reset":
            happened("reset", "lan");
            return await vm?.reset();
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
    }),
  );

  const bmc = options.withBmc === false ? undefined : await wireBmc(stack, options, directory, power.program, signal);
  const parts = stack.move();
  return {
    name,
    directory,
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
      if (bmc !== undefined) writeLanConfig(directory, lanConfigOf(truth));
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

async function wireBmc(
  stack: AsyncDisposableStack,
  options: MachineOptions,
  directory: string,
  powerProgram: string,
  signal: AbortSignal | undefined,
): Promise<{ sim: IpmiSim; proxy: CodecProxy }> {
  const { truth } = options;
  const sim = stack.use(
    await startIpmiSim(
      {
        directory,
        ...lanConfigOf(truth),
        guid: truth.uuid.replaceAll("-", ""),
        fru: fruImage(truth.fru),
        powerProgram,
        ...(options.users === undefined ? {} : { users: options.users }),
      },
      signal,
    ),
  );
  const delay = options.bmcDelayMs === undefined ? {} : { delayMs: options.bmcDelayMs };
  const proxy = stack.use(await startCodecProxy({ bmcPort: sim.vmPort, ...delay }));
  return { sim, proxy };
}

/** Why a machine says nothing more; undefined while it runs. */
export function exitReason(machine: SimulatedMachine): string | undefined {
  return machine.trouble ?? (machine.isOn ? undefined : "the machine went off");
}
