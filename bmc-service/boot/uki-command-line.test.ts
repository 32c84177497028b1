import { expect, test } from "vitest";
import { smallUki } from "./fixture/small-uki.ts";
import { readUkiCommandLine, UkiError, withCommandLine } from "./uki-command-line.ts";

test("the command line is read, and another one put in its place; nothing else moves", () => {
  const built = smallUki("quiet");
  expect(readUkiCommandLine(built)).toMatchObject({ text: "quiet", isSigned: false, room: 4_096 });
  const changed = withCommandLine(built, `quiet rivet.config=http://10.0.0.1:8080/enrol.yaml ${"x".repeat(600)}`);
  expect(readUkiCommandLine(changed).text).toMatch(/^quiet rivet\.config=http.* x+$/);
  expect(changed.length % 512).toBe(0);
  // Of what was there, the header of that one section is other than before.
  const { headerAt } = readUkiCommandLine(built);
  expect(changed.subarray(0, headerAt)).toEqual(built.subarray(0, headerAt));
  expect(changed.subarray(headerAt + 40, built.length)).toEqual(built.subarray(headerAt + 40));
  expect(changed.readUInt32LE(headerAt + 12)).toBe(built.readUInt32LE(headerAt + 12));
});

test("the same bytes come of the same command line", () => {
  expect(withCommandLine(smallUki("a"), "b")).toEqual(withCommandLine(smallUki("a"), "b"));
});

test("what would run into the next section is refused", () => {
  expect(withCommandLine(smallUki(""), "x".repeat(4_096)).length).toBe(1_024 + 3 * 512 + 4_096);
  expect(() => withCommandLine(smallUki(""), "x".repeat(4_097))).toThrow("room for a command line of 4096 bytes");
});

test("a signed one is not changed", () => {
  const signed = smallUki("quiet", { signed: true });
  expect(readUkiCommandLine(signed).isSigned).toBe(true);
  expect(() => withCommandLine(signed, "x")).toThrow(UkiError);
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["text", Buffer.from("#!/bin/sh\n".repeat(100))],
  [
    "a program without that section",
    Buffer.from(smallUki("").toString("latin1").replace(".cmdline", ".cmdling"), "latin1"),
  ],
])("%s is refused", (_what, bytes) => {
  expect(() => readUkiCommandLine(bytes)).toThrow(UkiError);
});

test("one that is cut off anywhere is refused or read, and never anything else", () => {
  const whole = smallUki("quiet");
  for (let length = 0; length < whole.length; length += 7) {
    try {
      readUkiCommandLine(whole.subarray(0, length));
    } catch (error) {
      expect(error).toBeInstanceOf(UkiError);
    }
  }
});
