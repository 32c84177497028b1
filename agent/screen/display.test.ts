import { expect, test } from "vitest";
import { LocalScreen } from "./display.ts";

test("draws what has changed, and nothing if nothing has", () => {
  const written: string[] = [];
  const screen = new LocalScreen({ write: (text) => written.push(text) });
  screen.draw(["one", "two"]);
  expect(written.shift()).toContain("\u001b[2;1Htwo\u001b[K");
  screen.draw(["one", "two"]);
  expect(written).toEqual([]);
  screen.draw(["one", "three"]);
  expect(written.shift()).toBe("\u001b[2;1Hthree\u001b[K");
  screen.forget();
  screen.draw(["one", "three"]);
  const [drawn = ""] = written;
  expect(drawn.startsWith("\u001b[0m\u001b[2J")).toBe(true);
  for (const line of ["one", "three"]) expect(drawn).toContain(line);
});

test("a line of 80 columns is not followed by a word that would take its last column away", () => {
  const written: string[] = [];
  new LocalScreen({ write: (text) => written.push(text) }).draw(["x".repeat(80)], "good");
  expect(written[0]).toContain(`\u001b[1;1H\u001b[1;32m${"x".repeat(80)}\u001b[0m\u001b[2;1H`);
});
