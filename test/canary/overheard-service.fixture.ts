/** The BMC service, with all that it says kept in "service.log" beside its data directory, over any number of lives. */
import fs from "node:fs";
import { dirname, join } from "node:path";

const data = process.argv[process.argv.indexOf("--data") + 1] ?? "";
const transcript = join(dirname(data), "service.log");
const { write, writeSync } = fs;

function keep(fd: number, what: unknown): void {
  if (fd !== 1 && fd !== 2) return;
  try {
    fs.appendFileSync(transcript, what as string);
  } catch {
    // The test has filled the disk.
  }
}

fs.write = ((fd: number, ...rest: unknown[]) => {
  keep(fd, rest[0]);
  return (write as (...all: unknown[]) => unknown)(fd, ...rest);
}) as typeof fs.write;
fs.writeSync = ((fd: number, ...rest: unknown[]) => {
  keep(fd, rest[0]);
  return (writeSync as (...all: unknown[]) => unknown)(fd, ...rest);
}) as typeof fs.writeSync;

await import("../../bmc-service/main.ts");
