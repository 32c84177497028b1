import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, startChild, tailOf } from "./child.ts";
import { until } from "./deadline.ts";
import { freeTcpPort, freeUdpPort, tcpPortListens } from "./ports.ts";

/** A user that a simulated BMC has from the start. */
export interface SimulatedUser {
  /** Slot, 1 to 63. */
  readonly slot: number;
  readonly name: string;
  /** At most 16 characters. Ends up in the simulator's configuration file: never a real one. */
  readonly password: string;
  readonly enabled?: boolean;
  readonly privilege?: "callback" | "user" | "operator" | "admin";
}

/** What the simulated BMC is to tell about itself. */
export interface IpmiSimOptions {
  /** Its configuration, state and log go there. Must exist; the state in it must be empty or of the same BMC. */
  readonly directory: string;
  /** Unicast, lower case with colons. LAN parameter 5. */
  readonly mac: string;
  /** LAN parameter 3. It need not be an address of this machine: the simulator listens on 127.0.0.1. */
  readonly ip: string;
  /** LAN parameter 4; "static" by default. */
  readonly ipSource?: "static" | "dhcp";
  /** LAN parameter 6; 255.255.255.0 by default. */
  readonly mask?: string;
  /** LAN parameter 12; 0.0.0.0 by default. */
  readonly gateway?: string;
  /** System GUID, 32 hexadecimal digits as on the wire. Told over LAN only. */
  readonly guid: string;
  readonly users?: readonly SimulatedUser[];
  /** FRU device 0; without it the BMC has none. */
  readonly fru?: Uint8Array;
  /** IANA enterprise number in Get Device ID; 0x1291 by default. */
  readonly manufacturerId?: number;
  /** Product identifier in Get Device ID; 0xf02 by default. */
  readonly productId?: number;
  /** Program for `chassis_control` (PowerLine.program). Without it the BMC can switch no power. */
  readonly powerProgram?: string;
  /** At most 19 characters. IPMI 2.0 K_g. */
  readonly kg?: string;
  /** The machine's serial port as a telnet server on the loopback: the BMC's SOL. Without it the BMC has none. */
  readonly sol?: { readonly host: string; readonly port: number };
}

/** OpenIPMI's BMC simulator, running. */
export interface IpmiSim extends AsyncDisposable {
  /** UDP port of IPMI over LAN on 127.0.0.1. */
  readonly lanPort: number;
  /** TCP port of the VM codec on 127.0.0.1. One client at a time. */
  readonly vmPort: number;
  readonly logFile: string;
  /** Where the simulator itself keeps the users, passwords included: it is the BMC's flash memory. */
  readonly stateDirectory: string;
  readonly child: Child;
}

/** Account in slot 2 of every simulated BMC that is given no other users, so that there is one that must not be touched. */
export const factoryUser: SimulatedUser = { slot: 2, name: "ADMIN", password: "ADMIN", privilege: "admin" };

/**
 * Starts ipmi_sim and waits until it listens.
 * @throws Error with the end of its log if it ends at once; DeadlineError if it does not listen within 10 s
 */
export async function startIpmiSim(options: IpmiSimOptions, signal?: AbortSignal): Promise<IpmiSim> {
  const { directory } = options;
  const stateDirectory = join(directory, "bmc-flash");
  mkdirSync(stateDirectory, { recursive: true });
  const lanPort = await freeUdpPort();
  const vmPort = await freeTcpPort();
  const lanProgram = writeLanConfig(directory, options);
  if (options.fru !== undefined) writeFileSync(join(directory, "fru0.bin"), options.fru);
  writeFileSync(join(directory, "lan.conf"), lanConf(options, lanPort, vmPort, lanProgram));
  writeFileSync(join(directory, "lab.emu"), emulation(options));

  const logFile = join(directory, "ipmi_sim.log");
  const child = await startChild({
    command: "ipmi_sim",
    args: ["-c", join(directory, "lan.conf"), "-f", join(directory, "lab.emu"), "-s", stateDirectory, "-n"],
    logFile,
    cwd: directory,
  });
  try {
    await until(
      `ipmi_sim to listen on port ${vmPort} (log: ${logFile})`,
      10_000,
      () => {
        if (!child.running) throw new Error(`ipmi_sim ended at once:\n${tailOf(logFile)}`);
        return tcpPortListens(vmPort);
      },
      { signal, everyMs: 30 },
    );
  } catch (error) {
    await child.kill();
    throw error;
  }
  return {
    lanPort,
    vmPort,
    logFile,
    stateDirectory,
    child,
    async [Symbol.asyncDispose]() {
      await child.stop(2_000);
    },
  };
}

function lanConf(options: IpmiSimOptions, lanPort: number, vmPort: number, lanProgram: string): string {
  const authentication = "none md2 md5 straight";
  const users = (options.users ?? [factoryUser]).map(
    (user) =>
      `user ${user.slot} ${user.enabled ?? true} "${user.name}" "${user.password}" ${user.privilege ?? "admin"} 10 ${authentication}`,
  );
  return [
    'name "lab"',
    "startlan 1",
    `addr 127.0.0.1 ${lanPort}`,
    "priv_limit admin",
    ...["callback", "user", "operator", "admin"].map((level) => `allowed_auths_${level} ${authentication}`),
    `guid ${options.guid}`,
    `lan_config_program "${lanProgram}"`,
    ...(options.kg === undefined ? [] : [`bmc_key "${options.kg}"`]),
    "endlan",
    `serial kcs 127.0.0.1 ${vmPort} codec VM ipmb 0x20`,
    ...(options.sol === undefined ? [] : [`sol "telnet:${options.sol.host}:${options.sol.port}" 115200`]),
    ...(options.powerProgram === undefined ? [] : [`chassis_control "${options.powerProgram}"`]),
    ...users,
    "",
  ].join("\n");
}

function emulation(options: IpmiSimOptions): string {
  const manufacturer = (options.manufacturerId ?? 0x1291).toString(16);
  const product = (options.productId ?? 0xf02).toString(16);
  const fru =
    options.fru === undefined
      ? []
      : [`mc_add_fru_data 0x20 0 ${options.fru.length} file 0 "${join(options.directory, "fru0.bin")}"`];
  return [
    "mc_setbmc 0x20",
    `mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x${manufacturer} 0x${product} persist_sdr`,
    "sel_enable 0x20 1000 0x0a",
    ...fru,
    "mc_enable 0x20",
    "",
  ].join("\n");
}

/** What a BMC tells as its LAN parameters 3 to 6 and 12. */
export type LanConfig = Pick<IpmiSimOptions, "mac" | "ip" | "ipSource" | "mask" | "gateway">;

/**
 * Writes the program that ipmi_sim asks for LAN parameters at every command, also while it runs: a lease that changes.
 * @returns its path
 */
export function writeLanConfig(directory: string, config: LanConfig): string {
  const program = join(directory, "lan-config");
  // Never a half-written program: ipmi_sim may be about to start it.
  writeFileSync(`${program}.new`, lanScript(config), { mode: 0o755 });
  chmodSync(`${program}.new`, 0o755);
  renameSync(`${program}.new`, program);
  return program;
}

function lanScript(options: LanConfig): string {
  const values: Record<string, string> = {
    ip_addr: options.ip,
    ip_addr_src: options.ipSource ?? "static",
    mac_addr: options.mac,
    subnet_mask: options.mask ?? "255.255.255.0",
    default_gw_ip_addr: options.gateway ?? "0.0.0.0",
    default_gw_mac_addr: "00:00:00:00:00:00",
    backup_gw_ip_addr: "0.0.0.0",
    backup_gw_mac_addr: "00:00:00:00:00:00",
  };
  const cases = Object.entries(values).map(([name, value]) => `    ${name}) echo "${name}:${value}" ;;`);
  return `#!/bin/sh
[ "$1" = get ] || exit 0
shift
for name in "$@"; do
  case $name in
${cases.join("\n")}
    *) echo "lan-config: $name is not known"; exit 1 ;;
  esac
done
`;
}
