import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { PortIo } from "./port-io.ts";

/** The I/O ports as a file, one byte for each port. Linux drivers/char/mem.c, x86 with CONFIG_DEVPORT. */
export const devPort = "/dev/port";

const meanings: Readonly<Record<string, string>> = {
  ENOENT: "this kernel shows no I/O ports",
  EACCES: "permission denied; run as root",
  EPERM: "not permitted; run as root, and with Secure Boot the kernel allows nobody",
};

/** @throws Error that says what is in the way */
export function openDevPort(path: string = devPort): PortIo {
  const fd = opened(path);
  const byte = Buffer.alloc(1);
  return {
    path,
    read(port) {
      if (readSync(fd, byte, 0, 1, port) !== 1) throw new Error(`${path}: nothing to read at port ${port}`);
      return byte[0] ?? 0;
    },
    write(port, value) {
      byte[0] = value;
      // It may be of a password.
      const written = writeSync(fd, byte, 0, 1, port);
      byte[0] = 0;
      if (written !== 1) throw new Error(`${path}: nothing was written to port ${port}`);
    },
    close: () => closeSync(fd),
  };
}

function opened(path: string): number {
  try {
    return openSync(path, "r+");
  } catch (error) {
    const { code = "error" } = error as NodeJS.ErrnoException;
    throw new Error(`open ${path}: ${meanings[code] ?? "failed"} (${code})`, { cause: error });
  }
}
