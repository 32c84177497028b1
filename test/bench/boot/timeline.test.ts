import { expect, test } from "vitest";
import { markOf } from "./timeline.ts";

test.each([
  ["BENCH init", "init"],
  ["[    1.2] kernel words BENCH first", "first line"],
  ['{"event":"first","msg":"metal-rivet 0.1.0 on ..."}', "first line"],
  ['{"event":"init","task":"network","duration_ms":120,"detail":"10.0.2.15"}', "network"],
  ['{"event":"step","status":"done","step":"inspect BMC","number":4,"of":9,"duration_ms":80,"detail":""}', "BMC read"],
])("%s is %s", (line, mark) => {
  expect(markOf(line)).toEqual({ mark });
});

test("the agent's last word tells how it ended", () => {
  const line = '{"event":"end","outcome":"linked","exit_code":0,"duration_ms":900,"msg":"Linked to BMC"}';
  expect(markOf(line)).toEqual({ mark: "linked", ending: { outcome: "linked", exitCode: 0, text: "Linked to BMC" } });
});

test.each([
  "Loading Linux ...",
  "BENCH something else",
  '{"event":"init","task":"drivers","duration_ms":1,"detail":""}',
  '{"event":"step","status":"started","step":"inspect BMC"}',
  '{"event":"step","status":"failed","step":"inspect BMC","reason":"silent"}',
])("%s is nothing that is measured", (line) => {
  expect(markOf(line)).toBeUndefined();
});
