import { describe, expect, test } from "vitest";
import { Random } from "../fuzz/random.ts";
import { everyProfile } from "../simulator/variants.ts";
import { chooseCases, chooseProfiles, type Instants, randomCase, systematicCases } from "./cases.ts";
import { caseText, faultNames, parseCase } from "./fault.ts";
import { parseChaosOptions } from "./options.ts";
import type { Played } from "./play.ts";
import { summarise, summaryText } from "./report.ts";

const own: Instants = {
  first: ["before:step:begin:1", "after:write:set-user-name:1"],
  rotation: ["before:call:begin:1"],
  known: ["after:event:handedoff:1"],
  orphan: ["before:step:hand-off:1"],
  orphans: ["after:write:set-user-access:2"],
  rotated: ["before:step:retire-former-accounts:1"],
  remote: ["after:lan:set-user-password:1"],
  token: ["after:call:begin:1"],
};
const instants = new Map([
  ["strict", own],
  ["openbmc", own],
]);

describe("cases", () => {
  test("every fault comes at every instant of each beginning, where it can", () => {
    const cases = systematicCases("strict", own);
    // No agent takes part in a rotation from remote, so none is killed, nor its machine reset.
    const faults = faultNames.length - 1;
    expect(cases).toHaveLength(9 * faults - 2);
    const texts = new Set(cases.map(caseText));
    expect(texts.size).toBe(cases.length);
    expect(texts).toContain("first bmc-reset-lost@after:write:set-user-name:1");
    expect(texts).toContain("remote service-killed@after:lan:set-user-password:1");
    expect(texts).not.toContain("remote agent-killed@after:lan:set-user-password:1");
  });

  test("are the same for the same seed, and read back as they are written", () => {
    const chosen = chooseCases(instants, 500, 7);
    expect(chosen).toHaveLength(500);
    expect(chooseCases(instants, 500, 7)).toEqual(chosen);
    expect(chooseCases(instants, 500, 8)).not.toEqual(chosen);
    for (const each of chosen) expect(parseCase(caseText(each))).toEqual(each);
    // All systematic ones are there when there is room, and random ones besides.
    const texts = new Set(chosen.map(caseText));
    const systematic = ["strict", "openbmc"].flatMap((profile) => systematicCases(profile, own));
    const missing = systematic.filter((each) => !texts.has(caseText(each)));
    expect(missing.length).toBeLessThanOrEqual(10);
    expect(chosen.filter(({ ownProcess }) => ownProcess)).toHaveLength(10);
    expect(chosen.filter(({ faults }) => faults.length > 1)).not.toEqual([]);
  });

  test("of few runs are of the strictest kind as often as of all others", () => {
    const kinds = chooseCases(instants, 60, 7).map(({ profile }) => profile);
    const strict = kinds.filter((each) => each === "strict").length;
    expect(strict).toBeGreaterThan(20);
    expect(strict).toBeLessThan(40);
  });

  test("of two faults can have the second one in the boot that was to mend the first", () => {
    const random = new Random(1);
    const boots = Array.from({ length: 50 }, () => randomCase(instants, random).faults[1]?.boot);
    expect(new Set(boots)).toEqual(new Set([0, 1]));
  });

  test.each([
    "",
    "second",
    "first on=nothing",
    "first on=weak-login",
    "first agent-killed",
    "first nothing@before:step:begin:1",
    "first none@begin",
  ])("%j is none", (text) => expect(() => parseCase(text)).toThrow(RangeError));
});

test("kinds of BMCs are chosen by the seed, more of them for more runs, and in the long form all", () => {
  expect(chooseProfiles(59, 1)).toEqual(["strict"]);
  const few = chooseProfiles(200, 1);
  expect(few).toHaveLength(4);
  expect(few[0]).toBe("strict");
  expect(chooseProfiles(200, 1)).toEqual(few);
  expect(chooseProfiles(200, 2)).not.toEqual(few);
  const linked = [...everyProfile.values()].filter(({ expected }) => expected === "linked");
  // One is left out, which no number of boots makes good.
  expect(new Set(linked.map(({ name }) => name)).difference(new Set(chooseProfiles(2_500, 1))).size).toBe(1);
});

test("wrong usage is told, and a case of the command line is that case", () => {
  const quiet = (...args: string[]) => parseChaosOptions(args);
  expect(quiet()).toMatchObject({ runs: 2_500, lanes: 2, output: "table" });
  expect(quiet("--case", "known lan-cut@before:call:begin:1").only?.faults).toEqual([
    { fault: "lan-cut", at: "before:call:begin:1", boot: 0 },
  ]);
});

describe("the table", () => {
  const hit = {
    fault: "agent-killed",
    at: "before:step:begin:1",
    boot: 0,
    step: "begin",
    realMs: 0,
    virtualMs: 0,
  } as const;
  const good: Played = {
    played: { beginning: "first", profile: "strict", ownProcess: false, faults: [hit] },
    hits: [hit],
    ...{ boots: 1, realMs: 40.4, virtualMs: 900, instants: [], mostHandOffs: 2 },
  };
  const bad: Played = { ...good, violation: { kind: "lost", text: "nothing opens it" } };

  test("has one line for each fault and step, and all of them together", () => {
    const { lines, faulted, byHandOffs, byProfile, violations } = summarise([good, good, bad], 3);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      fault: "agent killed",
      step: "begin",
      runs: 3,
      held: 2,
      linkedAfterBoots: [0, 2, 0, 0],
    });
    expect(lines[0]?.realMs).toEqual({ median: 40, p99: 40 });
    expect({ faulted, byHandOffs, byProfile }).toEqual({ faulted: 3, byHandOffs: [0, 3], byProfile: { strict: 3 } });
    expect(violations).toMatchObject({ lost: 1, foreign: 0, duplicate: 0 });
  });

  test("has a line for a step that most runs do not have", () => {
    const late: Played = { ...good, hits: [{ ...hit, step: "retire former accounts" }] };
    expect(summarise([late], 3).lines.map(({ step }) => step)).toEqual(["retire former accounts", ""]);
  });

  test("tells of a failure how to see it again", () => {
    const text = summaryText(summarise([bad], 3));
    expect(text).toContain('npm run chaos -- --seed 3 --case "first agent-killed@before:step:begin:1"');
    expect(text).toContain("1 lost, 0 foreign");
  });
});
