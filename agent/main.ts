/**
 * `metal-rivet`: the program of the ramdisk. What is not needed for the first line is a part of its own, loaded after it:
 * a person at a rack, and a machine under emulation, wait for each millisecond.
 */
import { writeSync } from "node:fs";
import { sayFirstLine } from "./first-line.ts";
import { isGuest, isInit } from "./overlay/guest-name.ts";

async function main(): Promise<number> {
  if (isInit()) {
    const { takeFirstSteps } = await import("./init/first-steps.ts");
    const begun = await takeFirstSteps();
    const { continueAsInit } = await import("./later.ts");
    return await continueAsInit(begun);
  }
  const asGuest = isGuest(process.argv0);
  const args = asGuest ? ["run", ...process.argv.slice(2)] : process.argv.slice(2);
  const onlyAsks = args.some((arg) => ["--help", "-h", "--version", "-V"].includes(arg));
  if (asGuest && !onlyAsks) {
    const { takeFirstStepsAsGuest } = await import("./overlay/first-steps.ts");
    const begun = await takeFirstStepsAsGuest(args);
    const { performAsGuest } = await import("./later.ts");
    return await performAsGuest(args, begun, writeAll);
  }
  const begun = args[0] === "run" && !onlyAsks ? await sayFirstLine(args) : undefined;
  const { perform } = await import("./later.ts");
  return await perform(args, begun, writeAll);
}

/** A pipe takes what it takes: write until all is out. Nobody reading any more is no error. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}

async function handle(done: Promise<number>): Promise<void> {
  try {
    process.exit(await done);
  } catch (error) {
    const { explain } = await import("./later.ts");
    const { exitCode, text } = await explain(error);
    writeAll(2, `metal-rivet: ${text}\n`);
    if (!isInit()) process.exit(exitCode);
    // the kernel panics when its init ends, and takes the words above with it
    for (;;) await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
  }
}

void handle(main());
