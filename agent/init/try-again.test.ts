import { expect, test } from "vitest";
import type { RunEnd } from "../console.ts";
import { tryAgain } from "./try-again.ts";

/** Plays tries that end with these exit codes, in order; the last one for ever. */
async function play(exitCodes: readonly number[], most: number, random = 0) {
  const said: string[] = [];
  const waits: number[] = [];
  let tries = 0;
  const ended: RunEnd = await tryAgain(
    async () => {
      const exitCode = exitCodes[Math.min(tries, exitCodes.length - 1)] ?? 0;
      tries += 1;
      return { outcome: "x", exitCode, text: "", durationMs: 1 };
    },
    {
      clock: { sleep: async (ms) => void waits.push(ms) },
      random: () => random,
      console: () => ({ note: (text) => void said.push(text) }),
      most: () => most,
    },
  );
  return { exitCode: ended.exitCode, tries, waits, said };
}

test.each([0, 64, 76, 77, 78])("exit code %i ends it at the first try, without a word", async (exitCode) => {
  expect(await play([exitCode], 10)).toEqual({ exitCode, tries: 1, waits: [], said: [] });
});

test.each([69, 70, 75])("exit code %i is followed by another try, which is said before the wait", async (exitCode) => {
  expect(await play([exitCode, 0], 10)).toEqual({
    exitCode: 0,
    tries: 2,
    waits: [5_000],
    said: ["next try in 5.0 s (2 of 10)"],
  });
});

test("the waits grow to five minutes, and after the last try there is none", async () => {
  const { waits, tries, said, exitCode } = await play([75], 10);
  expect(waits.map((ms) => ms / 1000)).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
  expect(tries).toBe(10);
  expect(said.at(-1)).toBe("no further try: that was the last of 10 (rivet.tries)");
  expect(exitCode).toBe(75);
});

test("machines that failed together do not try together", async () => {
  expect((await play([75, 0], 10, 0.999)).waits[0]).toBeCloseTo(7_497.5);
  expect((await play([75], 10, 0.999)).waits.at(-1)).toBe(300_000);
});

test("one try is one, and another failure after it ends all", async () => {
  expect(await play([75], 1)).toEqual({ exitCode: 75, tries: 1, waits: [], said: [] });
  expect((await play([75, 77], 10)).tries).toBe(2);
});
