import { expect, test } from "vitest";
import { type MeasuredRoad, medians } from "./measure.ts";
import { bootReport, bootTargets, memoryReport, ownPart } from "./report.ts";
import type { Timeline } from "./timeline.ts";

const road = (name: string, median: Timeline, more: Partial<MeasuredRoad> = {}): MeasuredRoad => ({
  ...{ name, title: name, agent: true, memoryMib: 384, runs: [median], median },
  ...more,
});
const kernel = road("kernel", { init: 3_000, "first line": 3_400, network: 4_000, "BMC read": 5_000, linked: 6_500 });
const stick = road("stick", { "first line": 9_000, linked: 12_000 });

test("each mark has a median of its own, and none where it was never seen", () => {
  const runs = [{ init: 1, linked: 9 }, { init: 3, linked: 7 }, { init: 2 }];
  expect(medians(runs)).toEqual({ init: 2, linked: 8 });
});

test("our part begins with /init, or as long before the first line as elsewhere", () => {
  expect(ownPart(kernel, undefined)).toBe(3_500);
  expect(ownPart(stick, kernel)).toBe(3_400);
  expect(ownPart(stick, undefined)).toBeUndefined();
  expect(ownPart(road("empty", { init: 1, "first line": 2 }), kernel)).toBeUndefined();
});

test("a road that is too slow, an image that is too large and a road that was not linked miss their targets", () => {
  const good = { roads: [kernel, stick], timesPerRoad: 1, stickBytes: 63e6 };
  expect(bootTargets(good).map(({ reached }) => reached)).toEqual([true, true, true]);
  const slow = road("slow", { init: 0, linked: 4_000 });
  const bad = { roads: [kernel, slow, road("lost", { init: 0 })], timesPerRoad: 1, stickBytes: 64e6 };
  expect(bootTargets(bad).map(({ reached }) => reached)).toEqual([false, false, false]);
});

test("a road that failed is told of, and misses its targets although an earlier boot of it went well", () => {
  const failed = road("uefi", { init: 0, linked: 3_000 }, { failure: "the machine went off" });
  const figures = { roads: [kernel, failed], timesPerRoad: 5, stickBytes: 63e6 };
  expect(bootTargets(figures).map(({ reached }) => reached)).toEqual([false, true, false]);
  expect(bootTargets(figures)[2]?.measured).toBe("kernel");
  expect(bootReport(figures)).toContain("uefi failed: the machine went off");
});

test("what was not measured has not reached its target", () => {
  const targets = bootTargets({ roads: [stick], timesPerRoad: 1, stickBytes: 63e6 });
  expect(targets[0]).toMatchObject({ measured: "not measured", reached: false });
});

test("what is not ours has no part of ours in the report", () => {
  const script = road("script", { init: 2_000, linked: 9_000 }, { agent: false });
  const text = bootReport({ roads: [kernel, script], timesPerRoad: 5, stickBytes: 63e6 });
  expect(text).toMatch(/^kernel +384 MB +3\.00 s +3\.40 s +4\.00 s +5\.00 s +6\.50 s +3\.50 s/m);
  expect(text).toMatch(/^script +384 MB +2\.00 s +- +- +- +9\.00 s +-/m);
  expect(text).toContain("medians of 5");
});

test("the least memory of each road is told, and of which none was enough", () => {
  const roads = [
    { name: "kernel", title: "kernel and ramdisk", leastMib: 320 },
    { name: "uefi", title: "by UEFI", leastMib: undefined },
  ];
  const text = memoryReport(roads, [384, 320, 288]);
  expect(text).toContain("tried: 384, 320, 288 MiB");
  expect(text).toMatch(/^kernel and ramdisk +320 MiB *$/m);
  expect(text).toMatch(/^by UEFI +- *$/m);
});
