import { expect, test } from "vitest";
import { peekLogFormat } from "./first-line.ts";

test.each([
  ["quiet rivet.log=json", "json"],
  ['rivet.log="json" quiet\n', "json"],
  ["rivet.log=json \xff rivet.nonsense", "json"],
  ["rivet.log=jsonx", "text"],
  ["xrivet.log=json", "text"],
  ["", "text"],
])("%j", (line, format) => expect(peekLogFormat(Buffer.from(line, "latin1"))).toBe(format));
