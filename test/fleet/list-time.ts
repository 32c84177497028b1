import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { execa } from "execa";
import { median } from "../bench/natively.ts";
import { plainEnvironment } from "../lab/child.ts";
import type { FleetService } from "./fleet-service.ts";

const repository = join(import.meta.dirname, "../..");
const times = 5;
const buildLimitMs = 10 * 60_000;

/** Builds `bmcctl`, and nothing else, into `directory`. @returns its path */
export async function buildBmcctl(directory: string, signal: AbortSignal): Promise<string> {
  const args = ["build.mjs", "--only", "bmcctl", "--out", directory];
  await execa(process.execPath, args, { cwd: repository, timeout: buildLimitMs, cancelSignal: signal });
  return join(directory, "bmcctl");
}

/**
 * How long `bmcctl ls` takes, from its start as a process to its end, ms: the median of five.
 * @throws Error if it does not list so many rows
 */
export async function timeList(bmcctl: string, service: FleetService, rows: number): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < times; i += 1) {
    const startedAt = performance.now();
    const args = ["--service", `127.0.0.1:${service.port}`, "--pki", service.pki, "ls"];
    const child = spawn(bmcctl, args, { stdio: ["ignore", "pipe", "inherit"], env: plainEnvironment() });
    let text = "";
    child.stdout.setEncoding("latin1").on("data", (part: string) => {
      text += part;
    });
    const [code] = await once(child, "close");
    all.push(performance.now() - startedAt);
    const listed = text.match(/^(?:[0-9a-f]{2}:){5}/gm)?.length ?? 0;
    if (code !== 0 || listed !== rows) throw new Error(`bmcctl ls: exit code ${code}, ${listed} rows of ${rows}`);
  }
  return median(all);
}
