import { describe, expect, test } from "vitest";
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

describe("an empty set before one that is filled", () => {
  /** Static sets 0 to 3, the third one with 2001:db8::7. IPMI 2.0 §23.2, parameter 56. */
  const bmc = () =>
    scriptedBmc((_name, [, selector = 0, set = 0]) => {
      if (selector === 50) return [0x11, 6];
      if (selector === 51) return [0x11, 2];
      if (selector === 55) return [0x11, 4, 0, 1];
      if (selector !== 56) return 0x80;
      if (set !== 2) return [0x11, set, 0, ...new Array<number>(16).fill(0), 0, 1];
      return [0x11, set, 0x80, 0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 7, 64, 0];
    });

  test("is passed over where the BMC has no other address", async () => {
    const { conversation } = bmc();
    expect((await readIpv6Addresses(conversation, 1, "without IPv4")).addresses).toEqual(["2001:db8::7/64"]);
  });

  test("is the end where it has an IPv4 address: each set costs a command", async () => {
    const { conversation, log } = bmc();
    expect((await readIpv6Addresses(conversation, 1, "usual")).addresses).toEqual([]);
    expect(log).toHaveLength(4);
  });
});
