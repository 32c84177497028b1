import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allCommands } from "../../ipmi/commands/index.ts";
import type { Message } from "../../ipmi/transport.ts";
import { createBmc } from "./simulated-bmc.ts";
import { everyProfile } from "./variants.ts";

const command = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...allCommands.map(({ netFn, cmd }) => ({ netFn, cmd }))) },
  { weight: 1, arbitrary: fc.record({ netFn: fc.integer({ min: 0, max: 31 }).map((n) => 2 * n), cmd: fc.nat(255) }) },
);

const message: fc.Arbitrary<Message> = fc
  .tuple(command, fc.uint8Array({ maxLength: 24 }))
  .map(([each, data]) => ({ ...each, lun: 0, data }));

describe.each([...everyProfile.values()])("$name", (profile) => {
  test("answers any messages as a BMC does, or not at all", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(message, fc.nat(20_000), fc.boolean()), { maxLength: 20 }), (messages) => {
        const bmc = createBmc(profile);
        let nowMs = 0;
        for (const [each, pauseMs, inBand] of messages) {
          nowMs += pauseMs;
          const from = inBand ? ("in-band" as const) : { channel: bmc.lans[0]?.channel ?? 1, privilege: 4 };
          for (const { body, answers } of bmc.receive(each, { nowMs, from })) {
            expect(body.length).toBeLessThanOrEqual(256);
            expect(messages.some(([sent]) => sent === answers)).toBe(true);
          }
        }
      }),
      { numRuns: 20 },
    );
  });
});
