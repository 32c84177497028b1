import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { withRejoin, withRetry } from "./retry.ts";
import { ServiceError } from "./service-error.ts";

const forever = new AbortController().signal;
const gone = () => new ServiceError("unavailable", "nobody there");

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function outcome<T>(work: Promise<T>): Promise<{ value: T } | { error: unknown }> {
  const settled = work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  await vi.runAllTimersAsync();
  return settled;
}

describe("withRetry", () => {
  test("tries again while the service is unavailable, and says so before each wait", async () => {
    const said: [number, number, string][] = [];
    let calls = 0;
    const work = async () => {
      calls += 1;
      if (calls < 4) throw gone();
      return "there";
    };
    const onRetry = (attempt: number, waitMs: number, error: ServiceError) => {
      said.push([attempt, waitMs, error.message]);
    };
    expect(await outcome(withRetry(work, { limitMs: 60_000, firstWaitMs: 100, signal: forever, onRetry }))).toEqual({
      value: "there",
    });
    expect(said.map(([attempt]) => attempt)).toEqual([1, 2, 3]);
    for (const [attempt, waitMs, message] of said) {
      expect(waitMs).toBeGreaterThanOrEqual(100 * 2 ** (attempt - 1));
      expect(waitMs).toBeLessThanOrEqual(200 * 2 ** (attempt - 1));
      expect(message).toBe("nobody there");
    }
  });

  test("waits differently each time", async () => {
    const waits = new Set<number>();
    const options = {
      limitMs: 10_000,
      firstWaitMs: 1_000,
      signal: forever,
      onRetry: (attempt: number, waitMs: number) => attempt === 1 && waits.add(waitMs),
    };
    for (let i = 0; i < 10; i += 1) await outcome(withRetry(async () => Promise.reject(gone()), options));
    expect(waits.size).toBeGreaterThan(1);
  });

  test("never waits longer than maxWaitMs", async () => {
    const waits: number[] = [];
    const onRetry = (_attempt: number, waitMs: number) => waits.push(waitMs);
    const options = { limitMs: 60_000, firstWaitMs: 100, maxWaitMs: 1_000, signal: forever, onRetry };
    await outcome(withRetry(async () => Promise.reject(gone()), options));
    expect(waits.length).toBeGreaterThan(10);
    expect(Math.max(...waits)).toBe(1_000);
  });

  test.each(["refused", "invalid", "deadline", "configuration"] as const)("%s is not tried again", async (status) => {
    const work = vi.fn(async () => Promise.reject(new ServiceError(status, "no")));
    expect(await outcome(withRetry(work, { limitMs: 60_000, signal: forever }))).toMatchObject({ error: { status } });
    expect(work).toHaveBeenCalledTimes(1);
  });

  test("what is named besides is tried again too, and told when the limit is over", async () => {
    const work = vi.fn(async () => Promise.reject(new ServiceError("conflict", "busy")));
    const options = { limitMs: 60_000, alsoOn: ["conflict"], signal: forever } as const;
    const message = expect.stringMatching(/^busy; gave up after \d+ attempts/);
    expect(await outcome(withRetry(work, options))).toMatchObject({ error: { status: "conflict", message } });
    expect(work.mock.calls.length).toBeGreaterThan(5);
  });

  test("a bug is not tried again", async () => {
    const work = vi.fn(async () => Promise.reject(new TypeError("bug")));
    expect(await outcome(withRetry(work, { limitMs: 60_000, signal: forever }))).toEqual({
      error: new TypeError("bug"),
    });
    expect(work).toHaveBeenCalledTimes(1);
  });

  test("gives up at the limit, an attempt that hangs included, and says how often it tried", async () => {
    let calls = 0;
    const work = (signal: AbortSignal) => {
      calls += 1;
      if (calls === 1) return Promise.reject(gone());
      return new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const startedAt = Date.now();
    expect(await outcome(withRetry(work, { limitMs: 5_000, firstWaitMs: 100, signal: forever }))).toMatchObject({
      error: { status: "unavailable", message: "nobody there; gave up after 2 attempts in 5 s" },
    });
    expect(Date.now() - startedAt).toBe(5_000);
  });

  test("the caller's signal ends a wait with the caller's reason", async () => {
    const stop = new AbortController();
    const onRetry = () => setTimeout(() => stop.abort(new Error("enough")), 10);
    const work = async () => Promise.reject(gone());
    const startedAt = Date.now();
    expect(
      await outcome(withRetry(work, { limitMs: 60_000, firstWaitMs: 5_000, signal: stop.signal, onRetry })),
    ).toEqual({ error: new Error("enough") });
    expect(Date.now() - startedAt).toBe(10);
  });
});

describe("withRejoin", () => {
  async function read<T>(stream: AsyncIterable<T>, into: T[]): Promise<void> {
    for await (const item of stream) into.push(item);
  }

  test("joins again after each break and passes on what comes", async () => {
    const breaks: number[] = [];
    let joins = 0;
    async function* join() {
      joins += 1;
      if (joins === 2) throw gone();
      yield joins;
      if (joins < 4) throw gone();
    }
    const seen: number[] = [];
    const stream = withRejoin(join, {
      limitMs: 60_000,
      firstWaitMs: 100,
      signal: forever,
      onRetry: (attempt) => breaks.push(attempt),
    });
    expect(await outcome(read(stream, seen))).toEqual({ value: undefined });
    expect(seen).toEqual([1, 3, 4]);
    expect(breaks).toEqual([1, 2, 1]);
  });

  test("a stream that is silent for longer than the limit goes on", async () => {
    async function* join() {
      yield 1;
      await new Promise((resolve) => setTimeout(resolve, 3_600_000));
      yield 2;
    }
    const seen: number[] = [];
    expect(await outcome(read(withRejoin(join, { limitMs: 1_000, signal: forever }), seen))).toEqual({
      value: undefined,
    });
    expect(seen).toEqual([1, 2]);
  });

  test("a refusal ends it", async () => {
    async function* join() {
      yield 1;
      throw new ServiceError("refused", "no");
    }
    expect(await outcome(read(withRejoin(join, { limitMs: 1_000, signal: forever }), []))).toMatchObject({
      error: { status: "refused" },
    });
  });

  test("the stream is closed when the reader goes", async () => {
    let closed = false;
    async function* join() {
      try {
        yield 1;
        yield 2;
      } finally {
        closed = true;
      }
    }
    for await (const _ of withRejoin(join, { limitMs: 1_000, signal: forever })) break;
    expect(closed).toBe(true);
  });
});
