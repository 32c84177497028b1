import { join } from "node:path";
import { execa } from "execa";

/** A USB stick for a machine: a file with a FAT file system. */
export interface Stick {
  /** Of the file, which is the stick byte for byte. */
  readonly path: string;
  /** For QEMU: a USB controller with the stick in it. */
  readonly args: readonly string[];
  put(name: string, content: string | Buffer): Promise<void>;
  /** @throws Error in mtools' words if there is no such file */
  read(name: string): Promise<Buffer>;
  remove(name: string): Promise<void>;
  /** What fsck.vfat has to say; "" for a file system that is clean. */
  check(): Promise<string>;
}

const limit = { timeout: 60_000, env: { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" } } as const;

/** The device of the stick, by QEMU's names: to be pulled and put back by its monitor. */
export const stickDevice = { driver: "usb-storage", bus: "usb.0", drive: "stick", id: "stick0" } as const;

export interface StickOptions {
  readonly directory: string;
  readonly name: string;
  /** Its write protection is on. */
  readonly readOnly?: boolean;
}

/** Makes a stick with an empty file system, label RIVET. 2 MiB: it is easily full. */
export async function makeStick({ directory, name, readOnly = false }: StickOptions): Promise<Stick> {
  const path = join(directory, `${name}.stick`);
  await execa("mkfs.vfat", ["-n", "RIVET", "-C", path, "2048"], limit);
  const node = `driver=raw,node-name=stick,read-only=${readOnly ? "on" : "off"},file.driver=file,file.filename=${path}`;
  const device = Object.entries(stickDevice).map(([key, value]) => (key === "driver" ? value : `${key}=${value}`));
  return {
    path,
    args: ["-device", "qemu-xhci,id=usb", "-blockdev", node, "-device", device.join(",")],
    async put(file, content) {
      await execa("mcopy", ["-o", "-i", path, "-", `::/${file}`], { ...limit, input: content });
    },
    async read(file) {
      const { stdout } = await execa("mcopy", ["-n", "-i", path, `::/${file}`, "-"], { ...limit, encoding: "buffer" });
      return Buffer.from(stdout);
    },
    async remove(file) {
      await execa("mdel", ["-i", path, `::/${file}`], limit);
    },
    async check() {
      // 1: what it found it has mended; a bit says that the stick was not unmounted.
      const { stdout, exitCode } = await execa("fsck.vfat", ["-n", path], { ...limit, reject: false });
      return exitCode === 0 ? "" : stdout;
    },
  };
}
