import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Picture, readPpm, readQr } from "../../agent/screen/read-qr.fixture.ts";
import { until } from "../lab/deadline.ts";
import type { SimulatedMachine } from "../lab/machine.ts";
import { qmp } from "../lab/qemu.ts";

/** For QEMU: the VGA card that most servers have something like. */
export const vgaCard = ["-vga", "std"] as const;

const monitorOf = (machine: SimulatedMachine): string => join(machine.directory, "qmp");

/** What a VM shows, as a picture. `format` "png" is for documents. */
export async function dumpScreen(
  machine: SimulatedMachine,
  path: string,
  format: "ppm" | "png" = "ppm",
): Promise<void> {
  await qmp(monitorOf(machine), "screendump", { filename: path, format });
}

/** Presses a key of the keyboard, by QEMU's name of it. */
export async function pressKey(machine: SimulatedMachine, key: string): Promise<void> {
  await qmp(monitorOf(machine), "human-monitor-command", { "command-line": `sendkey ${key}` });
}

/** Pulls the network cable of the card with that id. */
export async function pullCable(machine: SimulatedMachine, id: string): Promise<void> {
  await qmp(monitorOf(machine), "human-monitor-command", { "command-line": `set_link ${id} off` });
}

/** The screen of a VM as a picture. */
export async function screenOf(machine: SimulatedMachine): Promise<Picture> {
  const path = join(machine.directory, "screen.ppm");
  await dumpScreen(machine, path);
  return readPpm(readFileSync(path));
}

/** Waits until a phone held in front of the screen reads something that fits. @throws DeadlineError */
export async function waitForQr(machine: SimulatedMachine, wanted: RegExp, limitMs = 60_000): Promise<string> {
  const what = `a QR code that fits ${wanted} on the screen of ${machine.name}`;
  const look = async () => {
    const read = readQr(await screenOf(machine));
    return read !== undefined && wanted.test(read) ? read : undefined;
  };
  return await until(what, limitMs, look, { everyMs: 500 });
}
