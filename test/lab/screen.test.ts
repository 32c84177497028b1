import { describe, expect, test } from "vitest";
import { durationText, makeScreen, wrap } from "./screen.ts";

function written(use: (screen: ReturnType<typeof makeScreen>) => void, colours = false): string {
  let text = "";
  use(makeScreen((more) => (text += more), colours));
  return text;
}

describe("progress", () => {
  test("is one line of at most 80 columns for each thing that is done", () => {
    const text = written((screen) => screen.done("a name that is much too long for it", "detail ".repeat(30), 61_234));
    expect(text.split("\n")).toHaveLength(2);
    expect(text.trimEnd()).toHaveLength(80);
    expect(text).toMatch(/… +61\.2 s$/m);
  });

  test("tells all of what did not hold", () => {
    const words = Array.from({ length: 40 }, (_, index) => `word${index}`);
    const text = written((screen) => screen.failed("row", words.join(" "), 5));
    for (const word of words) expect(text).toContain(word);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("has colours only when they are wanted", () => {
    const use = (screen: ReturnType<typeof makeScreen>) => screen.done("x", "y", 1);
    expect(written(use)).not.toContain("\u001b");
    expect(written(use, true)).toContain("\u001b[32m");
  });
});

test("durations", () => {
  expect([120, 9_994, 12_345, 125_000].map(durationText)).toEqual(["0.12 s", "9.99 s", "12.3 s", "2 min 05 s"]);
});

test("words are wrapped, never lost", () => {
  expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
});
