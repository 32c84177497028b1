/**
 * The contents of the ramdisk and its compressed form.
 *
 *   /init                               the agent; the kernel starts it as process 1
 *   /lib64/ld-linux-x86-64.so.2, /lib/… the dynamic linker and the agent's libraries
 *   /lib/modules/RELEASE/modules.dep    "FILE: FILE…", relative to this folder; the last one named loads first;
 *                                       soft dependencies are in it too, so one list gives the whole order
 *   /lib/modules/RELEASE/modules.alias  "alias PATTERN NAME" of these modules only, to be matched against
 *                                       /sys/devices/…/modalias; NAME is the file's name with "_" for "-"
 *   /lib/modules/RELEASE/kernel/…       the modules, never compressed; Debian's signature stays on them, because a
 *                                       kernel that was started with Secure Boot loads no others
 *   /etc/hosts, nsswitch.conf, passwd   localhost, files before DNS, root
 *   /dev/console, /dev/null             until devtmpfs is mounted over them
 *   /dev /proc /sys /run /tmp /root /mnt  empty folders to mount on
 */

import { once } from "node:events";
import { constants, createZstdCompress } from "node:zlib";
import { type CpioEntry, cpioArchive } from "./cpio.ts";
import { type ModuleFile, writeModulesDep } from "./kernel-modules.ts";
import type { SharedLibrary } from "./shared-libraries.ts";

export interface RamdiskContents {
  readonly agent: Buffer;
  readonly libraries: readonly SharedLibrary[];
  readonly release: string;
  readonly modules: readonly { readonly file: ModuleFile; readonly body: Buffer }[];
  /** The text of modules.alias. */
  readonly aliases: string;
}

/** Sizes in bytes; `packed` is the share in the compressed ramdisk. */
export interface PartSize {
  readonly name: string;
  readonly bytes: number;
  readonly packed: number;
}

export interface Ramdisk {
  readonly image: Buffer;
  readonly parts: readonly PartSize[];
}

const partNames = ["base", "agent", "libraries", "modules"] as const;

/** The cpio archive in one piece per name of `partNames`. */
export function ramdiskParts(contents: RamdiskContents): Buffer[] {
  const modulesAt = `lib/modules/${contents.release}`;
  const file = (path: string, body: Buffer | string, mode = 0o644): CpioEntry => ({
    kind: "file",
    path,
    body: typeof body === "string" ? Buffer.from(body) : body,
    mode,
  });
  const folder = (path: string, mode = 0o755): CpioEntry => ({ kind: "folder", path, mode });
  return cpioArchive([
    [
      ...["dev", "proc", "sys", "run", "mnt"].map((path) => folder(path)),
      folder("root", 0o700),
      folder("tmp", 0o1777),
      { kind: "character device", path: "dev/console", major: 5, minor: 1 },
      { kind: "character device", path: "dev/null", major: 1, minor: 3 },
      file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
      file("etc/nsswitch.conf", "passwd: files\nhosts: files dns\n"),
      file("etc/passwd", "root:x:0:0:root:/root:/init\n"),
    ],
    [file("init", contents.agent, 0o755)],
    contents.libraries.map(({ path, body }) => file(path.slice(1), body, 0o755)),
    [
      file(`${modulesAt}/modules.dep`, writeModulesDep(contents.modules.map((module) => module.file))),
      file(`${modulesAt}/modules.alias`, contents.aliases),
      ...contents.modules.map((module) => file(`${modulesAt}/${module.file.path}`, module.body)),
    ],
  ]);
}

/**
 * The ramdisk, compressed by zstd into one frame: the kernel wants the end of the archive at the end of a frame.
 * `level` is 1 to 19; beyond that the kernel's decompressor would need more memory than it has.
 */
export async function packRamdisk(contents: RamdiskContents, level: number): Promise<Ramdisk> {
  const bodies = ramdiskParts(contents);
  const packer = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  const pieces: Buffer[] = [];
  packer.on("data", (piece: Buffer) => pieces.push(piece));
  const packedSoFar = (): number => pieces.reduce((sum, piece) => sum + piece.length, 0);

  const parts: PartSize[] = [];
  let before = 0;
  for (const [index, body] of bodies.entries()) {
    packer.write(body);
    if (index === bodies.length - 1) {
      packer.end();
      await once(packer, "end");
    } else {
      // A flush costs a few bytes and tells exactly how many of the compressed bytes are this part's.
      await new Promise<void>((done) => packer.flush(done));
    }
    const name = partNames[index];
    if (name === undefined) throw new Error(`ramdisk: part ${index} has no name`);
    parts.push({ name, bytes: body.length, packed: packedSoFar() - before });
    before = packedSoFar();
  }
  return { image: Buffer.concat(pieces), parts };
}
