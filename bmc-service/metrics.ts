import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Attack } from "./attack.ts";
import type { Stored } from "./store/store.ts";
import { version } from "./version.ts";

/** What the service counts, for Prometheus. */
export class Metrics {
  readonly registry = new Registry();
  readonly #enrolments: Counter<"result">;
  readonly #tokenRefusals: Counter<"reason">;
  readonly #attacks: Counter<"attack">;
  readonly #handOffs: Counter<"result">;
  readonly #handOffSeconds: Histogram<"result">;
  readonly #logins: Counter<"result">;
  readonly #drivers: Counter<"driver" | "action" | "result">;
  readonly #rpcs: Counter<"service" | "method" | "code">;
  readonly #rpcSeconds: Histogram<"service" | "method">;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const build = new Gauge({
      name: "bmc_service_build_info",
      help: "Always 1; the version is the label.",
      labelNames: ["version"],
      registers,
    });
    build.set({ version }, 1);
    this.#enrolments = new Counter({
      name: "bmc_service_enrolments_total",
      help: "Steps of enrolments: begun, reported, no_bmc, conflict, escrowed, confirmed, aborted.",
      labelNames: ["result"],
      registers,
    });
    this.#tokenRefusals = new Counter({
      name: "bmc_service_token_refusals_total",
      help: "Enrolment tokens that opened nothing, by reason.",
      labelNames: ["reason"],
      registers,
    });
    this.#attacks = new Counter({
      name: "bmc_service_attacks_total",
      help: "Refused calls and connections that look like an attack, by what they look like.",
      labelNames: ["attack"],
      registers,
    });
    this.#handOffs = new Counter({
      name: "bmc_service_hand_offs_total",
      help: "Hand-offs by result: handed_off, or why not.",
      labelNames: ["result"],
      registers,
    });
    this.#handOffSeconds = new Histogram({
      name: "bmc_service_hand_off_duration_seconds",
      help: "Duration of hand-offs, without the wait for a place.",
      labelNames: ["result"],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
      registers,
    });
    this.#logins = new Counter({
      name: "bmc_service_lan_logins_total",
      help: "Logins to BMCs over RMCP+ by result: ok, or the reason of the failure.",
      labelNames: ["result"],
      registers,
    });
    this.#drivers = new Counter({
      name: "bmc_service_driver_calls_total",
      help: "Actions of drivers on BMCs.",
      labelNames: ["driver", "action", "result"],
      registers,
    });
    this.#rpcs = new Counter({
      name: "bmc_service_rpcs_total",
      help: "gRPC calls by status code.",
      labelNames: ["service", "method", "code"],
      registers,
    });
    this.#rpcSeconds = new Histogram({
      name: "bmc_service_rpc_duration_seconds",
      help: "Duration of gRPC calls, streams included.",
      labelNames: ["service", "method"],
      buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300],
      registers,
    });
  }

  enrolment(result: "begun" | "reported" | "no_bmc" | "conflict" | "escrowed" | "confirmed" | "aborted"): void {
    this.#enrolments.inc({ result });
  }

  tokenRefused(reason: string): void {
    this.#tokenRefusals.inc({ reason: reason.replaceAll(/\W+/g, "_") });
  }

  attack(attack: Attack): void {
    this.#attacks.inc({ attack: attack.replaceAll(" ", "_") });
  }

  handOff(result: string, durationMs: number): void {
    this.#handOffs.inc({ result });
    this.#handOffSeconds.observe({ result }, durationMs / 1000);
  }

  readonly lanLogin = (result: string): void => {
    this.#logins.inc({ result: result.replaceAll(" ", "_") });
  };

  driver(driver: string, action: string, result: "ok" | "failed"): void {
    this.#drivers.inc({ driver, action, result });
  }

  rpc(service: string, method: string, code: string, durationMs: number): void {
    this.#rpcs.inc({ service, method, code });
    this.#rpcSeconds.observe({ service, method }, durationMs / 1000);
  }

  observeQueue(running: () => number, waiting: () => number): void {
    this.#gauge("bmc_service_hand_offs_running", "Remote logins that run now.", running);
    this.#gauge("bmc_service_hand_offs_queued", "Hand-offs that wait for a place, or for the BMC.", waiting);
  }

  observeSessions(count: () => Promise<number>): void {
    this.#gauge("bmc_service_sessions", "Enrolment sessions whose token is valid.", count);
  }

  /** What the limits count. */
  observeStored(count: () => Promise<Stored>): void {
    new Gauge({
      name: "bmc_service_stored",
      help: "What takes room in the database: sessions whose time is not over, machines, BMCs.",
      labelNames: ["what"],
      registers: [this.registry],
      async collect() {
        for (const [what, number] of Object.entries(await count())) this.set({ what }, number);
      },
    });
  }

  observeRows(countByState: () => Promise<ReadonlyMap<string, number>>): void {
    new Gauge({
      name: "bmc_service_bmcs",
      help: "Rows by state.",
      labelNames: ["state"],
      registers: [this.registry],
      async collect() {
        this.reset();
        for (const [state, count] of await countByState()) this.set({ state }, count);
      },
    });
  }

  #gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      async collect() {
        this.set(await read());
      },
    });
  }
}
