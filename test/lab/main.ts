import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { CommanderError } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import { type LabOptions, parseLabOptions } from "./lab-options.ts";
import type { LabResult } from "./lab-result.ts";
import { runLab } from "./lab-run.ts";
import { makeScreen } from "./screen.ts";

/** Set for the process that goes on when `--keep` has given the terminal back; its value says whether to use colours. */
const keeperVariable = "METAL_RIVET_LAB_KEEPER";

const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Somebody wants the lab to end early. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;
  constructor(signal: (typeof endingSignals)[number], message = `Ended by ${signal}`) {
    super(message);
    this.exitCode = 128 + constants.signals[signal];
  }
}

async function main(): Promise<number> {
  let options: LabOptions;
  try {
    options = parseLabOptions(process.argv.slice(2));
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    throw error;
  }
  const keeper = process.env[keeperVariable];
  if (options.keep && keeper === undefined) return await startKeeper(options);
  const progress = options.output === "json" ? process.stderr : process.stdout;
  return await lab(options, progress, keeper ?? colourMode(progress));
}

const colourMode = (stream: NodeJS.WriteStream) => (stream.isTTY && !process.env.NO_COLOR ? "colours" : "plain");

async function lab(options: LabOptions, progress: NodeJS.WriteStream, colours: string): Promise<number> {
  const interruption = new AbortController();
  for (const signal of endingSignals) process.on(signal, () => interruption.abort(new Interrupted(signal)));
  const guard = options.keep ? guardKeeper(interruption) : guardParent(interruption);
  const screen = makeScreen((text) => progress.write(text), colours === "colours");
  const { signal } = interruption;
  const print = (result: LabResult) => {
    if (options.output === "json") process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  };
  const keepUntilStopped = async (result: LabResult) => {
    print(result);
    guard.release();
    process.send?.({ exitCode: result.ok ? ExitCode.done : ExitCode.bug });
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  };
  try {
    const result = await runLab({
      machines: options.machines,
      ipmiDriver: options.ipmiDriver,
      token: options.token,
      miniLab: options.miniLab,
      withoutBmc: options.withoutBmc,
      ...(options.profile === undefined ? {} : { profile: options.profile }),
      screen,
      signal,
      ...(options.keep ? { keepUntilStopped } : {}),
    });
    if (!options.keep || result.problem !== undefined) print(result);
    return result.ok ? ExitCode.done : ExitCode.bug;
  } catch (error) {
    if (error !== signal.reason || !(error instanceof Interrupted)) throw error;
    screen.line(`\n${error.message}: everything was stopped and removed.`);
    return error.exitCode;
  } finally {
    guard.release();
  }
}

/** npm and sh do not always pass signals on: when whoever started us is gone, there is nobody to run for. */
function guardParent(interruption: AbortController): { release(): void } {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) {
      interruption.abort(new Interrupted("SIGHUP", "Whoever started the lab is gone"));
    }
  }, 500);
  return { release: () => clearInterval(timer) };
}

/** The keeper runs on alone, but only once everything is up. */
function guardKeeper(interruption: AbortController): { release(): void } {
  let released = false;
  process.once("disconnect", () => {
    if (!released) interruption.abort(new Interrupted("SIGHUP", "Whoever started the lab is gone"));
  });
  // Nobody reads what it says after that.
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  return {
    release() {
      released = true;
    },
  };
}

/** Runs the lab in a process of its own that outlives this one, and shows what it says until all is up. */
async function startKeeper(options: LabOptions): Promise<number> {
  const progress = options.output === "json" ? process.stderr : process.stdout;
  const keeper: ChildProcess = spawn(process.execPath, [import.meta.filename, ...process.argv.slice(2)], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, [keeperVariable]: colourMode(progress) },
  });
  keeper.stdout?.on("data", (chunk: Buffer) => process.stdout.write(chunk));
  keeper.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  for (const signal of endingSignals) process.on(signal, () => keeper.kill(signal));
  const exitCode = await new Promise<number>((resolve) => {
    keeper.once("message", (message) => {
      const told =
        typeof message === "object" && message !== null && "exitCode" in message ? message.exitCode : undefined;
      resolve(typeof told === "number" ? told : ExitCode.bug);
    });
    keeper.once("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
  });
  // What it wrote before its message may still be on its way through the pipes.
  await new Promise((resolve) => setTimeout(resolve, 200));
  return exitCode;
}

process.exit(await main());
