import { expect, test } from "vitest";
import { readIpv6Addresses } from "./ipv6-addresses.ts";
import { type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";

/** A dynamic address fd00::8 with this prefix length. IPMI 2.0 §23.2, parameters 50, 51, 55, 59. */
function bmcWithPrefix(length: number) {
  const answers: Readonly<Record<number, ScriptedAnswer>> = {
    50: [0x11, 6],
    51: [0x11, 2],
    55: [0x11, 0, 1, 3],
    59: [0x11, 0, 2, 0xfd, ...new Array<number>(14).fill(0), 8, length, 0],
  };
  return scriptedBmc((_name, [, selector = 0]) => answers[selector] ?? 0x80).conversation;
}

test.each([
  [1, "fd00::8/1"],
  [64, "fd00::8/64"],
  [128, "fd00::8/128"],
  [0, "fd00::8/64"],
  [129, "fd00::8/64"],
  [255, "fd00::8/64"],
])("a prefix length of %i: what is none would have the whole report refused", async (length, address) => {
  expect((await readIpv6Addresses(bmcWithPrefix(length), 1, "usual")).addresses).toEqual([address]);
});
