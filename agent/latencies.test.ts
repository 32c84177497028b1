import { expect, test } from "vitest";
import { countingTransport } from "./counting-transport.ts";
import { Histogram, latenciesText } from "./latencies.ts";

test("each command is counted in its range, bounds included", () => {
  const histogram = new Histogram();
  for (const ms of [0, 1, 1.1, 2, 50, 5_000, 5_000.1, 61_000]) histogram.add(ms);
  const { buckets, longestMs } = histogram.latencies;
  expect(buckets.filter(({ count }) => count > 0)).toEqual([
    { upToMs: 1, count: 2 },
    { upToMs: 2, count: 2 },
    { upToMs: 50, count: 1 },
    { upToMs: 5_000, count: 1 },
    { upToMs: 0, count: 2 },
  ]);
  expect(buckets.map(({ upToMs }) => upToMs)).toEqual([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 0]);
  expect(longestMs).toBe(61_000);
  expect(latenciesText(histogram.latencies)).toBe(
    "2 up to 1 ms, 2 up to 2 ms, 1 up to 50 ms, 1 up to 5000 ms, 2 over 5000 ms; longest 61000 ms",
  );
});

test("the transport measures each exchange, one without an answer too", async () => {
  let nowMs = 0;
  const clock = { now: () => nowMs, sleep: async () => undefined };
  const takesMs = [3, 700];
  const inner = {
    name: "slow",
    maxRequestBytes: 270,
    async exchange() {
      const ms = takesMs.shift();
      nowMs += ms ?? 90;
      if (ms === undefined) throw new Error("no answer");
      return { completionCode: 0, data: new Uint8Array() };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const transport = countingTransport(inner, clock);
  const message = { netFn: 6, lun: 0, cmd: 1, data: new Uint8Array() };
  const { signal } = new AbortController();
  await transport.exchange(message, signal);
  await transport.exchange(message, signal);
  await expect(transport.exchange(message, signal)).rejects.toThrow("no answer");
  expect(transport.count).toEqual({ commands: 3, waitedMs: 793 });
  expect(transport.latencies.buckets.filter(({ count }) => count > 0)).toEqual([
    { upToMs: 5, count: 1 },
    { upToMs: 100, count: 1 },
    { upToMs: 1_000, count: 1 },
  ]);
  expect(transport.latencies.longestMs).toBe(700);
});
