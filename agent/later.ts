/**
 * What comes after the first line. In the executable this is a part of its own with its own code cache (build.mjs), so that
 * nothing of it is read before.
 */
import type { Failure } from "./failure.ts";
import { type Begun, sayFirstLine } from "./first-line.ts";
import type { BegunInit } from "./init/first-steps.ts";
import type { BegunGuest } from "./overlay/first-steps.ts";

/** Process 1, from its first line on. */
export async function continueAsInit(begun: BegunInit): Promise<never> {
  const { runAsInit } = await import("./init/init.ts");
  return await runAsInit(begun);
}

/** The run in a foreign ramdisk, from its first line on. Returns the exit code. */
export async function performAsGuest(
  args: readonly string[],
  begun: BegunGuest,
  write: (fd: 1 | 2, text: string) => void,
): Promise<number> {
  try {
    const { readInvocation } = await import("./program.ts");
    const invocation = readInvocation(args, { out: (text) => write(1, text), error: (text) => write(2, text) });
    if (invocation.command !== "run") return invocation.command === "none" ? invocation.exitCode : 64;
    const { runAsGuest } = await import("./overlay/run-as-guest.ts");
    return await runAsGuest(invocation.flags, invocation.cmdline, begun);
  } finally {
    // A run has done that itself, within its limit: then there is nothing left.
    for (const problem of begun.asFound.putBack()) begun.console.note(problem);
  }
}

/** Does what the command line asks for. Returns the exit code. */
export async function perform(
  args: readonly string[],
  begun: Begun | undefined,
  write: (fd: 1 | 2, text: string) => void,
): Promise<number> {
  const { readInvocation } = await import("./program.ts");
  const invocation = readInvocation(args, {
    out: (text) => write(1, text),
    error: (text) => write(2, text),
  });
  switch (invocation.command) {
    case "none":
      return invocation.exitCode;
    case "inspect": {
      const { inspect } = await import("./inspect.ts");
      write(1, await inspect(invocation.output, invocation));
      return 0;
    }
    case "check": {
      const { checkDocument } = await import("./config/check-document.ts");
      write(1, await checkDocument(invocation.file));
      return 0;
    }
    case "plan": {
      const { plan } = await import("./plan.ts");
      const { text, exitCode } = await plan(invocation);
      write(1, text);
      return exitCode;
    }
    case "run": {
      const { runOnce } = await import("./run-once.ts");
      return await runOnce(invocation.flags, invocation.cmdline, begun ?? (await sayFirstLine(args)));
    }
    default:
      return invocation satisfies never;
  }
}

/** The exit code and text for whatever was thrown. */
export async function explain(thrown: unknown): Promise<Failure> {
  const { explainFailure } = await import("./failure.ts");
  return explainFailure(thrown);
}
