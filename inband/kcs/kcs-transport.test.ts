import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message } from "../../ipmi/transport.ts";
import type { Clock } from "../clock.ts";
import { KcsBmc, type KcsHabits, type Phase } from "./kcs-bmc.fixture.ts";
import { KcsTransport } from "./kcs-transport.ts";

const never = new AbortController().signal;
const getDeviceId: Message = { netFn: 6, lun: 0, cmd: 1, data: new Uint8Array() };
const setName: Message = { netFn: 6, lun: 0, cmd: 0x45, data: Uint8Array.from({ length: 17 }, (_, at) => at) };

/** Answers every request by its own bytes, so that a reply for another one shows. */
const echo = (request: number[]): number[] => [(request[0] ?? 0) | 4, request[1] ?? 0, 0, ...request.slice(2)];

/** Each look at the time takes 10 ms: waits end without waiting. */
function fastClock(): Clock {
  let nowMs = 0;
  return {
    now: () => (nowMs += 10),
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      nowMs += ms;
      await setImmediate();
      signal?.throwIfAborted();
    },
  };
}

function interfaceOf(habits: Partial<KcsHabits> = {}, answer: (request: number[]) => number[] = echo) {
  const bmc = new KcsBmc(answer, habits);
  return { bmc, kcs: new KcsTransport(bmc, bmc.address, fastClock()) };
}

async function failureOf(work: Promise<unknown>): Promise<TransportError> {
  const error: unknown = await work.catch((each: unknown) => each);
  expect(error).toBeInstanceOf(TransportError);
  return error as TransportError;
}

/** True for the first `times` questions about one phase. */
function first(times: number, wanted: Phase): (phase: Phase) => boolean {
  let left = times;
  return (phase) => phase === wanted && left-- > 0;
}

describe("a healthy BMC", () => {
  test("requests and replies byte by byte, also without data", async () => {
    const { bmc, kcs } = interfaceOf();
    expect(await kcs.exchange(getDeviceId, never)).toEqual({ completionCode: 0, data: new Uint8Array() });
    expect(await kcs.exchange(setName, never)).toEqual({ completionCode: 0, data: setName.data });
    expect(bmc.requests).toEqual([
      [0x18, 1],
      [0x18, 0x45, ...setName.data],
    ]);
    expect([bmc.aborts, bmc.isIdle, kcs.name]).toEqual([0, true, "kcs:0xca2"]);
  });

  test("registers four bytes apart, LUN 2, a completion code", async () => {
    const bmc = new KcsBmc(() => [0x1e, 1, 0xc1], {}, { port: 0xe4, spacing: 4 });
    const kcs = new KcsTransport(bmc, bmc.address, fastClock());
    expect(await kcs.exchange({ ...getDeviceId, lun: 2 }, never)).toEqual({
      completionCode: 0xc1,
      data: new Uint8Array(),
    });
    expect(bmc.requests).toEqual([[0x1a, 1]]);
  });

  test("one that never gives the dummy byte", async () => {
    const { bmc, kcs } = interfaceOf({ dummyByte: false });
    for (let times = 0; times < 3; times += 1) expect((await kcs.exchange(setName, never)).data).toEqual(setName.data);
    expect(bmc.aborts).toBe(0);
  });

  test.each([true, false])("one that takes the last READ before it becomes idle; dummy byte: %s", async (dummyByte) => {
    const { bmc, kcs } = interfaceOf({ lateIdle: true, dummyByte });
    for (let times = 0; times < 3; times += 1) expect((await kcs.exchange(setName, never)).data).toEqual(setName.data);
    expect(bmc.aborts).toBe(0);
  });

  test("a slow one: everything else gets its turn while it is waited for", async () => {
    const { kcs } = interfaceOf({ replyDelay: () => 5_000 });
    let turns = 0;
    let over = false;
    const others = (async () => {
      for (; !over; turns += 1) await setImmediate();
    })();
    expect((await kcs.exchange(getDeviceId, never)).completionCode).toBe(0);
    over = true;
    await others;
    expect(turns).toBeGreaterThan(100);
  });

  test("a long exchange without any waiting gives turns too", async () => {
    const { kcs } = interfaceOf();
    let turns = 0;
    let over = false;
    const others = (async () => {
      for (; !over; turns += 1) await setImmediate();
    })();
    const data = Uint8Array.from({ length: 250 }, (_, at) => at);
    expect((await kcs.exchange({ ...setName, data }, never)).data).toEqual(data);
    over = true;
    await others;
    expect(turns).toBeGreaterThan(10);
  });

  test("with any delays the reply is right", async () => {
    const delay = fc.integer({ min: 0, max: 40 });
    const script = fc.record({
      delays: fc.array(delay, { minLength: 1, maxLength: 20 }),
      replyDelay: fc.integer({ min: 0, max: 2_000 }),
      data: fc.uint8Array({ maxLength: 60 }),
      dummyByte: fc.boolean(),
      waitsBy: fc.constantFrom("IBF", "WRITE", "READ"),
    });
    await fc.assert(
      fc.asyncProperty(script, async ({ delays, replyDelay, data, dummyByte, waitsBy }) => {
        let at = 0;
        const next = (): number => delays[at++ % delays.length] ?? 0;
        const { bmc, kcs } = interfaceOf({ delay: next, replyDelay: () => replyDelay, dummyByte, waitsBy });
        for (let times = 0; times < 2; times += 1) {
          expect(await kcs.exchange({ ...setName, data }, never)).toEqual({ completionCode: 0, data });
        }
        expect(bmc.requests).toHaveLength(2);
        expect(bmc.aborts).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe("the BMC says ERROR", () => {
  test.each(["start", "byte", "end"] as const)("in phase %s, once: begun anew, executed once", async (phase) => {
    const { bmc, kcs } = interfaceOf({ fails: first(1, phase) });
    expect((await kcs.exchange(setName, never)).data).toEqual(setName.data);
    expect([bmc.requests.length, bmc.aborts]).toEqual([1, 1]);
  });

  test.each(["start", "byte", "end"] as const)("in phase %s, always: not sent, after three attempts", async (phase) => {
    const { bmc, kcs } = interfaceOf({ fails: (each) => each === phase, errorStatus: 6 });
    const error = await failureOf(kcs.exchange(setName, never));
    expect(error.sent).toBe("no");
    expect(error.message).toMatch(/^kcs:0xca2: the BMC refused .* \(status C.h: state ERROR.*06h \(length error\)$/);
    expect([bmc.requests.length, bmc.aborts, bmc.isIdle]).toEqual([0, 3, true]);
  });

  test.each(["last", "reply"] as const)(
    "in phase %s: it may have been executed, so it is not sent again",
    async (phase) => {
      const { bmc, kcs } = interfaceOf({ fails: first(1, phase), errorStatus: 0xff });
      const error = await failureOf(kcs.exchange(setName, never));
      expect(error.sent).toBe("unknown");
      expect(error.message).toContain("FFh (unspecified error)");
      expect(bmc.requests.length).toBeLessThanOrEqual(1);
      expect((await kcs.exchange(getDeviceId, never)).completionCode).toBe(0);
    },
  );

  test("and refuses every abort: told, and not for ever", async () => {
    const { bmc, kcs } = interfaceOf({ fails: (phase) => phase === "byte" || phase === "abort" });
    const error = await failureOf(kcs.exchange(setName, never));
    expect(error.sent).toBe("no");
    expect(error.message).toContain("3 aborts failed");
    expect(bmc.aborts).toBe(3);
  });
});

describe("the BMC hangs", () => {
  test.each(["start", "byte", "end"] as const)("with IBF set in phase %s: not sent", async (phase) => {
    const { bmc, kcs } = interfaceOf({ hangs: (each) => each === phase });
    const error = await failureOf(kcs.exchange(setName, never));
    expect(error).toMatchObject({ sent: "no" });
    expect(error.message).toMatch(/the BMC did not take .* within \d+ ms \(status .*IBF\)/);
    bmc.habits.hangs = () => false;
    expect((await kcs.exchange(setName, never)).data).toEqual(setName.data);
  });

  test("with the last byte or every abort untaken: unknown, within the limit", async () => {
    const { kcs } = interfaceOf({ hangs: (phase) => phase === "last" || phase === "abort" });
    const error = await failureOf(kcs.exchange(setName, never));
    expect(error.sent).toBe("unknown");
    expect(error.message).toMatch(/did not answer within (29|30)\d{3} ms.*3 aborts failed/);
  });

  test("with OBF away: unknown, and the next request works once it recovers", async () => {
    const { bmc, kcs } = interfaceOf({ givesNothing: true });
    expect((await failureOf(kcs.exchange(setName, never))).sent).toBe("unknown");
    bmc.habits.givesNothing = false;
    expect((await kcs.exchange(getDeviceId, never)).completionCode).toBe(0);
  });

  test("nobody there (FFh): said so, not sent, no abort", async () => {
    const { bmc, kcs } = interfaceOf({ absent: true });
    const error = await failureOf(kcs.exchange(getDeviceId, never));
    expect(error.sent).toBe("no");
    expect(error.message).toContain("status FFh: nobody answers there");
    expect(bmc.aborts).toBe(0);
  });

  test("it goes away while it is asked", async () => {
    const { bmc, kcs } = interfaceOf({ replyDelay: () => Number.POSITIVE_INFINITY });
    setTimeout(() => {
      bmc.habits.absent = true;
    }, 1);
    const error = await failureOf(kcs.exchange(getDeviceId, never));
    expect([error.sent, error.message.includes("nobody answers")]).toEqual(["unknown", true]);
  });
});

describe("replies that are none", () => {
  test("too long: cut off by an abort", async () => {
    const { bmc, kcs } = interfaceOf({}, () => new Array<number>(300).fill(7));
    const error = await failureOf(kcs.exchange(getDeviceId, never));
    expect(error).toMatchObject({ sent: "unknown" });
    expect(error.message).toContain("longer than 272 bytes");
    expect([bmc.aborts, bmc.isIdle]).toEqual([1, true]);
  });

  test.each([[[]], [[0x1c]], [[0x1c, 1]]])("too short: %j", async (reply) => {
    const { kcs } = interfaceOf({}, () => [...reply]);
    expect((await failureOf(kcs.exchange(getDeviceId, never))).message).toContain("3 are the fewest");
  });

  test.each([
    ["another network function", [0x24, 1, 0]],
    ["another command", [0x1c, 2, 0]],
    ["a request", [0x18, 1, 0]],
  ])("for %s", async (_, reply) => {
    const { kcs } = interfaceOf({}, () => [...reply]);
    const error = await failureOf(kcs.exchange(getDeviceId, never));
    expect(error).toMatchObject({ sent: "unknown" });
    expect(error.message).toContain("another command");
  });
});

describe("ended by the caller", () => {
  test("the late reply does not answer the next request, not even the same command", async () => {
    let answers = 0;
    const { bmc, kcs } = interfaceOf({ replyDelay: () => Number.POSITIVE_INFINITY }, ([, cmd]) => {
      answers += 1;
      return [0x1c, cmd ?? 0, 0, answers];
    });
    const end = new AbortController();
    setTimeout(() => end.abort(new Error("enough")), 1);
    const error = await failureOf(kcs.exchange(getDeviceId, end.signal));
    expect(error).toMatchObject({ sent: "unknown", cause: new Error("enough") });
    expect(bmc.aborts).toBe(0);

    bmc.habits.replyDelay = () => 0;
    bmc.hurry();
    // The second answer is to the question that goes ahead.
    expect((await kcs.exchange(getDeviceId, never)).data).toEqual(Uint8Array.of(3));
    expect(bmc.requests.map(([, cmd]) => cmd)).toEqual([1, 4, 1]);
    expect(bmc.aborts).toBe(0);
  });

  test("the reply to an aborted request, given to a later one, answers neither the same command nor another", async () => {
    const getName = (id: number): Message => ({ netFn: 6, lun: 0, cmd: 0x46, data: Uint8Array.of(id) });
    const keeping = { keepsAborted: true, replyDelay: () => Number.POSITIVE_INFINITY };
    const { bmc, kcs } = interfaceOf(keeping, ([, cmd = 0, id = 0]) => [0x1c, cmd, 0, id]);
    expect(await failureOf(kcs.exchange(getName(3), never))).toMatchObject({ sent: "unknown" });
    bmc.habits.replyDelay = () => 0;
    expect((await kcs.exchange(getName(4), never)).data[0]).toBe(4);
    expect(bmc.aborts).toBe(1);
    // The first question got the reply to the aborted request.
    expect(bmc.requests.map(([, cmd]) => cmd)).toEqual([0x46, 1, 4, 0x46]);
    expect((await kcs.exchange(getName(5), never)).data[0]).toBe(5);
  });

  test("a BMC that stays one reply behind is not believed: nothing more is sent", async () => {
    let before = [0x1c, 0x46, 0];
    const { bmc, kcs } = interfaceOf({}, (request) => {
      const reply = before;
      before = echo(request);
      return reply;
    });
    await failureOf(kcs.exchange(setName, never));
    const error = await failureOf(kcs.exchange(setName, never));
    expect(error).toMatchObject({ sent: "no" });
    expect(error.message).toContain("belong to other requests");
    expect(bmc.requests.filter(([, cmd]) => cmd === 0x45)).toHaveLength(1);
  });

  test("a reply that never comes is aborted before the next request", async () => {
    const { bmc, kcs } = interfaceOf({ replyDelay: () => Number.POSITIVE_INFINITY });
    const end = new AbortController();
    setTimeout(() => end.abort(new Error("enough")), 1);
    await failureOf(kcs.exchange(getDeviceId, end.signal));
    bmc.habits.replyDelay = () => 0;
    expect((await kcs.exchange(setName, never)).data).toEqual(setName.data);
    expect(bmc.aborts).toBe(1);
  });

  test("in the middle of a request: not sent, and the next one begins anew", async () => {
    const { bmc, kcs } = interfaceOf({ hangs: (phase) => phase === "byte" });
    const end = new AbortController();
    setTimeout(() => end.abort(new Error("enough")), 1);
    expect(await failureOf(kcs.exchange(setName, end.signal))).toMatchObject({ sent: "no" });
    bmc.habits.hangs = () => false;
    expect((await kcs.exchange(getDeviceId, never)).completionCode).toBe(0);
    expect(bmc.requests).toEqual([[0x18, 1]]);
  });

  test("before it began: no port is touched", async () => {
    const { bmc, kcs } = interfaceOf();
    const reads: number[] = [];
    bmc.read = (port) => reads.push(port);
    expect(await failureOf(kcs.exchange(getDeviceId, AbortSignal.abort()))).toMatchObject({ sent: "no" });
    expect(reads).toEqual([]);
  });
});

test("whatever failed or was ended: executed once at most, and right again when the BMC is", async () => {
  const phase = fc.constantFrom<Phase>("start", "byte", "end", "last", "reply", "abort");
  const script = fc.record({
    fails: fc.subarray<Phase>(["start", "byte", "end", "last", "reply", "abort"]),
    hangs: fc.option(phase),
    replyDelay: fc.constantFrom(0, 300, Number.POSITIVE_INFINITY),
    waitsBy: fc.constantFrom("IBF", "WRITE", "READ"),
    endsAfterPauses: fc.option(fc.integer({ min: 0, max: 150 })),
  });
  await fc.assert(
    fc.asyncProperty(script, async ({ fails, hangs, replyDelay, waitsBy, endsAfterPauses }) => {
      const { bmc, kcs } = interfaceOf({
        fails: (each) => fails.includes(each),
        hangs: (each) => each === hangs,
        replyDelay: () => replyDelay,
        waitsBy,
      });
      const end = new AbortController();
      let pauses = 0;
      const over = new AbortController();
      const ender = (async () => {
        for (; !over.signal.aborted && pauses !== endsAfterPauses; pauses += 1) await setImmediate();
        end.abort(new Error("enough"));
      })();
      const first = await kcs.exchange(setName, end.signal).catch((error: unknown) => error);
      over.abort();
      await ender;
      if (first instanceof Error) expect(first).toBeInstanceOf(TransportError);
      else expect(first).toEqual({ completionCode: 0, data: setName.data });
      const executed = bmc.requests.length;
      expect(executed).toBeLessThanOrEqual(1);
      if (first instanceof TransportError && first.sent === "no") expect(executed).toBe(0);

      Object.assign(bmc.habits, { fails: () => false, hangs: () => false, replyDelay: () => 0 });
      bmc.hurry();
      expect(await kcs.exchange(getDeviceId, never)).toEqual({ completionCode: 0, data: new Uint8Array() });
      const goesAhead = first instanceof TransportError && first.sent === "unknown" ? [[0x18, 1]] : [];
      expect(bmc.requests.slice(executed)).toEqual([...goesAhead, [0x18, 1]]);
    }),
    { numRuns: 100 },
  );
});

describe("the ways of a transport", () => {
  test("one at a time, none after the end, none that is too long", async () => {
    const { bmc, kcs } = interfaceOf({ replyDelay: () => 100 });
    const exchange = kcs.exchange(getDeviceId, never);
    await expect(kcs.exchange(getDeviceId, never)).rejects.toThrow("another exchange is under way");
    await exchange;
    await expect(kcs.exchange({ ...setName, data: new Uint8Array(271) }, never)).rejects.toThrow("more than 270");
    await kcs[Symbol.asyncDispose]();
    await kcs[Symbol.asyncDispose]();
    expect(bmc.closed).toBe(1);
    await expect(kcs.exchange(getDeviceId, never)).rejects.toMatchObject({
      sent: "no",
      message: "kcs:0xca2: it is closed",
    });
  });

  test("an error of the ports is told", async () => {
    const { bmc, kcs } = interfaceOf();
    bmc.write = () => {
      throw new Error("/dev/port: EIO");
    };
    const error = await failureOf(kcs.exchange(getDeviceId, never));
    expect([error.sent, error.message]).toEqual(["no", "kcs:0xca2: /dev/port: EIO"]);
  });
});
