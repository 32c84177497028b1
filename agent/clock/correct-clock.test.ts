import { expect, test } from "vitest";
import { type ClockFault, ServiceError } from "../../outband-client/service/service-error.ts";
import { retryWithCorrectClock, type TimeSource } from "./correct-clock.ts";
import { timeSources } from "./time-sources.ts";

const forever = new AbortController().signal;
const validFrom = new Date("2026-01-01T00:00:00Z");
const validTo = new Date("2027-01-01T00:00:00Z");
const inside = new Date("2026-06-01T00:00:00Z");

/** A machine whose clock is wrong, in front of a service that looks at the clock. */
function machine(clock: Date, sources: readonly TimeSource[]) {
  const said: string[] = [];
  const calls: string[] = [];
  let now = clock;
  const call = async (): Promise<string> => {
    calls.push(now.toISOString());
    if (now < validFrom) throw fault("not yet valid");
    if (now > validTo) throw fault("expired");
    return "begun";
  };
  const world = {
    sources,
    now: () => now,
    set: (time: Date) => {
      now = time;
    },
    note: (t: string) => void said.push(t),
    whose: "The service's",
  };
  return {
    said,
    calls,
    begin: () => call().catch((failed) => retryWithCorrectClock(failed, call, world, forever)),
  };
}

function fault(kind: ClockFault["kind"]): ServiceError {
  return new ServiceError("refused", kind, { clockFault: { kind, validFrom, validTo } });
}

const says = (name: string, time: Date): TimeSource => ({ name, now: async () => time });
const fails: TimeSource = {
  name: "the silent one",
  now: async () => {
    throw new Error("no answer");
  },
};

test.each([
  ["behind", new Date("2001-01-01T00:00:00Z"), "not yet valid"],
  ["ahead", new Date("2099-01-01T00:00:00Z"), "expired"],
])("a clock that is %s is set once, and said", async (_name, clock, kind) => {
  const one = machine(clock, [says("A", inside), says("B", inside)]);
  expect(await one.begin()).toBe("begun");
  expect(one.calls).toEqual([clock.toISOString(), inside.toISOString()]);
  expect(one.said).toEqual([
    `The service's certificate is ${kind} by the clock: clock set from ${clock.toISOString()} to 2026-06-01T00:00:00.000Z, by A`,
  ]);
});

test("a source that is silent, or whose time would not help, is passed by without touching the clock", async () => {
  const clock = new Date("2001-01-01T00:00:00Z");
  const one = machine(clock, [fails, says("B", new Date("1999-01-01T00:00:00Z")), says("C", inside)]);
  expect(await one.begin()).toBe("begun");
  expect(one.calls).toHaveLength(2);
  expect(one.said).toEqual([
    "The clock is not set by the silent one: no answer",
    "B says 1999-01-01T00:00:00.000Z; the certificate is valid from 2026-01-01T00:00:00.000Z to 2027-01-01T00:00:00.000Z: clock not set",
    expect.stringContaining("by C"),
  ]);
});

test("without any help the first failure is told, after one call", async () => {
  const one = machine(new Date("2001-01-01T00:00:00Z"), [fails]);
  await expect(one.begin()).rejects.toThrow("not yet valid");
  expect(one.calls).toHaveLength(1);
});

test("a clock that may not be set is told, and the failure stays", async () => {
  const said: string[] = [];
  const world = {
    sources: [says("A", inside)],
    now: () => new Date(0),
    set: () => {
      throw new Error("clock_settime: EPERM");
    },
    note: (text: string) => void said.push(text),
    whose: "The service's",
  };
  const again = () => Promise.reject(new Error("called again"));
  await expect(retryWithCorrectClock(fault("not yet valid"), again, world, forever)).rejects.toThrow("not yet valid");
  expect(said).toEqual(["The clock is not set by A: clock_settime: EPERM"]);
});

test("a failure of another kind after the clock was set ends it", async () => {
  const world = {
    sources: [says("A", inside), says("B", inside)],
    now: () => new Date(0),
    set: () => undefined,
    note: () => undefined,
    whose: "The service's",
  };
  let calls = 0;
  const again = async () => {
    calls += 1;
    throw new ServiceError("unavailable", "gone");
  };
  await expect(retryWithCorrectClock(fault("expired"), again, world, forever)).rejects.toThrow("gone");
  expect(calls).toBe(1);
});

test("the document's server is believed first, then NTP, then the certificate itself", () => {
  const documentDate = { date: inside, readAtMs: 0, server: "10.0.0.1" };
  expect(timeSources({ documentDate, ntp: ["a", "b"] }).map(({ name }) => name)).toEqual([
    "the Date of the server of the configuration document (10.0.0.1)",
    "the NTP server a",
    "the NTP server b",
    "the beginning of the certificate's own time, which is too early at most",
  ]);
});

test("the document's Date grows older with the time that passed since", async () => {
  const documentDate = { date: inside, readAtMs: performance.now() - 5_000, server: "10.0.0.1" };
  const [first] = timeSources({ documentDate, ntp: [] });
  const time = await first?.now({ kind: "expired", validFrom, validTo }, forever);
  expect(time?.getTime()).toBeGreaterThanOrEqual(inside.getTime() + 5_000);
});

test("the certificate takes the clock forward only: it must not make itself valid again", async () => {
  const back = machine(new Date("2099-01-01T00:00:00Z"), timeSources({ ntp: [] }));
  await expect(back.begin()).rejects.toThrow("expired");
  expect(back.said.join()).toContain("the certificate cannot tell how long ago it expired");
  const forward = machine(new Date("2001-01-01T00:00:00Z"), timeSources({ ntp: [] }));
  expect(await forward.begin()).toBe("begun");
  expect(forward.calls.at(-1)).toBe(validFrom.toISOString());
});
