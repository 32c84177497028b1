import { expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { boot, openSite, rowOf } from "./site.ts";

test("a machine whose clock stands in 2001 is linked by the time of the document's server, and says so", async () => {
  await using site = await openSite({ old: { hardwareClock: "2001-01-01" } });
  const { exitCode, told } = await boot(site, "old");
  const notes = told.flatMap((each) => ("text" in each ? [each.text] : []));
  expect(exitCode, notes.join("\n")).toBe(0);
  expect(await rowOf(site, site.machines.old.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
  const [said = "", ...more] = notes.filter((note) => note.includes("clock"));
  expect(more).toEqual([]);
  expect(said).toMatch(/is not yet valid by the clock: clock set from 2001-01-01T.* by the Date of the server of/);
  const [set = ""] = /(?<=to )\S+Z/.exec(said) ?? [];
  expect(Math.abs(Date.now() - Date.parse(set))).toBeLessThan(120_000);
});
