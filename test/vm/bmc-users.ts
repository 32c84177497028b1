import { commandKey, type SeenCommand } from "../lab/codec-proxy.ts";
import { until } from "../lab/deadline.ts";
import { ipmitool } from "../lab/foreign-login.ts";
import type { SimulatedMachine } from "../lab/machine.ts";

/** One user of a BMC as a foreign client reads it: raw bytes of Get User Name and Get User Access on channel 1. */
export interface UserSlot {
  readonly slot: number;
  readonly name: string;
  readonly access: string;
}

/** Reads slots through `ipmitool raw` with the given account: what our own code believes does not count here. */
export async function readUserSlots(
  machine: SimulatedMachine,
  reader: { readonly name: string; readonly password: string },
  slots: readonly number[],
): Promise<UserSlot[]> {
  const { bmc, directory } = machine;
  if (bmc === undefined) throw new Error(`${machine.name} has no BMC`);
  const login = { lanPort: bmc.sim.lanPort, userName: reader.name, password: reader.password, directory };
  const raw = async (...bytes: string[]) => {
    // A simulator that just switched its VM may let a first request go.
    return await until(`ipmitool raw ${bytes.join(" ")}`, 20_000, async () => {
      const { exitCode, output } = await ipmitool(login, ["raw", ...bytes]);
      return exitCode === 0 ? output.trim().replaceAll(/\s+/g, " ") : undefined;
    });
  };
  const read: UserSlot[] = [];
  for (const slot of slots) {
    const id = `0x${slot.toString(16)}`;
    const access = await raw("0x06", "0x44", "0x01", id);
    // Byte 2 counts the enabled users of the whole BMC in its low bits: that is no property of this slot.
    const [maximum = "", enabled = "", fixed = "", limits = ""] = access.split(" ");
    const state = (Number.parseInt(enabled, 16) >> 6).toString();
    read.push({ slot, name: await raw("0x06", "0x46", id), access: [maximum, state, fixed, limits].join(" ") });
  }
  return read;
}

/** Whether the BMC lets this account in from remote. */
export async function letsIn(machine: SimulatedMachine, userName: string, password: string): Promise<boolean> {
  const { bmc, directory } = machine;
  if (bmc === undefined) throw new Error(`${machine.name} has no BMC`);
  const login = { lanPort: bmc.sim.lanPort, userName, password, directory };
  return (await ipmitool(login, ["mc", "info"])).exitCode === 0;
}

/** Set User Access, Set User Name and Set User Password. */
const writesOfUsers = ["06/43", "06/45", "06/47"];

/** Those of the commands that write to the BMC's users. */
export const userWrites = (seen: readonly SeenCommand[]): SeenCommand[] =>
  seen.filter((each) => writesOfUsers.includes(commandKey(each)));
