import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { artifacts } from "../lab/artifacts.ts";
import { plainEnvironment } from "../lab/child.ts";
import { within } from "../lab/deadline.ts";
import { zstdBytes } from "./overlay.ts";

/** What is measured on this machine itself. */
export interface NativeFigures {
  /** Milliseconds from starting the process to its first line, median of `firstLineRuns`. */
  readonly firstLineMs: number;
  readonly firstLineRuns: number;
  readonly binaryBytes: number;
  readonly binaryZstdBytes: number;
}

const runs = 15;
const lineLimitMs = 10_000;

/** The file is read once before, so that all runs find it in the page cache. */
export async function measureNatively(): Promise<NativeFigures> {
  await timeToFirstLine();
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) times.push(await timeToFirstLine());
  return {
    firstLineMs: median(times),
    firstLineRuns: runs,
    binaryBytes: statSync(artifacts.metalRivet).size,
    binaryZstdBytes: await zstdBytes(artifacts.metalRivet),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

async function timeToFirstLine(): Promise<number> {
  const start = performance.now();
  // A configuration that cannot be used: the run ends soon after its first line.
  const child = spawn(artifacts.metalRivet, ["run", "--cmdline", "/dev/null", "--service", "127.0.0.1:9"], {
    stdio: ["ignore", "pipe", "ignore"],
    env: plainEnvironment(),
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    const firstLine = new Promise<number>((resolve, reject) => {
      child.stdout.once("data", () => resolve(performance.now() - start));
      child.once("error", reject);
      child.once("close", () => reject(new Error(`${artifacts.metalRivet} ended without a line`)));
    });
    return await within("the first line of metal-rivet", lineLimitMs, firstLine);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}
