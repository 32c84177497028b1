import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { initPki } from "../../bmc-service/pki/init-pki.ts";
import { plainEnvironment } from "../lab/child.ts";
import { within } from "../lab/deadline.ts";

const program = join(import.meta.dirname, "../../bmc-service/main.ts");
const startLimitMs = 30_000;

/** How long a machine that has died with its token waits for its own enrolment of before: real time. */
const sessionIdleMs = 500;

export interface ServiceProcessOptions {
  readonly directory: string;
  /** Where the service finds BMCs: "MAC=HOST:PORT". */
  readonly bmcAddresses: readonly string[];
  /** Instead of bmc-service/main.ts: a service that a test has broken on purpose. */
  readonly program?: string;
}

/** The real BMC service in a process of its own, which can die at any time and comes back on the same database and port. */
export class ServiceProcess implements AsyncDisposable {
  readonly pki: string;
  readonly data: string;
  readonly #options: ServiceProcessOptions;
  #running: { readonly pid: number; readonly exited: Promise<unknown>; readonly kill: () => void } | undefined;
  #port = 0;
  #output = "";
  #collapse: string | undefined;

  private constructor(options: ServiceProcessOptions) {
    this.#options = options;
    this.pki = join(options.directory, "pki");
    this.data = join(options.directory, "data");
  }

  static async start(options: ServiceProcessOptions): Promise<ServiceProcess> {
    const service = new ServiceProcess(options);
    await initPki({ out: service.pki, names: [], days: 1, force: false, now: new Date() });
    await service.start();
    return service;
  }

  /** TCP port on 127.0.0.1, the same for ever. */
  get port(): number {
    return this.#port;
  }

  /** The last that it has said. */
  get lastWords(): string {
    return this.#output.slice(-2_000);
  }

  /** @throws Error with its last words if it has ended without being killed: no fault may bring that about */
  requireUncollapsed(): void {
    if (this.#collapse !== undefined) throw new Error(`the BMC service ended by itself: ${this.#collapse}`);
  }

  /** Starts it again, if it does not run. Resolves when it listens. @throws Error if it ends before, for whatever reason */
  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const { program: main = program, bmcAddresses } = this.#options;
    const args = [
      ...[main, "serve", "--listen", `127.0.0.1:${this.#port}`, "--health", "127.0.0.1:0"],
      ...["--data", this.data, "--pki", this.pki, "--session-idle", `${sessionIdleMs}ms`],
      ...bmcAddresses.flatMap((each) => ["--bmc-address", each]),
    ];
    // A pipe for its words: a full disk must not hit whoever reads them.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", process.execPath, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      // In a session of its own: Ctrl-C reaches us and not it.
      detached: true,
      env: plainEnvironment(),
    });
    const running = { pid: 0, exited: once(child, "exit"), kill: () => child.kill("SIGKILL") };
    this.#running = running;
    let listened = false;
    const ended = running.exited.then(() => {
      if (this.#running === running) {
        this.#running = undefined;
        if (listened) this.#collapse = this.lastWords;
      }
      throw new Error(`the BMC service ended at its start: ${this.lastWords}`);
    });
    ended.catch(() => undefined);
    await once(child, "spawn");
    running.pid = child.pid ?? 0;
    const listening = Promise.withResolvers<number>();
    const hear = (data: Buffer) => {
      this.#output = (this.#output + data.toString("utf8")).slice(-20_000);
      const found = /"listen":"127\.0\.0\.1:(\d+)"[^\n]*"msg":"listening"/.exec(this.#output);
      if (found !== null) listening.resolve(Number(found[1]));
    };
    this.#output = "";
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#port = await within("the BMC service to listen", startLimitMs, Promise.race([listening.promise, ended]));
    listened = true;
  }

  /** SIGKILL: it can say nothing and save nothing any more. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.kill();
    await running?.exited;
  }

  /**
   * From now on every write to a file of its fails (RLIMIT_FSIZE), as if the disk were full; or no write does. It is so when this
   * returns.
   */
  fillDisk(full: boolean): void {
    if (this.#running === undefined || this.#running.pid === 0) return;
    const limit = full ? "0:unlimited" : "unlimited:unlimited";
    execFileSync("prlimit", ["--pid", String(this.#running.pid), `--fsize=${limit}`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
