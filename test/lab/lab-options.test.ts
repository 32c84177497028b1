import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseLabOptions } from "./lab-options.ts";

// Commander says on standard error what is wrong.
let said: string;
beforeEach(() => {
  said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => void vi.restoreAllMocks());

test("one machine, two in a mini-lab, or as many as asked for", () => {
  expect(parseLabOptions([])).toMatchObject({ machines: 1, miniLab: false });
  expect(parseLabOptions(["--mini-lab"])).toMatchObject({ machines: 2, miniLab: true });
  expect(parseLabOptions(["--mini-lab", "--machines", "4"])).toMatchObject({ machines: 4, miniLab: true });
});

test("a machine without BMC comes on top", () => {
  expect(parseLabOptions(["--mini-lab", "--without-bmc"])).toMatchObject({ machines: 2, withoutBmc: true });
  expect(parseLabOptions([])).toMatchObject({ withoutBmc: false });
});

test.each([
  [["--mini-lab", "--machines", "10"], "9 machines at most"],
  [["--mini-lab", "--machines", "9", "--without-bmc"], "9 machines at most"],
  [["--mini-lab", "--profile", "hpe-ilo"], "--profile"],
  [["--mini-lab", "--token"], "--token"],
  [["--mini-lab", "--no-ipmi-driver"], "--no-ipmi-driver"],
  [["--machines", "0"], "from 1 to 32"],
])("%j is refused, saying why", (args, words) => {
  expect(() => parseLabOptions(args)).toThrow();
  expect(said).toContain(words);
});
