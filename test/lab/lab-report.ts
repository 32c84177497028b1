import type { LabResult } from "./lab-result.ts";
import type { Lab } from "./lab-run.ts";
import { durationText } from "./screen.ts";
import { bmcctl } from "./service.ts";

/** The table of BMCs, by the operator's own command. @throws Error if that command fails */
export async function showTable(lab: Lab): Promise<void> {
  const { exitCode, stdout, stderr } = await bmcctl(lab.service, ["ls"], lab.signal);
  if (exitCode !== 0) throw new Error(`bmcctl ls ended with exit code ${exitCode}: ${stderr.trim()}`);
  lab.screen.quote(stdout);
}

/** The last lines: what held, where things are, and how to stop what still runs. */
export function showEnd(lab: Lab, result: LabResult): void {
  const { screen, directory } = lab;
  screen.line();
  if (result.ok) {
    const count = result.machines.length === 1 ? "one machine" : `${result.machines.length} machines`;
    screen.line(`All of it held, for ${count}, in ${durationText(result.duration_ms)}.`);
  } else {
    screen.line("It did not hold:");
    for (const { name, problems } of result.machines) {
      for (const each of problems) screen.line(`  ${name}: ${each}`);
    }
    screen.line(
      `\nLogs: ${directory} (bmc-service.log; serial.log and qemu.log of each machine, and ipmi_sim.log of its BMC)`,
    );
  }
  if (result.kept !== undefined) showHowToLookAround(lab, result.kept.pid);
}

function showHowToLookAround(lab: Lab, pid: number): void {
  const { screen, service, machines, directory } = lab;
  const mac = machines[0]?.truth.bmcMac ?? "MAC";
  const connection = `--service ${service.address} --pki ${service.pkiDirectory}`;
  screen.heading("Still running. To look around:");
  const bare = machines.find(({ bmc }) => bmc === undefined);
  const more = lab.miniLab ? [`boot ${mac} pxe`, `power ${mac} cycle`] : [`power ${mac} reset`];
  for (const command of [
    "ls",
    `describe ${mac}`,
    ...more,
    `history ${mac}`,
    ...(bare ? [`describe ${bare.truth.uuid}`] : []),
    "watch",
  ]) {
    screen.line(`  dist/bmcctl ${command} \\\n    ${connection}`);
  }
  screen.line(`  curl ${service.healthUrl}/metrics`);
  for (const { name, bmc, console } of machines) {
    screen.line(`  ${name}: tail -f ${console.file}`);
    if (bmc !== undefined) screen.line(`  ${name}: its BMC's LAN is 127.0.0.1 port ${bmc.sim.lanPort} (UDP)`);
  }
  screen.line(`  logs: ${directory}`);
  screen.line(`To stop all of it and remove ${directory}:\n  kill ${pid}`);
}
