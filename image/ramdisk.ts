/**
 * What the ramdisk has besides agent and libraries (private-prefix.ts).
 *
 *   /init                               the agent; the kernel starts it as process 1
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

import type { CpioEntry } from "./cpio.ts";
import { type ModuleFile, writeModulesDep } from "./kernel-modules.ts";
import type { CpioPart } from "./packed-cpio.ts";
import { agentPath } from "./private-prefix.ts";

export interface KernelModules {
  readonly release: string;
  readonly modules: readonly { readonly file: ModuleFile; readonly body: Buffer }[];
  /** The text of modules.alias. */
  readonly aliases: string;
}

export function ramdiskParts({ release, modules, aliases }: KernelModules): CpioPart[] {
  const modulesAt = `lib/modules/${release}`;
  return [
    {
      name: "base",
      entries: [
        ...["dev", "proc", "sys", "run", "mnt"].map((path) => folder(path)),
        folder("root", 0o700),
        folder("tmp", 0o1777),
        { kind: "character device", path: "dev/console", major: 5, minor: 1 },
        { kind: "character device", path: "dev/null", major: 1, minor: 3 },
        file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        file("etc/nsswitch.conf", "passwd: files\nhosts: files dns\n"),
        file("etc/passwd", "root:x:0:0:root:/root:/init\n"),
        { kind: "link", path: "init", target: agentPath },
      ],
    },
    {
      name: "modules",
      entries: [
        file(`${modulesAt}/modules.dep`, writeModulesDep(modules.map((module) => module.file))),
        file(`${modulesAt}/modules.alias`, aliases),
        ...modules.map((module) => file(`${modulesAt}/${module.file.path}`, module.body)),
      ],
    },
  ];
}

const file = (path: string, body: Buffer | string): CpioEntry => ({
  kind: "file",
  path,
  body: typeof body === "string" ? Buffer.from(body) : body,
});
const folder = (path: string, mode = 0o755): CpioEntry => ({ kind: "folder", path, mode });
