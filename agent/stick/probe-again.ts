import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** "2-1:1.0" */
const usbInterface = /^\d+-[\d.]+:\d+\.\d+$/;

/**
 * Has the kernel look once more at each stick that did not show a disk, a second after it found it: some do not answer at once.
 * Sticks that did are left alone. Nothing is thrown: what does not work shows by the disk, which stays away.
 * @param root "" in life: the root of /sys
 */
export function probeSticksAgain(root = ""): void {
  attempt(join(root, "/sys/module/usb_storage/parameters/delay_use"), "1");
  const driver = join(root, "/sys/bus/usb/drivers/usb-storage");
  for (const name of namesIn(driver).filter((each) => usbInterface.test(each))) {
    if (hasDisk(join(driver, name))) continue;
    attempt(join(driver, "unbind"), name);
    attempt(join(driver, "bind"), name);
  }
}

/** Of an interface: host0/target0:0:0/0:0:0:0/block */
function hasDisk(folder: string): boolean {
  const below = (path: string, begin: string) =>
    namesIn(path).flatMap((name) => (name.startsWith(begin) ? join(path, name) : []));
  return below(folder, "host")
    .flatMap((host) => below(host, "target"))
    .flatMap((target) => below(target, ""))
    .some((unit) => existsSync(join(unit, "block")));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function attempt(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // pulled in the meantime, or no such driver
  }
}
