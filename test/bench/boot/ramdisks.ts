import { readFileSync, writeFileSync } from "node:fs";
import { type CpioEntry, cpioArchive } from "../../../image/cpio.ts";
import { makeDebianRamdisk } from "../../lab/debian-ramdisk.ts";
import { marker } from "../overlay.ts";

/** Debian's busybox-static. */
const busybox = "/bin/busybox";
/** For `rdinit=`: tells when the kernel starts the first process, and becomes the agent. */
export const timedInit = "/bench/init";
/** Kernel command line of Debian's ramdisk: the script is to do the agent's work. */
export const byScript = "bench=ipmitool";

const program = (path: string, body: string | Buffer): CpioEntry => ({
  kind: "file",
  path,
  body: Buffer.from(body),
  mode: 0o755,
});

/** The kernel wants the next archive at a multiple of four bytes; zeros in between are skipped. */
function appended(base: Buffer, ...more: readonly Buffer[]): Buffer {
  return Buffer.concat([base, Buffer.alloc((4 - (base.length % 4)) % 4), ...more]);
}

/** A ramdisk in which nothing is done: what firmware and kernel alone take. */
export function writeEmptyRamdisk(output: string): void {
  const init = `#!/${busybox.slice(1)} sh\necho "${marker} init"\necho "${marker} first"\n${busybox} poweroff -f\n`;
  const console: CpioEntry = { kind: "character device", path: "dev/console", major: 5, minor: 1 };
  writeFileSync(
    output,
    Buffer.concat(cpioArchive([[console, program("init", init), program(busybox.slice(1), readFileSync(busybox))]])),
  );
}

/** The agent's ramdisk, and `timedInit` in it. */
export function writeTimedRamdisk(base: string, output: string): void {
  const init = `#!/bench/busybox sh\necho "${marker} init" > /dev/console\nexec /init\n`;
  const more = cpioArchive([[program(timedInit.slice(1), init), program("bench/busybox", readFileSync(busybox))]]);
  writeFileSync(output, appended(readFileSync(base), ...more));
}

/** `base`, and the overlay behind it. */
export function writeWithOverlay(base: string, overlay: string, output: string): void {
  writeFileSync(output, appended(readFileSync(base), readFileSync(overlay)));
}

/** Puts ipmitool in, the drivers it needs, and nothing else: the rest is what Debian itself puts there. */
const hook = `#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec /usr/bin/ipmitool /usr/bin
manual_add_modules ipmi_si
manual_add_modules ipmi_devintf
`;

/**
 * What a script does that makes an account on the BMC, in the order of go-hal; or, where there is an agent, the agent. The
 * password is of a BMC that lives as long as the measurement.
 */
const script = `#!/bin/sh
[ "$1" = prereqs ] && { echo udev; exit 0; }
. /scripts/functions
say() { echo "${marker} $1" > /dev/console; }
say init
if [ -x /inito ]; then
  /inito > /dev/console
elif grep -q ${byScript} /proc/cmdline; then
  say first
  modprobe ipmi_si && modprobe ipmi_devintf
  configure_networking
  say network
  ipmitool -I open lan print 1 && ipmitool -I open fru && ipmitool -I open bmc info && say bmc
  ipmitool -I open user set name 10 metal &&
    ipmitool -I open user set password 10 bench-Pass-0 &&
    ipmitool -I open user enable 10 &&
    ipmitool -I open channel setaccess 1 10 link=on ipmi=on callin=on privilege=4 &&
    say linked
fi > /dev/null 2>&1
poweroff -f
`;

/**
 * Debian's own ramdisk with its own settings (all drivers), and one script in it.
 * @throws Error if it cannot be made; it needs root
 */
export async function writeDebianRamdisk(directory: string, output: string): Promise<void> {
  const files = { "hooks/bench": hook, "scripts/init-premount/bench": script, "conf.d/bench": "COMPRESS=zstd\n" };
  await makeDebianRamdisk({ directory, output, files });
}
