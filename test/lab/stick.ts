import { copyFileSync } from "node:fs";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

/** A USB stick for a machine: a file with a FAT file system. */
export interface Stick {
  /** Of the file, which is the stick byte for byte. */
  readonly path: string;
  /** For QEMU: a USB controller with the stick in it. A stick that is booted from is named by VmOptions.stick instead. */
  readonly args: readonly string[];
  put(name: string, content: string | Buffer): Promise<void>;
  /** @throws Error in mtools' words if there is no such file */
  read(name: string): Promise<Buffer>;
  remove(name: string): Promise<void>;
  /** Leaves room for nothing, by files the one with the most is named "filler". */
  fill(): Promise<void>;
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
  return stickOf(path, 0, readOnly);
}

/** A stick that the image was written to: `npm run image` makes it. */
export async function stickOfImage({ directory, name, image }: StickOptions & { image: string }): Promise<Stick> {
  const path = join(directory, `${name}.stick`);
  copyFileSync(image, path);
  return stickOf(path, await firstPartition(path), false);
}

/** For QEMU: a USB controller with a stick in it, that can be pulled. @param bootIndex its place among what the firmware boots */
export function stickArguments(path: string, readOnly = false, bootIndex?: number): string[] {
  const node = `driver=raw,node-name=stick,read-only=${readOnly ? "on" : "off"},file.driver=file,file.filename=${path}`;
  const device = Object.entries(stickDevice).map(([key, value]) => (key === "driver" ? value : `${key}=${value}`));
  const order = bootIndex === undefined ? [] : [`bootindex=${bootIndex}`];
  return ["-device", "qemu-xhci,id=usb", "-blockdev", node, "-device", [...device, ...order].join(",")];
}

/** Where the file system of an image begins, bytes: the first entry of its partition table. */
async function firstPartition(path: string): Promise<number> {
  await using file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 446 + 8);
  return buffer.readUInt32LE() * 512;
}

/** @param start of the file system within the file, bytes */
function stickOf(path: string, start: number, readOnly: boolean): Stick {
  const drive = `${path}@@${start}`;
  const stick: Stick = {
    path,
    args: stickArguments(path, readOnly),
    async put(file, content) {
      await execa("mcopy", ["-o", "-i", drive, "-", `::/${file}`], { ...limit, input: content });
    },
    async read(file) {
      const options = { ...limit, encoding: "buffer" } as const;
      const { stdout } = await execa("mcopy", ["-n", "-i", drive, `::/${file}`, "-"], options);
      return Buffer.from(stdout);
    },
    async remove(file) {
      await execa("mdel", ["-i", drive, `::/${file}`], limit);
    },
    async fill() {
      // One that was pulled does not know how much room it has: this counts.
      await onPart(path, start, async (part) => {
        await execa("fsck.vfat", ["-a", part], { ...limit, reject: false });
      });
      await stick.put("filler", Buffer.alloc(Math.max(0, (await freeOn(drive)) - 16 * 1_024)));
      // mtools ends well where there is no room.
      for (let made = 0; (await freeOn(drive)) > 0; made += 1) await stick.put(`fill${made}`, Buffer.alloc(1));
    },
    check: () =>
      onPart(path, start, async (part) => {
        // 1: what it found it has mended; a bit says that the stick was not unmounted.
        const { stdout, exitCode } = await execa("fsck.vfat", ["-n", part], { ...limit, reject: false });
        return exitCode === 0 ? "" : stdout;
      }),
  };
  return stick;
}

/** @param drive as mtools name it; @returns bytes */
async function freeOn(drive: string): Promise<number> {
  const { stdout } = await execa("mdir", ["-i", drive, "::/"], limit);
  return Number(/([\d ]+) bytes free/.exec(stdout)?.[1]?.replaceAll(" ", ""));
}

/** Does something to the file system alone, as a file of its own, and puts it back. */
async function onPart<T>(path: string, start: number, work: (part: string) => Promise<T>): Promise<T> {
  const part = `${path}.part`;
  await writeFile(part, (await readFile(path)).subarray(start));
  try {
    const result = await work(part);
    await using file = await open(path, "r+");
    await file.write(await readFile(part), { position: start });
    return result;
  } finally {
    await rm(part);
  }
}
