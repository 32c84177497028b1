import { describe, expect, test } from "vitest";
import { Random } from "../fuzz/random.ts";
import { chooseCases, type Instants, randomCase, systematicCases } from "./cases.ts";
import { caseText, faultNames, parseCase } from "./fault.ts";
import { parseChaosOptions } from "./options.ts";
import type { Played } from "./play.ts";
import { summarise, summaryText } from "./report.ts";

const instants: Instants = {
  first: ["before:step:begin:1", "after:write:set-user-name:1"],
  rotation: ["before:call:begin:1"],
  known: ["after:event:handedoff:1"],
  orphan: ["before:step:hand-off:1"],
  orphans: ["after:write:set-user-access:2"],
  rotated: ["before:step:retire-former-accounts:1"],
};

describe("cases", () => {
  test("every fault comes at every instant of each beginning", () => {
    expect(systematicCases(instants)).toHaveLength(7 * (faultNames.length - 1));
    const texts = new Set(systematicCases(instants).map(caseText));
    expect(texts.size).toBe(7 * (faultNames.length - 1));
    expect(texts).toContain("first bmc-reset-lost@after:write:set-user-name:1");
  });

  test("are the same for the same seed, and read back as they are written", () => {
    const chosen = chooseCases(instants, 200, 7);
    expect(chosen).toHaveLength(200);
    expect(chooseCases(instants, 200, 7)).toEqual(chosen);
    expect(chooseCases(instants, 200, 8)).not.toEqual(chosen);
    for (const each of chosen) expect(parseCase(caseText(each))).toEqual(each);
    // All systematic ones are there when there is room, and random ones besides.
    const texts = new Set(chosen.map(caseText));
    const missing = systematicCases(instants).filter((each) => !texts.has(caseText(each)));
    expect(missing.length).toBeLessThanOrEqual(4);
    expect(chosen.filter(({ ownProcess }) => ownProcess)).toHaveLength(4);
    expect(chosen.filter(({ faults }) => faults.length > 1)).not.toEqual([]);
  });

  test("of two faults can have the second one in the boot that was to mend the first", () => {
    const random = new Random(1);
    const boots = Array.from({ length: 50 }, () => randomCase(instants, random).faults[1]?.boot);
    expect(new Set(boots)).toEqual(new Set([0, 1]));
  });

  test.each(["", "second", "first agent-killed", "first nothing@before:step:begin:1", "first none@begin"])(
    "%j is none",
    (text) => expect(() => parseCase(text)).toThrow(RangeError),
  );
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
    played: { beginning: "first", ownProcess: false, faults: [hit] },
    hits: [hit],
    ...{ boots: 1, realMs: 40.4, virtualMs: 900, instants: [], mostHandOffs: 2 },
  };
  const bad: Played = { ...good, violation: { kind: "lost", text: "nothing opens it" } };

  test("has one line for each fault and step, and all of them together", () => {
    const { lines, faulted, byHandOffs, violations } = summarise([good, good, bad], 3);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      fault: "agent killed",
      step: "begin",
      runs: 3,
      held: 2,
      linkedAfterBoots: [0, 2, 0, 0],
    });
    expect(lines[0]?.realMs).toEqual({ median: 40, p99: 40 });
    expect({ faulted, byHandOffs }).toEqual({ faulted: 3, byHandOffs: [0, 3] });
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
