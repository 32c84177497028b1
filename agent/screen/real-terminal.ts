import { closeSync, constants, openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import type { Terminal } from "./display.ts";

/**
 * A terminal of this machine.
 * @param path "/dev/tty1", "/dev/ttyS0"
 * @throws the error of the file system
 */
export function openTerminal(path: string, isLocal: boolean): Terminal {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  let input: ReadStream | undefined;
  return {
    path,
    isLocal,
    write(text) {
      const bytes = Buffer.from(text);
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      } catch {
        // a port without hardware behind it: the other terminals show the same
      }
    },
    listen(typed) {
      try {
        input = new ReadStream(openSync(path, constants.O_RDWR | constants.O_NOCTTY));
        input.setRawMode(true);
        input.setEncoding("latin1");
        input.on("error", () => undefined);
        input.on("data", (text) => typed(String(text)));
      } catch {
        // nobody can type there
      }
    },
    release() {
      input?.setRawMode(false);
      input?.destroy();
      input = undefined;
      closeSync(fd);
    },
  };
}
