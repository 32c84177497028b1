/**
 * `metal-rivet`: the program of the ramdisk. What is not needed for the first line is imported after it: a person at a
 * rack, and a machine under emulation, wait for each millisecond.
 */
import { writeSync } from "node:fs";
import { sayFirstLine } from "./first-line.ts";

async function main(): Promise<number> {
  if (process.pid === 1) {
    const { runAsInit } = await import("./init/init.ts");
    return await runAsInit();
  }
  const args = process.argv.slice(2);
  const begun = args[0] === "run" && !args.includes("--help") && !args.includes("-h") ? sayFirstLine(args) : undefined;
  const { readInvocation } = await import("./program.ts");
  const invocation = readInvocation(args, {
    out: (text) => writeAll(1, text),
    error: (text) => writeAll(2, text),
  });
  switch (invocation.command) {
    case "none":
      return invocation.exitCode;
    case "inspect": {
      const { inspect } = await import("./inspect.ts");
      writeAll(1, await inspect(invocation.output, invocation.device));
      return 0;
    }
    case "run": {
      const { runOnce } = await import("./run-once.ts");
      return await runOnce(invocation.flags, invocation.cmdline, await (begun ?? sayFirstLine(args)));
    }
    default:
      return invocation satisfies never;
  }
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
    const { explainFailure } = await import("./failure.ts");
    const { exitCode, text } = explainFailure(error);
    writeAll(2, `metal-rivet: ${text}\n`);
    if (process.pid !== 1) process.exit(exitCode);
    // the kernel panics when its init ends, and takes the words above with it
    for (;;) await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
  }
}

void handle(main());
