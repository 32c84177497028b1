/** What `npm run image` is asked for. */

import { join } from "node:path";
import { parseArgs } from "node:util";
import type { SigningKey } from "./secure-boot.ts";
import { type Target, targets } from "./target.ts";

export const help = `Usage: npm run image -- [--fast] [--force] [--agent FILE] [--out DIR]
                        [--arch NAME] [--config FILE] [--command-line TEXT]
                        [--sign-key FILE --sign-cert FILE] [--plain-overlay]

Builds all that boots the agent:
  dist/image/vmlinuz                Debian's current kernel, as it is
  dist/image/initramfs.img          the ramdisk in which the agent is process 1
  dist/image/overlay.img            agent and libraries alone, to be appended to
                                    another ramdisk as one more initrd
  dist/image/metal-rivet.efi        kernel and ramdisk as one UEFI program
  dist/image/metal-rivet.img        for a USB stick: UEFI and BIOS; write it with dd
  dist/image/metal-rivet.spdx.json  what all that is made of (SPDX 2.3)
  dist/image/manifest.json          sizes in bytes, SHA-256, kernel version
The same inputs give the same bytes; what has not changed is not built again.

  --fast               compress less: two seconds instead of a minute, for the lab
  --force              build although nothing has changed
  --agent FILE         the program that becomes /init (default: dist/metal-rivet,
                       built anew)
  --out DIR            default: dist/image, dist/image-arm64 for arm64
  --arch NAME          for machines of this kind: x64 (default) or arm64
  --config FILE        becomes metal-rivet.yaml of the stick; checked before. The
                       stick's image is readable for you alone then
  --command-line TEXT  more for the kernel command line of metal-rivet.efi and of
                       the stick, for example console=ttyS1,115200. No secrets:
                       anyone who has the file can read them
  --sign-key FILE      sign metal-rivet.efi, also the one on the stick, for Secure
  --sign-cert FILE     Boot with this key and certificate (PEM)
  --plain-overlay      do not compress overlay.img, for kernels without
                       CONFIG_RD_ZSTD; it must begin at a multiple of four bytes
                       behind the other ramdisk
  --help               this text

Exit codes: 0 built, 64 wrong usage, 69 no kernel package to be had, 70 the build
failed, 78 the document of --config, or key or certificate, is wrong.
`;

export class UsageError extends Error {}

export interface Options {
  readonly fast: boolean;
  readonly force: boolean;
  readonly agent: string | undefined;
  readonly out: string;
  readonly target: Target;
  readonly config: string | undefined;
  readonly commandLine: string;
  readonly signWith: SigningKey | undefined;
  readonly plainOverlay: boolean;
  readonly help: boolean;
}

/** @throws UsageError */
export function readOptions(root: string, args: readonly string[]): Options {
  const { values } = parsed(args);
  const target = targets[values.arch];
  if (target === undefined) throw new UsageError(`--arch: must be ${Object.keys(targets).join(" or ")}`);
  const { "sign-key": keyFile, "sign-cert": certFile } = values;
  if ((keyFile === undefined) !== (certFile === undefined)) {
    throw new UsageError("--sign-key and --sign-cert: give both or none");
  }
  const commandLine = values["command-line"];
  if (!/^[\x20-\x7e]*$/.test(commandLine) || /["'$\\]/.test(commandLine)) {
    throw new UsageError("--command-line: must be one line of ASCII text without quotes, $ and \\");
  }
  if (/(^| )rivet\.(token|key)=/.test(commandLine)) {
    throw new UsageError(
      "--command-line: no token and no key there: anyone who has the file can read it; use --config",
    );
  }
  return {
    fast: values.fast,
    force: values.force,
    agent: values.agent,
    target,
    out: values.out ?? join(root, "dist", target.name === "x64" ? "image" : `image-${target.name}`),
    config: values.config,
    commandLine,
    signWith: keyFile !== undefined && certFile !== undefined ? { keyFile, certFile } : undefined,
    plainOverlay: values["plain-overlay"],
    help: values.help,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        fast: { type: "boolean", default: false },
        force: { type: "boolean", default: false },
        agent: { type: "string" },
        out: { type: "string" },
        arch: { type: "string", default: "x64" },
        config: { type: "string" },
        "command-line": { type: "string", default: "" },
        "sign-key": { type: "string" },
        "sign-cert": { type: "string" },
        "plain-overlay": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
