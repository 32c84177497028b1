import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configTable } from "../../proto/agent-keys.ts";

test("the README's table is the one that the keys give", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const table = /<!-- config table: begin -->\n([\s\S]*?)\n<!-- config table: end -->/.exec(readme)?.[1];
  expect(table).toBe(configTable());
});
