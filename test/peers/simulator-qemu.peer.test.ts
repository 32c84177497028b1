import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { send } from "../../ipmi/command.ts";
import { chassisControl } from "../../ipmi/commands/index.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { type Child, startChild, tailOf } from "../lab/child.ts";
import { until, within } from "../lab/deadline.ts";
import { type SimEvent, startSim } from "../sim/sim-run.ts";
import { spec } from "../simulator/profiles.ts";
import { describeWith, onPath } from "./foreign-program.ts";

// The other side of the VM codec is QEMU's: what our BMC tells the machine there has to be what QEMU understands.

const administrator = { user: "ADMIN", password: Buffer.from("ADMIN-pw-1") };

/** A machine without a disk: its firmware looks for one for ever. */
async function startMachine(directory: string, kcsPort: number): Promise<Child> {
  return await startChild({
    command: "qemu-system-x86_64",
    args: [
      ...["-machine", "pc", "-accel", "tcg", "-m", "32", "-nodefaults", "-no-user-config", "-display", "none"],
      ...["-chardev", `socket,id=ipmi0,host=127.0.0.1,port=${kcsPort},reconnect=1`],
      ...["-device", "ipmi-bmc-extern,id=bmc0,chardev=ipmi0", "-device", "isa-ipmi-kcs,bmc=bmc0"],
      // A reset that the BMC asks for ends QEMU too, so that it can be seen.
      ...["-no-reboot"],
    ],
    logFile: join(directory, "qemu.log"),
    cwd: directory,
  });
}

describeWith(onPath("qemu-system-x86_64", "qemu-system-x86"), "QEMU obeys the simulated BMC", () => {
  test.each(["powerDown", "hardReset", "powerCycle"] as const)("%s over LAN", async (operation) => {
    await using stack = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), "metal-rivet-peer-"));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));
    const events: SimEvent[] = [];
    const sim = stack.use(await startSim(spec, { kcs: 0, lan: 0 }, (event) => events.push(event)));
    const machine = stack.use(await startMachine(directory, sim.kcsPort));
    const signal = AbortSignal.timeout(20_000);
    await until("QEMU to connect", 10_000, () => sim.machineConnected || !machine.running, { signal });
    expect(machine.running, tailOf(machine.logFile)).toBe(true);
    await using session = await connectLan({ host: "127.0.0.1", port: sim.lanPort, ...administrator, signal });
    await send(session, chassisControl, { control: { operation } }, signal);
    expect(await within("QEMU to end", 10_000, machine.exited, signal)).toMatchObject({ code: 0 });
    expect(events).toContainEqual(expect.objectContaining({ event: "power", operation, machine: true }));
  });
});
