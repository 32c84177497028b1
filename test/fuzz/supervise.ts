import { Worker } from "node:worker_threads";
import type { DecoderResult, FuzzFailure, FuzzLimits } from "./fuzz-decoder.ts";
import { Watched } from "./watched.ts";

/** What one decoder gets: so many inputs made from the seed, the one of this number, or this one. */
export type Job = { readonly decoder: string } & (
  | { readonly inputs: number }
  | { readonly at: number }
  | { readonly input: Uint8Array }
);

/** What is to be done, and with what. */
export interface FuzzPlan {
  /** URL of the module that exports `decoders`. */
  readonly module: string;
  readonly jobs: readonly Job[];
  readonly seed: number;
  readonly limits: FuzzLimits;
  /** An input that takes longer than this is given up, and with it the worker: it does not come back. */
  readonly hangMs: number;
  /** Memory of the worker. A decoder that fills it has a fault: none needs a tenth of the default. */
  readonly heapMegabytes?: number;
}

/** The worker's data. */
export interface WorkerTask extends Omit<FuzzPlan, "hangMs" | "heapMegabytes"> {
  readonly shared: SharedArrayBuffer;
}

const defaultHeapMegabytes = 512;
/** As a program's main thread has it, so that what overflows the stack there does so here. */
const stackMegabytes = 1;

/**
 * Does all jobs in a worker thread, one after the other. A decoder that hangs or fills the memory ends its worker; another one
 * does the rest.
 * @param report gets each result as soon as it is there
 */
export async function supervise(plan: FuzzPlan, report: (result: DecoderResult) => void): Promise<DecoderResult[]> {
  const results: DecoderResult[] = [];
  while (results.length < plan.jobs.length) {
    const jobs = plan.jobs.slice(results.length);
    const fault = await runWorker({ ...plan, jobs }, (result) => {
      results.push(result);
      report(result);
    });
    const job = plan.jobs[results.length];
    if (job === undefined) break;
    if (fault === undefined) throw new Error(`the worker ended before "${job.decoder}" was done`);
    const { kind, detail, index, input } = fault;
    const failure = { kind, detail, decoder: job.decoder, index, input };
    const result = { name: job.decoder, inputs: index + 1, values: 0, refusals: 0, longestMs: plan.hangMs, failure };
    results.push(result);
    report(result);
  }
  return results;
}

type WorkerFault = Pick<FuzzFailure, "kind" | "detail" | "index" | "input">;

/** @returns what ended the worker before it was done; undefined if it is done. @throws what is no fault of a decoder */
async function runWorker(plan: FuzzPlan, report: (result: DecoderResult) => void): Promise<WorkerFault | undefined> {
  const { hangMs, heapMegabytes = defaultHeapMegabytes, ...task } = plan;
  const shared = Watched.memory();
  const watched = new Watched(shared);
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: { ...task, shared } satisfies WorkerTask,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes, stackSizeMb: stackMegabytes },
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<WorkerFault | undefined>();
  worker.on("message", report);
  worker.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY") {
      resolve({ kind: "memory", detail: `more than ${heapMegabytes} MB of memory`, ...watched.input });
    } else if (watched.beats > 0) {
      resolve({ kind: "error", detail: `outside of decoding: ${error.stack ?? error.message}`, ...watched.input });
    } else {
      reject(error);
    }
  });
  worker.on("exit", () => resolve(undefined));

  let seen = { beats: 0, at: performance.now() };
  const watchdog = setInterval(() => {
    const { beats } = watched;
    if (beats !== seen.beats) {
      seen = { beats, at: performance.now() };
    } else if (beats > 0 && performance.now() - seen.at > hangMs) {
      // Before the first beat it is still loading.
      resolve({ kind: "hang", detail: `not back after ${hangMs} ms`, ...watched.input });
    }
  }, hangMs / 8);
  try {
    return await ended;
  } finally {
    clearInterval(watchdog);
    await worker.terminate();
  }
}
