import { describe, expect, test } from "vitest";
import { type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";
import { DeviceIdRefusedError, NotReadyError, waitUntilBack, waitUntilReady } from "./wait-until-ready.ts";

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

  test.each([
    ["FFh", 0xff, "completion code FFh"],
    ["C0h", 0xc0, "completion code C0h"],
    ["C3h", 0xc3, "completion code C3h"],
    ["CEh", 0xce, "completion code CEh"],
    ["D1h", 0xd1, "completion code D1h"],
    ["D2h", 0xd2, "completion code D2h"],
    ["firmware update", initializing, "firmware update or initialization in progress"],
    ["silence", "no answer", "no answer"],
    ["a reply cut short", [], "an answer that is cut short"],
  ] as [string, ScriptedAnswer, string][])("never ready, %s: ends in time and says so", async (_what, bad, seen) => {
    const bmc = answers(bad);
    const failed = waitUntilReady(bmc.conversation, 180_000);
    await expect(failed).rejects.toThrow(NotReadyError);
    await expect(failed).rejects.toThrow(`not ready within 179 s (180 tries: 180 times ${seen})`);
  });

  test("a reset while it was nearly ready begins anew", async () => {
    const bmc = answers("no answer", good, good, initializing, good, good, good);
    expect(await waitUntilReady(bmc.conversation)).toEqual(identity);
    expect(bmc.log).toHaveLength(7);
  });
});

describe("a BMC that refuses to tell what it is", () => {
  test("D4h three times is a lock: no minutes of waiting", async () => {
    const bmc = answers(0xd4);
    const failed = waitUntilReady(bmc.conversation);
    await expect(failed).rejects.toThrow(DeviceIdRefusedError);
    await expect(failed).rejects.toMatchObject({ cause: { completionCode: 0xd4 } });
    expect(bmc.waits).toEqual([1_000, 1_000]);
  });

  test.each([0xd5, 0xd6])("%d 15 times", async (code) => {
    const bmc = answers(code);
    await expect(waitUntilReady(bmc.conversation)).rejects.toThrow(DeviceIdRefusedError);
    expect(bmc.log).toHaveLength(15);
    const booting = answers(...Array<ScriptedAnswer>(14).fill(code), 0xff, code, good, good, good);
    expect(await waitUntilReady(booting.conversation)).toEqual(identity);
  });

  test("C1h, which booting BMCs say as well, only when the time is over", async () => {
    const closed = answers(0xc1);
    await expect(waitUntilReady(closed.conversation, 60_000)).rejects.toThrow(DeviceIdRefusedError);
    expect(closed.log).toHaveLength(60);
    const booting = answers(...Array<ScriptedAnswer>(58).fill(0xc1), good, good, good);
    expect(await waitUntilReady(booting.conversation, 61_000)).toEqual(identity);
    const mixed = answers(...Array<ScriptedAnswer>(12).fill(0xc1), 0xff, 0xc1);
    await expect(waitUntilReady(mixed.conversation, 20_000)).rejects.toThrow(NotReadyError);
  });
});

describe("waitUntilBack", () => {
  test("after a busy answer a good one shows that it was not away", async () => {
    const bmc = answers(good);
    expect(await waitUntilBack(bmc.conversation, 10_000, "busy")).toBe(false);
    expect(bmc.log).toHaveLength(1);
  });

  test("after silence three good ones are asked for", async () => {
    const bmc = answers(good);
    expect(await waitUntilBack(bmc.conversation, 10_000, "silence")).toBe(true);
    expect(bmc.log).toHaveLength(3);
  });

  test("a BMC that was closed from the beginning is there", async () => {
    expect(await waitUntilBack(answers(0xd4).conversation, 10_000, "busy")).toBe(false);
  });
});
