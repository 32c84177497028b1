import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { version } from "../version.ts";

/** By which road a machine asks; pixie_offer comes before pixiecore, with metal-stack's pixie. */
export type BootRoad = "pixiecore" | "pixie_offer" | "ipxe" | "document";

/** What comes of a question. */
export type BootResult = "answered" | "not_allowed" | "flood" | "no_token" | "no_leases" | "bad_request";

/** What the boot server counts, for Prometheus. */
export class BootMetrics {
  readonly registry = new Registry();
  readonly #boots: Counter<"road" | "result">;
  readonly #tokens: Counter<"kind">;
  readonly #files: Counter<"file">;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "bmc_boot_build_info",
      help: "Always 1; the version is the label.",
      labelNames: ["version"],
      registers,
    }).set({ version }, 1);
    this.#boots = new Counter({
      name: "bmc_boot_requests_total",
      help: "Machines that asked for a boot, by road and result.",
      labelNames: ["road", "result"],
      registers,
    });
    this.#tokens = new Counter({
      name: "bmc_boot_tokens_total",
      help: "Enrolment tokens handed out: new ones, and those that were handed out before and not used.",
      labelNames: ["kind"],
      registers,
    });
    this.#files = new Counter({
      name: "bmc_boot_files_total",
      help: "Kernels, ramdisks and UEFI programs that were asked for.",
      labelNames: ["file"],
      registers,
    });
  }

  boot(road: BootRoad, result: BootResult): void {
    this.#boots.inc({ road, result });
  }

  token(kind: "new" | "again"): void {
    this.#tokens.inc({ kind });
  }

  /** @param file one of the few that there are */
  file(file: string): void {
    this.#files.inc({ file });
  }
}
