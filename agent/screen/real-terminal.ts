import { closeSync, constants, openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import type { Terminal } from "./display.ts";

const flags = constants.O_RDWR | constants.O_NOCTTY;

/**
 * A terminal of this machine.
 * @param path "/dev/tty1", "/dev/ttyS0"
 * @throws the error of the file system
 */
export function openTerminal(path: string, isLocal: boolean): Terminal {
  let output: number | undefined = openSync(path, flags);
  let input: ReadStream | undefined;
  let typed: ((text: string) => void) | undefined;

  const listen = (): void => {
    try {
      input = new ReadStream(openSync(path, flags));
      input.setRawMode(true);
      input.setEncoding("latin1");
      input.on("error", () => undefined);
      input.on("data", (text) => typed?.(String(text)));
    } catch {
      // nobody can type there
    }
  };
  const release = (): void => {
    input?.setRawMode(false);
    input?.destroy();
    input = undefined;
    if (output !== undefined) closeSync(output);
    output = undefined;
  };
  return {
    path,
    isLocal,
    write(text) {
      const bytes = Buffer.from(text);
      try {
        for (let at = 0; output !== undefined && at < bytes.length; ) at += writeSync(output, bytes, at);
      } catch {
        // a port without hardware behind it: the other terminals show the same
      }
    },
    listen(to) {
      typed = to;
      listen();
    },
    async lend(work) {
      release();
      try {
        await work();
      } finally {
        // Opened anew: the end of a session hangs up all that had its terminal open, tty_ioctl(4).
        output = openSync(path, flags);
        listen();
      }
    },
    release,
  };
}
