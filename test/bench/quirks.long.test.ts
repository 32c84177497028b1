import { expect, test } from "vitest";
import { profiles } from "../simulator/profiles.ts";
import { measureQuirks } from "./quirks.ts";

test("every profile has its commands, and the spec profile no more than itself", async () => {
  const figures = await measureQuirks();
  expect(figures.map(({ profile }) => profile)).toEqual([...profiles.keys()]);
  const of = (name: string) => figures.find(({ profile }) => profile === name);
  expect(of("spec")).toMatchObject({ outcome: "linked", difference: {} });
  expect(of("spec")?.commands).toBeLessThanOrEqual(45);
  // Its second channel is the one that is there: the scan looks at the first one too.
  expect(of("hpe-ilo")?.difference["Get Channel Info"]).toBeGreaterThan(0);
  expect(of("intel-oem")).toMatchObject({ outcome: "locked" });
  expect(of("intel-oem")?.difference["Set User Access"]).toBeLessThan(0);
});
