import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { initPki } from "../../bmc-service/pki/init-pki.ts";
import { type BmcClient, connectBmcService } from "../../outband-client/service/bmc.ts";
import { type Child, startChild, tailOf } from "../lab/child.ts";
import { until } from "../lab/deadline.ts";

const program = join(import.meta.dirname, "../../bmc-service/main.ts");
const startLimitMs = 30_000;
/** sysconf(_SC_CLK_TCK): 100 on every Linux. */
const ticksPerSecond = 100;

/** The real BMC service in a process of its own, with a database and certificates in a directory. */
export class FleetService implements AsyncDisposable {
  readonly pki: string;
  readonly #data: string;
  readonly #logFile: string;
  readonly #nodeOptions: readonly string[];
  #child: Child | undefined;
  #cpuMsOfKilled = 0;
  #port = 0;

  private constructor(directory: string, nodeOptions: readonly string[]) {
    this.pki = join(directory, "pki");
    this.#data = join(directory, "data");
    this.#logFile = join(directory, "bmc-service.log");
    this.#nodeOptions = nodeOptions;
  }

  /** @param nodeOptions of its process, for profiles */
  static async start(directory: string, nodeOptions: readonly string[] = []): Promise<FleetService> {
    const service = new FleetService(directory, nodeOptions);
    await initPki({ out: service.pki, names: [], days: 1, force: false, now: new Date() });
    await service.start();
    return service;
  }

  /** TCP port on 127.0.0.1, the same after a restart. */
  get port(): number {
    return this.#port;
  }

  /** @throws Error with its last words if it ends instead of listening */
  async start(): Promise<void> {
    const said = (this.#read(this.#logFile) ?? "").length;
    const child = await startChild({
      command: process.execPath,
      args: [
        ...["--disable-warning=ExperimentalWarning", ...this.#nodeOptions, program, "serve"],
        ...["--listen", `127.0.0.1:${this.#port}`, "--health", "127.0.0.1:0"],
        ...["--data", this.#data, "--pki", this.pki, "--bmc-networks", "127.0.0.0/8"],
      ],
      logFile: this.#logFile,
    });
    this.#child = child;
    this.#port = await until("the BMC service to listen", startLimitMs, () => {
      if (!child.running) throw new Error(`the BMC service ended at its start:\n${tailOf(this.#logFile)}`);
      const log = (this.#read(this.#logFile) ?? "").slice(said);
      const found = /"listen":"127\.0\.0\.1:(\d+)"[^\n]*"msg":"listening"/.exec(log);
      return found === null ? undefined : Number(found[1]);
    });
  }

  /** SIGKILL: it can say nothing and save nothing any more. */
  async kill(): Promise<void> {
    this.#cpuMsOfKilled = this.cpuMs;
    await this.#child?.kill();
    this.#child = undefined;
  }

  /** Processor time of all its threads since the first start. */
  get cpuMs(): number {
    // After the name, which is in parentheses: utime and stime are the 12th and 13th fields. proc_pid_stat(5).
    const fields = this.#proc("stat")
      ?.replace(/^.*\) /s, "")
      .split(" ");
    const ticks = fields === undefined ? 0 : Number(fields[11]) + Number(fields[12]);
    return this.#cpuMsOfKilled + (ticks * 1_000) / ticksPerSecond;
  }

  /** Resident memory in bytes; undefined while it does not run. */
  get residentBytes(): number | undefined {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(this.#proc("status") ?? "")?.[1];
    return kib === undefined ? undefined : Number(kib) * 1_024;
  }

  /** Of the database and the files beside it. */
  get databaseBytes(): number {
    return readdirSync(this.#data)
      .map((name) => statSync(join(this.#data, name)).size)
      .reduce((sum, size) => sum + size, 0);
  }

  /** Certificates of a role, PEM. */
  certificates(role: "agent" | "operator"): { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer } {
    const read = (name: string) => readFileSync(join(this.pki, name));
    return { ca: read("ca.pem"), cert: read(`${role}.pem`), key: read(`${role}.key`) };
  }

  connectOperator(): BmcClient {
    return connectBmcService({ address: `127.0.0.1:${this.#port}`, ...this.certificates("operator") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.stop();
  }

  #proc(name: string): string | undefined {
    return this.#child === undefined ? undefined : this.#read(`/proc/${this.#child.pid}/${name}`);
  }

  #read(path: string): string | undefined {
    try {
      return readFileSync(path, "latin1");
    } catch {
      return undefined;
    }
  }
}
