import { expect, test } from "vitest";
import { Pager } from "./pager.ts";

const text = Array.from({ length: 30 }, (_, line) => `line ${line + 1}`).join("\n");

test("pages of 24 lines, and where one is", () => {
  const pager = new Pager(text);
  expect(pager.page()).toHaveLength(25);
  expect(pager.page()[23]).toBe("line 24");
  expect(pager.page()[24]).toMatch(/^ lines 1 to 24 of 30 +SPACE next page {2}Q close $/);
  expect(pager.press("next page")).toBe(true);
  expect(pager.page()[0]).toBe("line 25");
  expect(pager.page()[24]).toMatch(/^ lines 25 to 30 of 30 +B page back {2}Q close $/);
  pager.press("next page");
  expect(pager.page()[0]).toBe("line 25");
  pager.press("page back");
  pager.press("page back");
  expect(pager.page()[0]).toBe("line 1");
  expect(pager.press("close")).toBe(false);
});

test("long lines go on below; nothing steers the terminal", () => {
  const page = new Pager(`${"a".repeat(81)}\n\u001b[2Jb`).page();
  expect(page.slice(0, 3)).toEqual(["a".repeat(80), "a", "?[2Jb"]);
});
