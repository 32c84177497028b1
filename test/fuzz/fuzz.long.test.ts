import { describe, expect, test } from "vitest";
import { decoders as broken } from "./broken.fixture.ts";
import { decoders } from "./decoders/index.ts";
import { fuzzDecoder, fuzzLimits, inputsOf, tryInput } from "./fuzz-decoder.ts";
import { defaults, type FuzzedDecoder } from "./fuzzed-decoder.ts";
import { chooseDecoders, shareOut } from "./options.ts";
import { Random } from "./random.ts";
import { failureText, resultLine } from "./report.ts";
import { shrink } from "./shrink.ts";
import { supervise } from "./supervise.ts";
import { valueSize } from "./value-size.ts";

const seed = 20_260;

describe("every decoder", () => {
  test("stands some thousand inputs", async () => {
    const counts = shareOut(decoders, 5_000);
    const failures: string[] = [];
    for (const [i, decoder] of decoders.entries()) {
      const { failure } = await fuzzDecoder(decoder, { inputs: counts[i] ?? 1, seed });
      if (failure !== undefined) failures.push(failureText(failure, seed));
    }
    expect(failures).toEqual([]);
  });

  test("has a name of its own, and valid encodings to begin with", async () => {
    expect(new Set(decoders.map(({ name }) => name)).size).toBe(decoders.length);
    const without: string[] = [];
    for (const decoder of decoders) {
      const corpus = decoder.corpus(new Random(seed));
      const tried = await Promise.all(corpus.map((input) => tryInput(decoder, input)));
      if (!tried.some(({ outcome }) => outcome === "values") && decoder.refusesAll !== true) without.push(decoder.name);
      const longest = Math.max(...corpus.map((input) => input.length));
      expect([decoder.name, longest]).toEqual([decoder.name, Math.min(longest, decoder.maxBytes ?? defaults.maxBytes)]);
    }
    expect(without).toEqual([]);
  });

  test("gets the same inputs from the same seed, and others from another", () => {
    for (const decoder of decoders.filter((_, i) => i % 12 === 0)) {
      const [first, again, other] = [seed, seed, seed + 1].map((each) => inputsOf(decoder, each));
      const numbers = Array.from({ length: 8 }, (_, i) => i);
      expect(numbers.map((i) => again?.(i))).toEqual(numbers.map((i) => first?.(i)));
      expect(numbers.map((i) => other?.(i))).not.toEqual(numbers.map((i) => first?.(i)));
    }
  });
});

/** The decoder of that name in broken.fixture.ts. */
function brokenOne(name: string): FuzzedDecoder {
  const found = broken.find((each) => each.name === name);
  if (found === undefined) throw new Error(`broken.fixture.ts has no "${name}"`);
  return found;
}

describe("a decoder with a fault is found out", () => {
  test.each([
    ["wrong error", "error", "RangeError"],
    ["wrong error, later", "error", "TypeError: late"],
    ["endless recursion", "error", "Maximum call stack size exceeded"],
    ["large value", "value size", "became a value of more than"],
    ["slow", "slow", "allowed are 1 ms"],
    ["takes more than it gives", "memory", "allowed are 16.0 MB"],
    ["takes what it must refuse", "error", "should have been refused"],
  ])("%s", async (name, kind, detail) => {
    const decoder = brokenOne(name);
    // Another one may take a millisecond too, and would be found slow instead.
    const limits = name === "slow" ? { ...fuzzLimits, inputMs: 1 } : fuzzLimits;
    const result = await fuzzDecoder(decoder, { inputs: 2_000, seed, limits });
    expect(result.failure).toMatchObject({ kind, decoder: name, detail: expect.stringContaining(detail) });
    const { input, index } = result.failure ?? { input: new Uint8Array(0), index: -1 };
    expect(input[0]).toBe(0x2a);
    expect(inputsOf(decoder, seed)(index)).toEqual(input);
    expect([...(result.failure?.smallest ?? [])]).toEqual([0x2a]);
    expect(resultLine(result)).toContain(`FAILED: ${kind}`);
    expect(result.failure && failureText(result.failure, seed)).toContain(
      `--decoder "${name}" --seed ${seed} --at ${index}`,
    );
  });

  test("and a good one is not", async () => {
    const result = await fuzzDecoder(brokenOne("good"), { inputs: 2_000, seed });
    expect(result).toMatchObject({ inputs: 2_000, values: expect.any(Number), refusals: expect.any(Number) });
    expect(result.values).toBeGreaterThan(100);
    expect(result.refusals).toBeGreaterThan(100);
    expect(result).not.toHaveProperty("failure");
  });
});

const fixture = new URL("./broken.fixture.ts", import.meta.url).href;

/** Runs some of the broken decoders in workers, and gives what failed in each. */
async function failuresOf(names: readonly string[], hangMs: number) {
  const jobs = names.map((decoder) => ({ decoder, inputs: 300 }));
  const reported: string[] = [];
  const limits = { ...fuzzLimits, leftBytes: 2 ** 20 };
  const plan = { module: fixture, jobs, seed, limits, hangMs, heapMegabytes: 48 };
  const results = await supervise(plan, ({ name }) => reported.push(name));
  expect(reported).toEqual(names);
  return results.map(({ failure }) => failure);
}

test("what does not come back ends its worker, and the decoders after it get their inputs all the same", async () => {
  const names = ["endless", "wrong error", "error that nobody waits for", "good"];
  const [hang, error, unheard, none] = await failuresOf(names, 500);
  expect(hang).toMatchObject({ kind: "hang", detail: "not back after 500 ms" });
  expect(hang?.input[0]).toBe(0x2a);
  expect(error?.detail).toContain("broken.fixture.ts");
  expect(unheard).toMatchObject({ kind: "error", detail: expect.stringContaining("unheard") });
  expect(none).toBeUndefined();
});

test("what fills the memory, at once or bit by bit, is found out", async () => {
  const [full, kept, none] = await failuresOf(["fills the memory", "keeps everything", "good"], 8_000);
  expect(full).toMatchObject({ kind: "memory", detail: "more than 48 MB of memory" });
  expect(full?.input[0]).toBe(0x2a);
  expect(kept).toMatchObject({ kind: "memory", detail: expect.stringContaining("are kept after 300 inputs") });
  expect(none).toBeUndefined();
});

test("one input is repeated by its number, or as it is", async () => {
  const decoder = brokenOne("wrong error");
  const { failure } = await fuzzDecoder(decoder, { inputs: 2_000, seed });
  const jobs = [
    { decoder: decoder.name, at: failure?.index ?? -1 },
    { decoder: decoder.name, input: Uint8Array.of(0x2a) },
    { decoder: decoder.name, input: Uint8Array.of(0) },
  ];
  const results = await supervise({ module: fixture, jobs, seed, limits: fuzzLimits, hangMs: 8_000 }, () => undefined);
  expect(results.map((each) => each.failure?.input)).toEqual([failure?.input, Uint8Array.of(0x2a), undefined]);
  expect(results[2]).toMatchObject({ inputs: 1, values: 1, refusals: 0 });
});

test("an input is made as small as its fault allows", async () => {
  const both = (data: Uint8Array) => Promise.resolve(data.includes(7) && data.includes(9));
  const input = Uint8Array.from({ length: 300 }, (_, i) => (i === 20 ? 7 : i === 250 ? 9 : 0));
  expect(await shrink(input, both)).toEqual(Uint8Array.of(7, 9));
  expect(await shrink(Uint8Array.of(7, 9), both)).toEqual(Uint8Array.of(7, 9));
});

test("the size of a value counts what is in it, however deep, and ends at what goes round", () => {
  const ring: unknown[] = [1];
  ring.push(ring);
  expect(valueSize(new Uint8Array(100), 1e6)).toBe(108);
  expect(valueSize({ a: ["xy", new Map([["k", 1]])] }, 1e6)).toBe(5 * 8 + 2 + 1 + 8);
  expect(valueSize(ring, 1e6)).toBe(24);
  expect(valueSize(new Array(1e6).fill(1), 100)).toBeLessThan(200);
});

test("inputs are shared out by weight, none gets nothing, and all of them together are what was asked for", () => {
  for (const total of [200, 6_000, 1_000_000]) {
    const counts = shareOut(decoders, total);
    expect(counts.reduce((sum, each) => sum + each, 0)).toBe(total);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  }
});

test("a decoder is chosen by its name, or by a part of it", () => {
  expect(chooseDecoders(decoders, "FRU image").map(({ name }) => name)).toEqual(["FRU image"]);
  expect(chooseDecoders(decoders, "smbios type").length).toBe(6);
  expect(chooseDecoders(decoders, "nothing")).toEqual([]);
  expect(chooseDecoders(decoders, undefined)).toBe(decoders);
});
