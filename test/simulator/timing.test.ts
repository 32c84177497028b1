import { describe, expect, test } from "vitest";
import * as c from "../../ipmi/commands/index.ts";
import { ask, bmcWith, good, name, password } from "./ask-bmc.fixture.ts";
import { nameText } from "./users.ts";

describe("times", () => {
  test("busy after each write: user commands only", () => {
    const bmc = bmcWith({ timing: { busyAfterWriteMs: 3_000 } });
    expect(ask(bmc, c.setUserName, name(3, "rivet1"), 1_000)).toEqual({});
    const counts = (nowMs: number) => ask(bmc, c.getUserAccess, { channelNumber: 1, userId: 3 }, nowMs);
    expect([password(bmc, "set", 16, good, 2_000), counts(3_999)]).toEqual([0xc0, 0xc0]);
    expect(ask(bmc, c.getDeviceId, {}, 2_000)).toMatchObject({ manufacturerId: 0x1291 });
    expect(counts(4_000)).toMatchObject({ maxUserIds: 10 });
    // Neither reading nor a refused write makes it busy.
    expect([ask(bmc, c.setUserName, name(1, "x"), 4_000), counts(4_001)]).toMatchObject([0xcc, { maxUserIds: 10 }]);
  });

  test("hangs after too many writes without a pause, and comes back", () => {
    const bmc = bmcWith({ timing: { hang: { writes: 3, pauseMs: 1_000, ms: 30_000 } } });
    const write = (nowMs: number) => ask(bmc, c.setUserName, name(3, `rivet${nowMs}`), nowMs);
    expect([0, 900, 1_800, 2_700].map(write)).toEqual([{}, {}, {}, "silence"]);
    expect(ask(bmc, c.getDeviceId, {}, 20_000)).toBe("silence");
    expect(nameText(bmc.user(3))).toBe("rivet1800");
    expect([32_700, 33_700, 34_700, 35_700].map(write)).toEqual([{}, {}, {}, {}]);
  });

  test("every third write is answered and forgotten", () => {
    const bmc = bmcWith({ timing: { losesEveryWrite: 3 } });
    const names = ["a", "b", "c", "d"].map((each) => [ask(bmc, c.setUserName, name(3, each)), nameText(bmc.user(3))]);
    expect(names).toEqual([
      [{}, "a"],
      [{}, "b"],
      [{}, "b"],
      [{}, "d"],
    ]);
  });

  test.each([
    [true, "b"],
    [false, "a"],
  ])("a reset at the second write, which is kept: %s", (kept, stored) => {
    const bmc = bmcWith({ timing: { resetAtWrite: { number: 2, kept, downMs: 40_000 } } });
    expect(ask(bmc, c.setUserName, name(3, "a"), 0)).toEqual({});
    expect(ask(bmc, c.setUserName, name(3, "b"), 10)).toBe("silence");
    expect(ask(bmc, c.getDeviceId, {}, 40_009)).toBe("silence");
    expect(ask(bmc, c.getUserName, { userId: 3 }, 40_010)).toEqual({ userName: stored });
  });

  test("booting: one answer after the other for a while from the first message on, and again after a reset", () => {
    const bmc = bmcWith({ timing: { boot: { ms: 10_000, codes: [0xff, "silence", "update"] } } });
    const id = (nowMs: number) => ask(bmc, c.getDeviceId, {}, nowMs);
    const answers = [5_000, 6_000, 7_000, 14_999, 15_000].map(id);
    const initializing = { firmware: { deviceAvailable: false } };
    expect(answers).toMatchObject([0xff, "silence", initializing, 0xff, { firmware: { deviceAvailable: true } }]);
    bmc.reset(20_000, 5_000);
    expect([24_999, 25_000, 34_999, 35_000].map(id)).toMatchObject(["silence", 0xff, "silence", { deviceId: 0x20 }]);
  });
});
