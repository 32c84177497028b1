/** A ramdisk of somebody else, in the manner of u-root: static programs, and an init that runs /inito and then its own program. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execaSync } from "execa";
import { type CpioEntry, cpioArchive } from "../../image/cpio.ts";
import { chooseModules, moduleName } from "../../image/kernel-modules.ts";
import { unpackedKernel } from "./debian-ramdisk.ts";

/** Debian's busybox-static. */
const busybox = "/bin/busybox";
/** What metal-hammer's own kernel has built in. */
const drivers = ["virtio_pci", "virtio_net", "ipmi_si", "ipmi_devintf"];

/** Kernel command line: the init brings up the network before /inito runs. */
export const withNetwork = "foreign.network=1";
/** Kernel command line: the URL of what the ramdisk's own program fetches. */
export const fetching = "foreign.fetch";
/** Kernel command line: the URL of a document with which the ramdisk's own program runs the agent once more. */
export const runningAgain = "foreign.run";

/**
 * How the machine is, as far as the next program can tell, but for addresses that the kernel makes up a moment after a link is up.
 * /run is where it is told something.
 */
const lookAround = `#!/bin/sh
echo "mounts:"; cat /proc/mounts
echo "devices:"; find /dev -exec stat -c '%N %f %t:%T' {} + | sort
echo "adapters:"; grep . /sys/class/net/*/flags /sys/class/net/*/mtu
echo "addresses:"; ip -o addr | grep -v fe80:
echo "routes:"; (ip route; ip -6 route) | grep -v -e fe80: -e ff00:
echo "name:"; hostname
echo "resolver:"; cat /etc/resolv.conf
echo "drivers:"; cut -d ' ' -f 1 /proc/modules
echo "folders:"; ls / /tmp | grep -vx -e run -e before -e after
`;

/** Only what this does is there: the kernel makes nothing out of the router's advertisements. */
const networkUp = `#!/bin/sh
echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_ra
ip link set eth0 up
udhcpc -q -n -i eth0 -s /etc/lease
`;

const lease = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
echo "nameserver $dns" > /etc/resolv.conf
`;

/**
 * What u-root's libinit does, in its order: it mounts, binds a copy of /etc over /etc, switches on lo, loads each file of
 * /lib/modules, and runs /inito in a PID namespace and session of its own, with the console as terminal, to its end.
 */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/sbin:/bin:/bbin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t tmpfs tmpfs /tmp
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug
cp -a /etc /tmp/etc
mount --bind /tmp/etc /etc
ip link set lo up
for module in /lib/modules/*.ko; do insmod $module; done
grep -q ${withNetwork} /proc/cmdline && network-up
look-around > /tmp/before
unshare --fork --pid setsid -c /inito
code=$?
echo "== exit code"
echo $code
setsid -c /bbin/uinit
poweroff -f
`;

/**
 * metal-hammer's place: it looks around, brings up the network unless that is done, fetches what it has to do, and may call the
 * agent itself.
 */
const uinit = `#!/bin/sh
word() { sed -n "s/.*$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }
look-around > /tmp/after
echo "== before"
cat /tmp/before
echo "== changed"
diff /tmp/before /tmp/after
echo "== outcome"
cat /run/metal-rivet/outcome.json
echo "== network"
ip -4 -o addr | grep -q eth0 || network-up
echo "== fetched"
wget -q -O - "$(word ${fetching})"
document=$(word ${runningAgain})
if [ -n "$document" ]; then
  # told by its arguments alone
  /opt/rivet/bin/metal-rivet run --cmdline /dev/null --config "$document" > /tmp/run 2>&1
  code=$?
  echo "== exit code of run"
  echo $code
  echo "== outcome of run"
  cat /run/metal-rivet/outcome.json
fi
echo "== end"
`;

/**
 * The ramdisk as metal-hammer's is packed: by `lz4 -l`, which writes no end mark.
 * @param overlay file that the boot loader is to append; it does so without anything in between
 */
export function writeForeignRamdisk(overlay: string, output: string): void {
  const file = (path: string, body: string | Buffer): CpioEntry => ({
    kind: "file",
    path,
    body: Buffer.from(body),
    mode: 0o755,
  });
  const entries = [
    ...["dev", "proc", "sys", "tmp"].map((path): CpioEntry => ({ kind: "folder", path })),
    { kind: "character device", path: "dev/console", major: 5, minor: 1 } as const,
    file("bin/busybox", readFileSync(busybox)),
    file("sbin/look-around", lookAround),
    file("sbin/network-up", networkUp),
    file("etc/lease", lease),
    file("etc/resolv.conf", ""),
    file("init", init),
    file("bbin/uinit", uinit),
    ...modules(),
  ];
  writeFileSync(output, Buffer.concat([packedOdd(entries), readFileSync(overlay)]));
}

/** The archive by `lz4 -l`, of a size that is no multiple of four: what follows has no luck with its place. */
function packedOdd(entries: readonly CpioEntry[]): Buffer {
  for (let more = ""; ; more += String(more.length)) {
    const filler: CpioEntry = { kind: "file", path: "etc/filler", body: Buffer.from(more) };
    const input = Buffer.concat(cpioArchive([[...entries, filler]]));
    const { stdout } = execaSync("lz4", ["-l", "-c"], { input, encoding: "buffer", maxBuffer: input.length });
    if (stdout.length % 4 !== 0) return Buffer.from(stdout);
  }
}

/** The drivers as u-root's libinit takes them: straight in /lib/modules, in the order of their names. A guest finds none there. */
function modules(): CpioEntry[] {
  const { root, release } = unpackedKernel();
  const folder = join(root, "lib/modules", release);
  const text = (name: string) => readFileSync(join(folder, name), "utf8");
  const lists = { dep: text("modules.dep"), softdep: text("modules.softdep"), builtin: text("modules.builtin") };
  const inOrder = new Set<string>();
  for (const { path, needs } of chooseModules(lists, { required: drivers, optional: [] })) {
    for (const each of [...needs.toReversed(), path]) inOrder.add(each);
  }
  return [...inOrder].map((path, index) => ({
    kind: "file",
    path: `lib/modules/${String(index).padStart(2, "0")}-${moduleName(path)}.ko`,
    body: readFileSync(join(folder, path)),
  }));
}
