import type { DecoderResult, FuzzFailure } from "./fuzz-decoder.ts";

const columns = { name: 59, count: 9, ms: 10 } as const;

export function headLine(): string {
  return row("decoder", "inputs", "values", "refused", "longest");
}

/** One line a decoder. */
export function resultLine(result: DecoderResult): string {
  const { name, inputs, values, refusals, longestMs, failure } = result;
  const line = row(name, String(inputs), String(values), String(refusals), `${longestMs.toFixed(1)} ms`);
  return failure === undefined ? line : `${line}  FAILED: ${failure.kind}`;
}

function row(name: string, inputs: string, values: string, refusals: string, longest: string): string {
  const counts = [inputs, values, refusals].map((each) => each.padStart(columns.count)).join("");
  return name.padEnd(columns.name) + counts + longest.padStart(columns.ms);
}

/** What a person needs to see the fault again: the input, and the command that makes it anew. */
export function failureText(failure: FuzzFailure, seed: number): string {
  const { kind, decoder, index, input, smallest, detail } = failure;
  const fewer = smallest !== undefined && smallest.length < input.length;
  return [
    `${decoder}: ${kind} (seed ${seed}, input ${index}, ${input.length} bytes)`,
    `  input:    ${hex(input)}`,
    ...(fewer ? [`  smallest: ${hex(smallest)}`] : []),
    `  error:    ${detail.replaceAll("\n", "\n            ")}`,
    `  repeat:   npm run fuzz -- --decoder "${decoder}" --seed ${seed} --at ${index}`,
  ].join("\n");
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
