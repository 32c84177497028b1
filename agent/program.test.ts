import { describe, expect, test } from "vitest";
import { flagOf, kernelKeyOf, keys } from "../proto/agent-keys.ts";
import { ExitCode } from "../proto/exit-code.ts";
import { UsageError } from "./config/config-error.ts";
import { readInvocation } from "./program.ts";

function invoke(...args: string[]) {
  const written = { out: "", error: "" };
  const invocation = readInvocation(args, {
    out: (text) => {
      written.out += text;
    },
    error: (text) => {
      written.error += text;
    },
  });
  return { invocation, ...written };
}

test("flags become keys, as they were typed", () => {
  const { invocation } = invoke("run", "--service", "h:1", "--service-limit=7", "--rotate", "--then", "exec:/x");
  expect(invocation).toEqual({
    command: "run",
    cmdline: "/proc/cmdline",
    flags: new Map([
      ["service", "h:1"],
      ["rotate", "1"],
      ["then", "exec:/x"],
      ["service_limit", "7"],
    ]),
  });
});

test("inspect", () => {
  expect(invoke("inspect").invocation).toEqual({ command: "inspect", output: "table", device: undefined });
  expect(invoke("inspect", "--output", "json", "--device", "/dev/x").invocation).toMatchObject({
    output: "json",
    device: "/dev/x",
  });
  expect(invoke("inspect", "--output", "text").invocation).toMatchObject({ output: "table" });
  expect(() => invoke("inspect", "--output", "xml")).toThrow(UsageError);
});

test("check takes one file", () => {
  expect(invoke("check", "site.yaml").invocation).toEqual({ command: "check", file: "site.yaml" });
  expect(invoke("check").invocation).toEqual({ command: "none", exitCode: ExitCode.usage });
});

test("plan", () => {
  const standard = { command: "plan", output: "text", device: undefined, account: undefined, cmdline: "/proc/cmdline" };
  expect(invoke("plan").invocation).toEqual({ ...standard, flags: new Map() });
  expect(
    invoke("plan", "--output", "yaml", "--account", "rivetabc", "--rotate", "--user-slot", "5").invocation,
  ).toEqual({
    ...standard,
    output: "yaml",
    account: "rivetabc",
    flags: new Map([
      ["rotate", "1"],
      ["user_slot", "5"],
    ]),
  });
  expect(invoke("plan", "--output", "table").invocation).toMatchObject({ output: "text" });
  expect(() => invoke("plan", "--output", "xml")).toThrow(UsageError);
  expect(() => invoke("plan", "--account", "longer than 16 characters")).toThrow(UsageError);
});

describe("help", () => {
  test("names every key with all its names, every exit code, and fits a terminal", () => {
    const { out, invocation } = invoke("run", "--help");
    expect(invocation).toEqual({ command: "none", exitCode: ExitCode.done });
    for (const key of keys) {
      if ("notAsFlag" in key) expect(out).not.toContain(flagOf(key));
      else expect(out).toContain(flagOf(key));
      expect(out).toContain(`${kernelKeyOf(key)}=`);
    }
    for (const code of Object.values(ExitCode)) expect(out).toMatch(new RegExp(`^ +${code} +\\w`, "m"));
    for (const text of [
      out,
      ...["--help", "inspect --help", "plan --help"].map((args) => invoke(...args.split(" ")).out),
    ]) {
      expect(text.split("\n").filter((line) => line.length > 82)).toEqual([]);
    }
  });

  test("version", () => {
    expect(invoke("--version")).toMatchObject({ out: "0.1.0-dev\n", invocation: { exitCode: 0 } });
  });
});

test.each([
  [["run", "--nope"], "unknown option '--nope'"],
  [["run", "--service"], "argument missing"],
  [["rum"], "unknown command 'rum'"],
  // a plan asks no service
  [["plan", "--service", "h:1"], "unknown option '--service'"],
  [["run", "extra"], "too many arguments"],
])("%j is a usage error", (args, message) => {
  const { error, invocation } = invoke(...args);
  expect(invocation).toEqual({ command: "none", exitCode: ExitCode.usage });
  expect(error).toContain(message);
});
