import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { openConsole } from "../../agent/console.ts";
import { explainFailure } from "../../agent/failure.ts";
import { describeOutcome, type Outcome } from "../../agent/outcome.ts";
import type { EnrolmentClient } from "../../agent/world.ts";
import { call } from "../../bmc-service/fixture/clients.ts";
import { newSite, type Site, startTestService, type TestService } from "../../bmc-service/fixture/service.ts";
import { runProgram } from "../../bmc-service/program.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { Machine } from "../run/machine.ts";
import { listenOnLan } from "../simulator/bmc-faces.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import type { Fault } from "../simulator/simulated-transport.ts";
import { type Find, filesHolding, valuesHolding } from "./search.ts";

export const mac = "52:54:00:b1:00:01";

export interface WatchedOptions {
  readonly profile?: Profile;
  /** What is done to the agent's calls. */
  readonly client?: (inner: EnrolmentClient, site: WatchedSite) => EnrolmentClient;
}

/** The real agent and the real service around a simulated BMC. All secrets that are made are known, and all that is said is kept. */
export class WatchedSite implements AsyncDisposable {
  /** Passwords and session tokens, as they were made. */
  readonly secrets: string[] = [];
  readonly machine: Machine;
  readonly service: TestService;
  readonly #site: Site;
  readonly #options: WatchedOptions;
  readonly #stack: AsyncDisposableStack;
  readonly #said: Record<string, unknown> = {};

  private constructor(
    parts: { site: Site; machine: Machine; service: TestService },
    options: WatchedOptions,
    stack: AsyncDisposableStack,
  ) {
    this.#site = parts.site;
    this.machine = parts.machine;
    this.service = parts.service;
    this.#options = options;
    this.#stack = stack;
  }

  static async open(options: WatchedOptions = {}): Promise<WatchedSite> {
    await using stack = new AsyncDisposableStack();
    const site = stack.use(await newSite());
    const { profile = strict } = options;
    const machine = new Machine({ profile, bmc: { lans: [{ channel: 1, mac, ipv4Address: "10.0.0.7" }] } });
    const { port } = stack.use(await listenOnLan(machine.bmc));
    const addresses = new Map([[mac, { host: "127.0.0.1", port }]]);
    const service = stack.use(await startTestService(site, connectLan, { addresses }));
    return new WatchedSite({ site, machine, service }, options, stack.move());
  }

  /** One boot of the machine, to its outcome or error, whatever it is. */
  async boot(options: { rotate?: boolean; faults?: readonly Fault[] } = {}): Promise<Outcome | Error> {
    const { port } = this.service.running;
    const read = (name: string) => readFileSync(join(this.#site.pki, name));
    const pem = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key") };
    const { client = (inner: EnrolmentClient) => inner } = this.#options;
    const connectService = async () =>
      this.#watched(client(connectEnrolment({ address: `127.0.0.1:${port}`, ...pem }), this));
    const ended = await this.machine
      .boot({ ...options, world: { connectService } })
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    this.keep("what the run ended with", ended);
    this.keep("the last line", ended instanceof Error ? explainFailure(ended) : describeOutcome(ended));
    for (const format of ["text", "json"] as const) {
      const lines: string[] = [];
      const console = await openConsole(format, { write: (line) => lines.push(line) });
      for (const event of this.machine.events) console.step(event);
      for (const note of this.machine.notes) console.note(note);
      this.keep(`the console, ${format}`, lines);
    }
    return ended;
  }

  keep(name: string, value: unknown): void {
    this.#said[`${Object.keys(this.#said).length} ${name}`] = value;
  }

  /**
   * Where secrets lie that should lie nowhere. Asks the service for all that it tells, backs it up, stops it, and restores the
   * backup.
   */
  async finds(): Promise<Find[]> {
    if (this.secrets.length < 2) throw new Error("no secret was made: nothing was watched");
    const { running } = this.service;
    const isUp = await this.service.metrics().then(
      (metrics) => {
        this.keep("metrics", metrics);
        return true;
      },
      () => false,
    );
    if (isUp) await this.#ask();
    const files = () => filesHolding(this.secrets, this.#site.directory);
    // While it runs, with the write-ahead log, and after.
    const found = files();
    await running.stop();
    if (isUp) await this.#program("restore", "backup.db", "restored");
    return [...found, ...files(), ...valuesHolding(this.secrets, { ...this.#said, "service's log": this.service.log })];
  }

  /** All that operators see, and a backup. */
  async #ask(): Promise<void> {
    const { bmc } = this.service.admin;
    this.keep("rows", await call(bmc, bmc.listBmcs, {}));
    this.keep("accounts", await call(bmc, bmc.listAccounts, { mac, showSecrets: false }));
    this.keep("history", await call(bmc, bmc.listHistory, { key: mac, limit: 0 }));
    this.keep("audit log", await call(bmc, bmc.listAudit, { limit: 0, key: "", before: 0n }));
    await this.#program("backup", "backup.db", this.#site.data);
  }

  /** bmc-service's own `backup` or `restore`. @param data relative to the site's directory, or absolute */
  async #program(command: "backup" | "restore", file: string, data: string): Promise<void> {
    const said: string[] = [];
    const { directory, pki } = this.#site;
    const args = [command, join(directory, file), "--data", resolve(directory, data), "--pki", pki];
    const code = await runProgram(args, {
      environment: {},
      stop: () => Promise.withResolvers<never>().promise,
      write: (text) => said.push(text),
      error: (text) => said.push(text),
      errorIsTerminal: false,
    });
    if (code !== 0) throw new Error(`${command}: exit code ${code}: ${said.join("")}`);
    this.keep(command, said);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#stack.disposeAsync();
  }

  #watched(inner: EnrolmentClient): EnrolmentClient {
    const refused = (name: string) => (error: unknown) => {
      this.keep(`refusal of ${name}`, error);
      throw error;
    };
    return {
      begin: async (request, signal) => {
        const begun = await inner.begin(request, signal).catch(refused("Begin"));
        this.secrets.push(begun.sessionToken);
        return begun;
      },
      reportBmc: (request, signal) => inner.reportBmc(request, signal).catch(refused("ReportBmc")),
      reportInventory: (request, signal) => inner.reportInventory(request, signal),
      escrowAccount: (request, signal) => {
        this.secrets.push(request.password.toString("latin1"));
        return inner.escrowAccount(request, signal).catch(refused("EscrowAccount"));
      },
      confirmAccount: (request, signal) => inner.confirmAccount(request, signal).catch(refused("ConfirmAccount")),
      abort: (request, signal) => inner.abort(request, signal).catch(refused("Abort")),
      watchHandOff: async function* (this: void, request, signal) {
        yield* inner.watchHandOff(request, signal);
      },
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }
}
