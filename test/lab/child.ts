import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { within } from "./deadline.ts";

/** How a program ended. */
export interface Exit {
  /** Its exit code, or null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that runs beside us until it is stopped. */
export interface Child extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Where its standard output and error go. */
  readonly logFile: string;
  /** Resolves when it has ended, whoever ended it. */
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  /** SIGTERM, and SIGKILL when it is still there after `patienceMs`. Resolves when it has ended. */
  stop(patienceMs?: number): Promise<Exit>;
  /** SIGKILL at once. Resolves when it has ended. */
  kill(): Promise<Exit>;
}

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and error are appended to it. */
  readonly logFile: string;
  readonly cwd?: string;
  /** The whole environment; by default PATH, HOME and LANG of ours, and nothing else. */
  readonly env?: Readonly<Record<string, string>>;
}

const live = new Set<number>();

// The last line of defence: a process that ends by an uncaught error still takes its children along.
process.on("exit", () => {
  for (const pid of live) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended a moment ago.
    }
  }
});

/**
 * Starts a program. It stands in a session of its own, so that Ctrl-C reaches us and not it, and the kernel kills it when
 * we die without a chance to do so (`setpriv --pdeathsig`).
 * @throws Error if it cannot be started
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const name = basename(options.command);
  const log = openSync(options.logFile, "a", 0o600);
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", options.command, ...options.args], {
    stdio: ["ignore", log, log],
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...(options.env ?? plainEnvironment()) },
  });
  closeSync(log);
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      if (child.pid !== undefined) live.delete(child.pid);
      exit = { code, signal };
      resolve(exit);
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(new Error(`${name}: cannot be started: ${error.message}`, { cause: error })));
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${name}: started without a process id`);
  live.add(pid);
  const stop = async (patienceMs = 5_000) => {
    if (exit !== undefined) return exit;
    child.kill("SIGTERM");
    try {
      return await within(`${name} (pid ${pid}) to end after SIGTERM`, patienceMs, exited);
    } catch {
      child.kill("SIGKILL");
      return await exited;
    }
  };
  return {
    name,
    pid,
    logFile: options.logFile,
    exited,
    get running() {
      return exit === undefined;
    },
    stop,
    async kill() {
      if (exit === undefined) child.kill("SIGKILL");
      return await exited;
    },
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** PATH, HOME and LANG of ours: nothing that could carry a secret or change what a program prints. */
export function plainEnvironment(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: process.env.HOME ?? "/",
    LANG: "C.UTF-8",
  };
}

/** The last lines of a log file, for an error message; a remark if it cannot be read. */
export function tailOf(file: string, lines = 15): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch (error) {
    return `(${file} cannot be read: ${error instanceof Error ? error.message : String(error)})`;
  }
}
