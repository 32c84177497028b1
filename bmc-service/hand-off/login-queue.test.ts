import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LoginQueue } from "./login-queue.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

const never = new AbortController().signal;

/** Asks for a place, and keeps it until it is told to leave. */
function visitor(queue: LoginQueue, lane: string, signal = never) {
  const left = Promise.withResolvers<void>();
  const visit = { isIn: false, told: [] as number[], leave: left.resolve, done: Promise.resolve() };
  visit.done = queue.run(
    lane,
    signal,
    (ahead) => void visit.told.push(ahead),
    () => {
      visit.isIn = true;
      return left.promise;
    },
  );
  visit.done.catch(() => undefined);
  return visit;
}

const visitors = (queue: LoginQueue, lane: string, count: number) =>
  Array.from({ length: count }, () => visitor(queue, lane));

test("one lane does not get all places, however many wait in it", async () => {
  const queue = new LoginQueue(4);
  const flood = visitors(queue, "stranger", 50);
  expect(flood.filter(({ isIn }) => isIn)).toHaveLength(3);
  expect(visitor(queue, "machine").isIn).toBe(true);
  expect([queue.running, queue.waiting]).toEqual([4, 47]);
  flood[0]?.leave();
  await turn();
  expect(flood.filter(({ isIn }) => isIn)).toHaveLength(4);
  expect([queue.running, queue.waiting]).toEqual([4, 46]);
});

test("a free place goes to the lane that has the fewest, and within it to whoever came first", async () => {
  const queue = new LoginQueue(4);
  const [first] = visitors(queue, "a", 10);
  const [, ...others] = visitors(queue, "b", 3);
  first?.leave();
  await turn();
  expect(others.map(({ isIn }) => isIn)).toEqual([true, false]);
});

test("a place that its lane may not have stays free for others, until the lane may", async () => {
  const queue = new LoginQueue(4);
  const flood = visitors(queue, "a", 5);
  const other = visitor(queue, "b");
  other.leave();
  await turn();
  expect([queue.running, queue.waiting]).toEqual([3, 2]);
  for (const each of flood) each.leave();
  await Promise.all(flood.map(({ done }) => done));
  expect([queue.running, queue.waiting]).toEqual([0, 0]);
});

test("who waits is told at once, and then once in a while of where it is by now", async () => {
  const queue = new LoginQueue(1, 1_000);
  const all = visitors(queue, "a", 100);
  expect(all.map(({ told }) => told[0])).toEqual([undefined, ...Array.from({ length: 99 }, (_, i) => i + 1)]);
  for (const each of all.slice(0, 50)) {
    each.leave();
    await each.done;
  }
  expect(all[99]?.told).toEqual([99]);
  vi.advanceTimersByTime(1_000);
  expect(all[99]?.told).toEqual([99, 49]);
  vi.advanceTimersByTime(10_000);
  expect(all[99]?.told).toEqual([99, 49]);
  for (const each of all) each.leave();
  await all[99]?.done;
  expect(vi.getTimerCount()).toBe(0);
});

test("who does not wait any more is forgotten, and takes no place", async () => {
  const queue = new LoginQueue(1);
  const [running] = visitors(queue, "a", 1);
  const gone = new AbortController();
  const [impatient, patient] = [visitor(queue, "a", gone.signal), visitor(queue, "a")];
  gone.abort(new Error("gone"));
  await expect(impatient.done).rejects.toThrow("gone");
  expect(queue.waiting).toBe(1);
  running?.leave();
  await turn();
  expect([impatient.isIn, patient.isIn, queue.waiting]).toEqual([false, true, 0]);
});
