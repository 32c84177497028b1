import { describe, expect, test } from "vitest";
import { openConsole } from "../../agent/console.ts";
import { parseAgentLine } from "./agent-log.ts";

describe("the agent's JSON log", () => {
  test("is understood line by line as the agent writes it", async () => {
    const lines: string[] = [];
    const agent = await openConsole("json", { write: (line) => lines.push(line) });
    agent.first("0.1.0", "6.1.0-31-amd64");
    agent.task("mounts", 3.24, "proc sys dev");
    agent.step({ kind: "started", step: "open BMC", number: 3, of: 9 });
    agent.step({ kind: "done", step: "open BMC", number: 3, of: 9, durationMs: 12, detail: "openipmi:/dev/ipmi0" });
    agent.step({ kind: "failed", step: "begin", number: 2, of: 9, durationMs: 90, reason: "no answer" });
    agent.problem("the network is down");
    agent.end({ outcome: "linked", exitCode: 0, text: "Linked.", durationMs: 2_000, ipmiCommands: 29 });
    expect(lines.map(parseAgentLine)).toEqual([
      { kind: "first", text: "metal-rivet 0.1.0 on 6.1.0-31-amd64" },
      { kind: "init", task: "mounts", durationMs: 3.2, detail: "proc sys dev" },
      undefined,
      {
        kind: "step",
        step: { step: "open BMC", number: 3, of: 9, durationMs: 12, detail: "openipmi:/dev/ipmi0", ok: true },
      },
      { kind: "step", step: { step: "begin", number: 2, of: 9, durationMs: 90, detail: "no answer", ok: false } },
      { kind: "problem", text: "the network is down" },
      { kind: "end", outcome: "linked", exitCode: 0, text: "Linked.", durationMs: 2_000, ipmiCommands: 29 },
    ]);
  });

  test("what the kernel says is not the agent's, even on the same line", () => {
    expect(parseAgentLine("[    1.234567] {odd} kernel words")).toBeUndefined();
    expect(parseAgentLine("Linux version 6.1.0")).toBeUndefined();
    expect(parseAgentLine('[    2.1] x: {"event":"note","msg":"hello"}')).toEqual({ kind: "note", text: "hello" });
    expect(parseAgentLine('{"event":"note","msg":"cut o')).toBeUndefined();
  });
});
