import { describe, expect, test } from "vitest";
import { type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";
import { NotReadyError, waitUntilReady } from "./wait-until-ready.ts";

const good = [0x20, 0x01, 0x09, 0x08, 0x02, 0x9f, 0x91, 0x12, 0x00, 0x02, 0x0f];
const initializing = [0x20, 0x01, 0x89, 0x08, 0x02, 0x9f, 0x91, 0x12, 0x00, 0x02, 0x0f];
const identity = { firmwareVersion: "9.08", ipmiVersion: "2.0", manufacturerId: 0x1291, productId: 0x0f02 };

function answers(...script: ScriptedAnswer[]) {
  return scriptedBmc((_name, _data, nth) => script[Math.min(nth, script.length) - 1] ?? good);
}

describe("waitUntilReady", () => {
  test("a good first answer is enough", async () => {
    const bmc = answers(good);
    expect(await waitUntilReady(bmc.conversation)).toEqual(identity);
    expect(bmc.log).toEqual(["Get Device ID"]);
  });

  test.each([
    ["an error", 0xd2],
    ["initialization in progress", initializing],
    ["no answer", "no answer"],
    ["an answer cut short", [0x20, 0x01]],
  ] as [string, ScriptedAnswer][])("after %s it takes three good ones in a row", async (_what, bad) => {
    const bmc = answers(bad, good, good, bad, good, good, good);
    expect(await waitUntilReady(bmc.conversation)).toEqual(identity);
    expect(bmc.log).toHaveLength(7);
    expect(bmc.waits).toEqual([1000, 250, 250, 1000, 250, 250]);
  });

  test("says what it saw when the time is over", async () => {
    const bmc = answers(0xd2, 0xd2, initializing, "no answer", 0xd2);
    const failed = waitUntilReady(bmc.conversation, 10_000);
    await expect(failed).rejects.toThrow(NotReadyError);
    await expect(failed).rejects.toThrow(
      "scripted: the BMC was not ready within 9 s (10 tries: 8 times completion code D2h, " +
        "1 times firmware update or initialization in progress, 1 times no answer). It may be booting",
    );
  });

  test("the signal ends the wait", async () => {
    const bmc = answers(0xd2);
    const signal = AbortSignal.abort(new Error("the run has ended"));
    await expect(waitUntilReady({ ...bmc.conversation, signal })).rejects.toThrow("the run has ended");
  });
});
