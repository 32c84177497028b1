import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { type DecoderResult, fuzzDecoder, inputsOf, tryInput } from "./fuzz-decoder.ts";
import type { FuzzedDecoder } from "./fuzzed-decoder.ts";
import type { Job, WorkerTask } from "./supervise.ts";
import { Watched } from "./watched.ts";

/** The part that decodes; `supervise.ts` watches it, and ends it when a decoder does not come back. */

const { module, jobs, seed, limits, shared } = workerData as WorkerTask;
const { decoders } = (await import(module)) as { decoders: readonly FuzzedDecoder[] };
const watched = new Watched(shared);

// A stack costs more than decoding; for a failure it is made anew.
Error.stackTraceLimit = 0;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
/** Buffers are freed beside the collector; it waits for that when it is called again. */
const collectGarbage = (): void => {
  collect();
  collect();
};

async function run(job: Job): Promise<DecoderResult> {
  const decoder = decoders.find(({ name }) => name === job.decoder);
  if (decoder === undefined) throw new Error(`there is no decoder "${job.decoder}"`);
  if ("inputs" in job) {
    const beforeInput = (index: number, input: Uint8Array) => watched.begin(index, input);
    return await fuzzDecoder(decoder, { inputs: job.inputs, seed, limits, beforeInput, collectGarbage });
  }
  return "at" in job
    ? await runOne(decoder, inputsOf(decoder, seed)(job.at), job.at)
    : await runOne(decoder, job.input, 0);
}

async function runOne(decoder: FuzzedDecoder, input: Uint8Array, index: number): Promise<DecoderResult> {
  watched.begin(index, input);
  const { ms, outcome, fault } = await tryInput(decoder, input, limits);
  const result = { name: decoder.name, inputs: 1, values: 0, refusals: 0, longestMs: ms };
  if (fault === undefined) return { ...result, [outcome]: 1 };
  return { ...result, failure: { ...fault, decoder: decoder.name, index, input } };
}

for (const job of jobs) {
  const result = await run(job);
  // What a decoder left behind (a promise that nobody waits for) shows now, and counts as its own.
  await setImmediate();
  watched.rest();
  parentPort?.postMessage(result);
}
