import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, test } from "vitest";

// The agent is made by `npm run build`, the kernel is unpacked by `npm run image`: `npm test` runs both before this.
const root = join(import.meta.dirname, "..");
const hooks = join(import.meta.dirname, "hooks");
const agent = join(root, "dist/metal-rivet");
const kernels = join(root, "node_modules/.cache/metal-rivet/kernel");
const scratch = mkdtempSync(join(tmpdir(), "rivet-hooks-"));
afterAll(() => {
  const left = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${scratch}/`));
  if (left.length > 0) throw new Error(`not removed, because something is mounted there: ${left.join("; ")}`);
  rmSync(scratch, { recursive: true, force: true });
});

const limitMs = 240_000;

/** Runs a command that finds Debian's kernel at its usual places, in a mount namespace of its own. */
async function withKernel(command: (release: string) => string): Promise<void> {
  const kernel = join(kernels, readdirSync(kernels).sort().at(-1) ?? "", "root");
  const [release = ""] = readdirSync(join(kernel, "lib/modules"));
  const script = [
    "set -e",
    // Folders of the machine itself stay as they are: what is new lies in memory.
    "mount -t tmpfs none /mnt && mkdir -p /mnt/upper/modules /mnt/work",
    `cp -a ${join(kernel, "lib/modules", release)} /mnt/upper/modules/`,
    "mount -t overlay none -o lowerdir=/usr/lib,upperdir=/mnt/upper,workdir=/mnt/work /usr/lib",
    `mount -t tmpfs none /boot && cp ${join(kernel, "boot")}/* /boot/`,
    command(release),
  ].join("\n");
  const path = join(scratch, "with-kernel.sh");
  writeFileSync(path, script);
  await execa("unshare", ["--mount", "bash", path], {
    timeout: limitMs,
    env: { METAL_RIVET: agent, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
}

/**
 * Runs the agent of an unpacked ramdisk by its own libraries. As a guest it mounts /proc, /sys and /dev there: in a mount namespace
 * of its own, so that none of them is left when the folder is removed, which would empty the machine's own /dev.
 */
const versionIn = async (ramdisk: string): Promise<string> => {
  const inside = ["--mount", "chroot", ramdisk, "/usr/sbin/inito", "--version"];
  return (await execa("unshare", inside, { timeout: limitMs })).stdout;
};

/** Kernel command lines that tell the agent how to run. */
const wanted = [
  "quiet rivet.config=http://10.0.0.1/site.yaml",
  "rivet.service=10.0.0.1:4443",
  "a PIXIE_API_URL=http://a",
];

/**
 * Whether a script of a ramdisk starts the agent, for which another program stands in. It says nothing itself.
 * @param path where the script finds programs
 */
async function startsBy(script: string, cmdline: string, path = "/nowhere"): Promise<boolean> {
  const file = join(scratch, "cmdline");
  writeFileSync(file, `${cmdline}\n`);
  const steps = [
    `mount --bind ${file} /proc/cmdline`,
    "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work",
    // "sbin" may be a link to it
    "mount -t overlay none -o lowerdir=/usr/sbin,upperdir=/mnt/upper,workdir=/mnt/work /usr/sbin",
    "printf '#!/bin/sh\\necho started\\n' > /usr/sbin/inito && chmod 755 /usr/sbin/inito",
    `PATH=${path} /bin/sh ${script}`,
  ];
  const { all } = await execa("unshare", ["--mount", "sh", "-c", steps.join(" && ")], { all: true, timeout: limitMs });
  expect(["", "started"]).toContain(all);
  return all === "started";
}

/** The names of all modules in an unpacked ramdisk. */
const modulesIn = (ramdisk: string): string[] =>
  readdirSync(join(ramdisk, "usr/lib/modules"), { recursive: true, encoding: "utf8" }).map((path) =>
    basename(path).replace(/\.ko(\.[a-z]+)?$/, ""),
  );
/** BMC by KCS and SSIF, an adapter of servers and that of virtual machines. */
const neededModules = ["ipmi_si", "ipmi_devintf", "ipmi_ssif", "i2c-i801", "igb", "virtio_net", "virtio_pci", "8021q"];

test.skipIf(process.getuid?.() !== 0 && process.env.CI === undefined)(
  "initramfs-tools (needs root): the agent is in, runs, and is called before the root file system is mounted",
  { timeout: limitMs },
  async () => {
    const configuration = join(scratch, "initramfs-tools");
    cpSync("/etc/initramfs-tools", configuration, { recursive: true });
    mkdirSync(join(configuration, "scripts/init-premount"), { recursive: true });
    copyFileSync(join(hooks, "initramfs-tools/hook"), join(configuration, "hooks/metal-rivet"));
    const script = join(configuration, "scripts/init-premount/metal-rivet");
    copyFileSync(join(hooks, "initramfs-tools/init-premount"), script);
    chmodSync(script, 0o755);
    writeFileSync(join(configuration, "conf.d/small"), "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n");
    const image = join(scratch, "initramfs-tools.img");
    await withKernel((release) => `mkinitramfs -d ${configuration} -o ${image} ${release}`);
    const unpacked = join(scratch, "initramfs-tools.unpacked");
    await execa("unmkinitramfs", [image, unpacked], { timeout: limitMs });
    expect(await versionIn(unpacked)).toMatch(/^\d+\.\d+\.\d+/m);
    expect(modulesIn(unpacked)).toEqual(expect.arrayContaining(neededModules));
    const order = await execa("cat", [join(unpacked, "scripts/init-premount/ORDER")], { timeout: limitMs });
    expect(order.stdout).toContain("/scripts/init-premount/metal-rivet");
    expect(await startsBy(script, "quiet", "/bin")).toBe(false);
    for (const words of wanted) expect(await startsBy(script, words, "/bin"), words).toBe(true);
  },
);

test.skipIf(process.getuid?.() !== 0 && process.env.CI === undefined)(
  "dracut (needs root): the agent is in, not stripped, runs, and is called before the root file system is mounted",
  { timeout: limitMs },
  async () => {
    const image = join(scratch, "dracut.img");
    await withKernel((release) =>
      [
        `cp -a ${join(hooks, "dracut/95metal-rivet")} /usr/lib/dracut/modules.d/`,
        `dracut --force --no-hostonly --compress cat --modules "base kernel-modules metal-rivet" ${image} ${release}`,
      ].join("\n"),
    );
    const unpacked = join(scratch, "dracut.unpacked");
    mkdirSync(unpacked);
    await execa("sh", ["-c", `cpio --extract --quiet --make-directories < ${image}`], {
      cwd: unpacked,
      timeout: limitMs,
    });
    expect(await versionIn(unpacked)).toMatch(/^\d+\.\d+\.\d+/m);
    expect(modulesIn(unpacked)).toEqual(expect.arrayContaining(neededModules));
    expect(readdirSync(join(unpacked, "usr/lib/dracut/hooks/pre-mount"))).toContain("50-run-metal-rivet.sh");
    // dracut's own modules need not bring grep or anything else.
    const script = join(unpacked, "usr/lib/dracut/hooks/pre-mount/50-run-metal-rivet.sh");
    expect(await startsBy(script, "quiet")).toBe(false);
    for (const words of wanted) expect(await startsBy(script, words), words).toBe(true);
  },
);

test.skipIf(process.getuid?.() !== 0 && process.env.CI === undefined)(
  "systemd (needs root): the unit is right, can be enabled, and runs in an initrd that is told how to",
  { timeout: limitMs },
  async () => {
    const initrd = join(scratch, "systemd");
    const units = join(initrd, "usr/lib/systemd/system");
    for (const folder of [units, join(initrd, "usr/sbin"), join(initrd, "etc")]) mkdirSync(folder, { recursive: true });
    const own = "/usr/lib/systemd/system";
    for (const unit of ["initrd.target", "initrd-root-fs.target", "basic.target", "sysinit.target"]) {
      copyFileSync(join(own, unit), join(units, unit));
    }
    copyFileSync(join(hooks, "systemd/metal-rivet.service"), join(units, "metal-rivet.service"));
    copyFileSync(agent, join(initrd, "usr/sbin/inito"));
    const verified = await execa("systemd-analyze", ["verify", `--root=${initrd}`, "metal-rivet.service"], {
      all: true,
      timeout: limitMs,
    });
    // It warns, and ends with 0.
    expect(verified.all).toBe("");
    await execa("systemctl", [`--root=${initrd}`, "enable", "metal-rivet.service"], { timeout: limitMs });
    expect(readdirSync(join(initrd, "etc/systemd/system/initrd.target.wants"))).toEqual(["metal-rivet.service"]);
    const runs = async (cmdline: string, ...files: string[]) => {
      const steps = [
        "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work",
        "mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc",
        ...files.map((file) => `mkdir -p $(dirname ${file}) && touch ${file}`),
        `systemd-analyze condition --root=${initrd} --unit=metal-rivet.service`,
      ];
      const { all } = await execa("unshare", ["--mount", "sh", "-c", steps.join(" && ")], {
        all: true,
        reject: false,
        timeout: limitMs,
        env: { SYSTEMD_PROC_CMDLINE: cmdline },
      });
      return all.split("\n").at(-1);
    };
    const inInitrd = "/etc/initrd-release";
    expect(await runs("quiet rivet.config=http://10.0.0.1/site.yaml", inInitrd)).toBe("Conditions succeeded.");
    expect(await runs("quiet rivet.service=10.0.0.1:4443", inInitrd)).toBe("Conditions succeeded.");
    expect(await runs("quiet PIXIE_API_URL=http://10.0.0.1:4242/certs", inInitrd)).toBe("Conditions succeeded.");
    expect(await runs("quiet", inInitrd, "/etc/metal-rivet/config.yaml")).toBe("Conditions succeeded.");
    expect(await runs("quiet", inInitrd)).toBe("Conditions failed.");
    expect(await runs("rivet.service=10.0.0.1:4443")).toBe("Conditions failed.");
  },
);
