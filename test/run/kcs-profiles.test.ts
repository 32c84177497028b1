import { describe, expect, test } from "vitest";
import type { Outcome } from "../../agent/outcome.ts";
import type { Profile } from "../simulator/profile.ts";
import { profiles, spec } from "../simulator/profiles.ts";
import { Machine } from "./machine.ts";
import { bootOverKcs } from "./over-kcs.ts";

const howOf = (ended: Outcome | Error) =>
  ended instanceof Error ? String(ended.cause ?? ended).split(":")[0] : ended.kind;

const expected = (profile: Profile) => (profile.expected === "not ready" ? "NotReadyError" : profile.expected);

describe.each([...profiles.values()])("a run over the KCS registers of $name", (profile) => {
  test(`ends as ${profile.expected}`, async () => {
    const machine = new Machine({ profile });
    const given = () => machine.bmc.users.filter(({ id }) => profile.users.given.some((user) => user.id === id));
    const before = JSON.stringify(given());
    const { ended, closed } = await bootOverKcs(machine);
    expect(howOf(ended), String(ended)).toBe(expected(profile));
    expect(closed).toBe(true);
    expect(JSON.stringify(given())).toBe(before);
    // One that was made in vain was taken back.
    expect(machine.ours()).toHaveLength(profile.expected === "linked" ? 1 : 0);
  });
});

test("a BMC that takes 2 ms for every byte is only slower", async () => {
  const machine = new Machine({ profile: spec });
  const { ended, durationMs } = await bootOverKcs(machine, 2);
  expect(howOf(ended)).toBe("linked");
  expect(machine.bmc.log.length).toBeLessThanOrEqual(45);
  // Some 35 commands of seven bytes and more, and as many of every answer.
  expect(durationMs).toBeGreaterThan(1_000);
});
