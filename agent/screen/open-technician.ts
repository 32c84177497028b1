import { systemClock } from "../../inband/clock.ts";
import { openBmc } from "../../inband/openipmi/open-bmc.ts";
import { identifyMachine, refusedUuidText } from "../../inband/smbios/identify-machine.ts";
import { parseSmbios } from "../../inband/smbios/parse-smbios.ts";
import { readSmbiosTables } from "../../inband/smbios/read-tables.ts";
import type { LocalSettings } from "../config/settings.ts";
import { type Console, openConsole } from "../console.ts";
import type { BegunInit } from "../init/first-steps.ts";
import { quietKernel } from "../init/kernel-messages.ts";
import { endMachine } from "../init/libc.ts";
import { version } from "../version.ts";
import { ChassisLed } from "./chassis-led.ts";
import { type Consoles, type ScreenWishes, wantsScreen } from "./consoles.ts";
import type { Terminal } from "./display.ts";
import type { MachineFacts } from "./model.ts";
import { openTerminal } from "./real-terminal.ts";
import { hasShell, runShell } from "./shell.ts";
import type { Technician } from "./technician.ts";

/**
 * The technician's screen on local console and serial lines, if it is wanted, with the chassis identify light; or the light alone.
 * Serial lines keep the log, and get the screen as it is at the end of each run.
 */
export async function openTechnician(
  begun: BegunInit,
  consoles: Consoles,
  wishes: ScreenWishes & Pick<LocalSettings, "kcs">,
): Promise<Technician> {
  const isWanted = wantsScreen(wishes, consoles);
  if (isWanted) quietKernel();
  const led = wishes.led === "0" ? undefined : new ChassisLed(() => openBmc(), systemClock);
  const { terminals, logs } = isWanted ? await openAll(consoles, begun) : { terminals: [], logs: [begun.console] };
  const { Technician } = await import("./technician.ts");
  return new Technician({
    clock: systemClock,
    terminals,
    logs,
    version,
    led,
    readMachine,
    inspect: async () => {
      const { inspect } = await import("../inspect.ts");
      return await inspect("table", { device: undefined, kcs: wishes.kcs });
    },
    shell: hasShell() ? ({ path }) => runShell(path) : undefined,
    powerOff: () => endMachine("poweroff"),
  });
}

async function openAll({ local, others }: Consoles, { console, format, release }: BegunInit) {
  const terminals: Terminal[] = [];
  const logs: Console[] = [];
  const open = (path: string, isLocal: boolean): Terminal | undefined => {
    try {
      const terminal = openTerminal(path, isLocal);
      terminals.push(terminal);
      return terminal;
    } catch {
      return undefined; // named on the kernel command line, but not there
    }
  };
  if (local !== undefined) open(local, true);
  for (const { path, isMain } of others) {
    const terminal = open(path, false);
    // What was said so far went to the main console only.
    if (isMain) logs.push(console);
    else if (terminal !== undefined) {
      const log = await openConsole(format, { write: (line) => terminal.write(`${line}\n`), colours: false });
      log.first(version, release);
      logs.push(log);
    }
  }
  return { terminals, logs };
}

/** What the firmware tells; damaged tables are the run's to report. */
async function readMachine(): Promise<MachineFacts | undefined> {
  try {
    const smbios = parseSmbios(await readSmbiosTables());
    const { manufacturer, productName, serialNumber, uuid } = smbios.system;
    const own = identifyMachine(smbios);
    return {
      uuid: own?.uuid ?? "",
      ...(own === undefined ? { uuidRemark: refusedUuidText(uuid) } : {}),
      product: `${manufacturer} ${productName}`.trim(),
      board: smbios.boardSerial,
      serial: serialNumber,
    };
  } catch {
    return undefined;
  }
}
