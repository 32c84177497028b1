import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Console, durationText, openConsole } from "./console.ts";
import { wrap } from "./wrap.ts";

function play(console: Console): void {
  console.first("0.1.0", "6.1.0-31-amd64");
  console.task("mounts", 3.24, "proc sys dev");
  const open = { step: "open BMC", number: 3, of: 9 } as const;
  console.step({ kind: "started", ...open });
  console.step({ kind: "done", ...open, durationMs: 1234, detail: "" });
  console.step({ kind: "failed", ...open, durationMs: 90_000, reason: "no\u001b[31m answer" });
  console.end({ outcome: "linked", exitCode: 0, text: "Linked.", durationMs: 2_000, ipmiCommands: 29 });
}

describe("text", () => {
  test("one line a step, with durations; nothing of it steers a terminal", async () => {
    const lines: string[] = [];
    play(await openConsole("text", { write: (line) => lines.push(line), colours: false }));
    expect(lines).toEqual([
      "metal-rivet 0.1.0 on 6.1.0-31-amd64",
      "init  mounts: done, 3 ms: proc sys dev",
      "[3/9] open BMC: done, 1.2 s",
      "[3/9] open BMC: FAILED after 90 s: no?[31m answer",
      "Linked.",
      "run ended: linked, exit code 0, 29 IPMI commands, 2.0 s",
    ]);
  });

  test("colours when asked for", async () => {
    const lines: string[] = [];
    play(await openConsole("text", { write: (line) => lines.push(line), colours: true }));
    expect(lines[4]).toBe("\u001b[32mLinked.\u001b[0m");
  });

  test("a step that takes long is announced", async () => {
    const lines: string[] = [];
    const console = await openConsole("text", {
      write: (line) => lines.push(line),
      colours: false,
      announceAfterMs: 1,
    });
    console.step({ kind: "started", step: "begin", number: 2, of: 9 });
    await expect.poll(() => lines).toEqual(["[2/9] begin ..."]);
  });

  test("80 columns", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 70 })), (words) => {
        const lines = wrap(words.join(" "));
        expect(lines.every((line) => line.length <= 80)).toBe(true);
        expect(lines.join(" ").split(/ +/)).toEqual(words.join(" ").split(" "));
      }),
    );
  });

  test("durations", () => {
    expect([0, 0.4, 999.4, 999.6, 9_949, 9_951, 75_400].map(durationText)).toEqual([
      ...["0 ms", "0 ms", "999 ms", "1.0 s", "9.9 s", "10 s", "75 s"],
    ]);
  });
});

test("JSON: one object a line", async () => {
  const lines: string[] = [];
  play(await openConsole("json", { write: (line) => lines.push(line) }));
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const event of events) expect(Date.parse(String(event.time))).not.toBeNaN();
  expect(events.map(({ time: _, ...event }) => event)).toEqual([
    {
      level: "info",
      event: "first",
      version: "0.1.0",
      kernel: "6.1.0-31-amd64",
      msg: "metal-rivet 0.1.0 on 6.1.0-31-amd64",
    },
    { level: "info", event: "init", task: "mounts", duration_ms: 3.2, detail: "proc sys dev", msg: "mounts" },
    { level: "info", event: "step", status: "started", step: "open BMC", number: 3, of: 9, msg: "open BMC: started" },
    {
      level: "info",
      event: "step",
      status: "done",
      step: "open BMC",
      number: 3,
      of: 9,
      duration_ms: 1234,
      detail: "",
      msg: "open BMC: done",
    },
    {
      level: "error",
      event: "step",
      status: "failed",
      step: "open BMC",
      number: 3,
      of: 9,
      duration_ms: 90_000,
      reason: "no\u001b[31m answer",
      msg: "open BMC: no\u001b[31m answer",
    },
    {
      level: "info",
      event: "end",
      outcome: "linked",
      exit_code: 0,
      duration_ms: 2000,
      ipmi_commands: 29,
      msg: "Linked.",
    },
  ]);
});
