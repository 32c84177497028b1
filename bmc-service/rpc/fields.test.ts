import { expect, test } from "vitest";
import { Timestamp } from "../../proto/gen/google/protobuf/timestamp.ts";
import { Fru } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { checkSizes } from "./fields.ts";

/** A FRU whose manufacturing date is that many seconds after 1970, as it comes off the wire. */
function fruOf(seconds: bigint): Fru {
  const made = Fru.encode(Fru.fromPartial({ boardManufacturedAt: new Date(0) })).finish();
  // The empty timestamp at the end gives way to the one that is wanted.
  const timestamp = Timestamp.encode({ seconds, nanos: 0 }).finish();
  return Fru.decode(Uint8Array.of(...made.subarray(0, -1), timestamp.length, ...timestamp));
}

test("a time beyond what a date can hold is refused: the store could not write it down", () => {
  const good = fruOf(1_715_949_240n);
  expect(good.boardManufacturedAt).toEqual(new Date("2024-05-17T12:34:00Z"));
  expect(() => checkSizes({ bmc: { fru: good } })).not.toThrow();
  for (const seconds of [8_640_000_000_001n, 2n ** 60n, -(2n ** 60n)]) {
    const bad = fruOf(seconds);
    expect(() => checkSizes({ bmc: { fru: bad } })).toThrow("bmc.fru.board_manufactured_at: it is no time");
    expect(() => Fru.encode(bad).finish()).toThrow(RangeError);
  }
});
