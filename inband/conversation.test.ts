import { describe, expect, test } from "vitest";
import { getUserName } from "../ipmi/commands/get-user-name.ts";
import { setUserName } from "../ipmi/commands/set-user-name.ts";
import { setUserPassword } from "../ipmi/commands/set-user-password.ts";
import { CompletionCodeError, DecodeError, TransportError } from "../ipmi/errors.ts";
import { Secret } from "../ipmi/secret.ts";
import {
  InterruptedWriteError,
  impatient,
  NoAnswerError,
  patientUnlessUnspecified,
  sendPatiently,
} from "./conversation.ts";
import { Pace } from "./pace.ts";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";
import { type Conversation, effectOf } from "./send-once.ts";
import { NotReadyError } from "./wait-until-ready.ts";

const deviceId = [0x20, 0x01, 0x09, 0x08, 0x02, 0x9f, 0x91, 0x12, 0x00, 0x02, 0x0f];

type Answer = (name: string, nth: number, nowMs: number) => ScriptedAnswer | undefined;

/** A BMC that does all at once but what `answer` says. */
function bmc(answer: Answer) {
  const notes: string[] = [];
  const pace = new Pace(180_000, (text) => notes.push(text));
  const counts = new Map<string, number>();
  const scripted = scriptedBmc((name) => {
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    const said = answer(name, nth, scripted.conversation.clock.now());
    if (said !== undefined) return said;
    if (name === "Get Device ID") return deviceId;
    return name === "Get User Name" ? nameBytes("someone") : [];
  });
  const conversation: Conversation = { ...scripted.conversation, pace };
  return { ...scripted, conversation, pace, notes };
}

const read = (conversation: Conversation) => sendPatiently(conversation, getUserName, { userId: 3 });
const write = (conversation: Conversation) =>
  sendPatiently(conversation, setUserName, { userId: 3, userName: "rivet1" });
const names = (log: readonly string[]) => log.map((line) => line.split(" ").slice(0, 3).join(" "));

describe("pacing", () => {
  test("a BMC that behaves is never waited for", async () => {
    const { conversation, waits, pace } = bmc(() => undefined);
    for (let i = 0; i < 3; i += 1) await write(conversation);
    await read(conversation);
    expect(waits).toEqual([]);
    expect(pace.pauseMs).toBe(0);
  });

  test("busy for 3 s after a write (Quanta S99Q): found out once, then left alone that long after each write", async () => {
    let freeAt = 0;
    let refusals = 0;
    const { conversation, waits, pace, notes } = bmc((name, _nth, nowMs) => {
      if (nowMs < freeAt) {
        refusals += 1;
        return 0xc0;
      }
      if (name.startsWith("Set")) freeAt = nowMs + 3_000;
      return undefined;
    });
    await write(conversation);
    await read(conversation);
    expect(refusals).toBe(6);
    expect(pace.pauseMs).toBe(3_150);
    waits.length = 0;
    await write(conversation);
    await write(conversation);
    await read(conversation);
    await read(conversation);
    expect(refusals).toBe(6);
    expect(waits).toEqual([3_150, 3_150]);
    expect(notes).toEqual(["The BMC needs time after a write: 3.1 s are left to it from now on."]);
  });

  test.each([0xc0, 0xc3, 0xce, 0xd2])("30 times %d to a write, however fast they come, is no refusal", async (code) => {
    const patient = bmc((name, nth) => (name === "Set User Name" && nth <= 30 ? code : undefined));
    expect(await write(patient.conversation)).toEqual({});
    expect(patient.waits.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(30_000);
  });

  test("busy without a write before, or busy for good, teaches no pause", async () => {
    const first = bmc((name, nth) => (name === "Get User Name" && nth < 3 ? 0xc0 : undefined));
    await read(first.conversation);
    expect(first.pace.pauseMs).toBe(0);
    const never = bmc((name) => (name === "Get User Name" ? 0xff : undefined));
    await write(never.conversation);
    await expect(read(never.conversation)).rejects.toThrow(CompletionCodeError);
    await write(never.conversation);
    expect(never.pace.pauseMs).toBe(0);
  });

  test("a code that came late, for an answer that got lost, teaches no pause", async () => {
    let nowMs = 0;
    const { conversation, pace } = bmc((name, nth) => {
      if (name !== "Get User Name" || nth > 1) return undefined;
      nowMs += 5_000;
      return 0xff;
    });
    const clock = { ...conversation.clock, now: () => nowMs };
    await write({ ...conversation, clock });
    await read({ ...conversation, clock });
    expect(pace.pauseMs).toBe(0);
  });

  test("the pause is 5 s at most", async () => {
    const { conversation, pace } = bmc((name, nth) => (name === "Get User Name" && nth < 8 ? 0xce : undefined));
    await write(conversation);
    await read(conversation);
    expect(pace.pauseMs).toBe(5_000);
  });

  test("a write that got lost: 1 s, then more", () => {
    const pace = new Pace(0);
    const pauses = Array.from({ length: 5 }, () => {
      pace.writeWasLost();
      return pace.pauseMs;
    });
    expect(pauses).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  test("the pause ends with the signal", async () => {
    const { conversation, pace } = bmc(() => undefined);
    pace.writeWasLost();
    await write(conversation);
    const signal = AbortSignal.abort(new Error("the run has ended"));
    await expect(read({ ...conversation, signal })).rejects.toThrow("the run has ended");
  });

  test("FFh for ever is given up early where it may mean that there is nothing", async () => {
    const busy = bmc((name, nth) => (name === "Get User Name" && nth < 7 ? 0xc0 : undefined));
    await sendPatiently(busy.conversation, getUserName, { userId: 3 }, patientUnlessUnspecified);
    for (const patience of [patientUnlessUnspecified, impatient]) {
      const unset = bmc((name) => (name === "Get User Name" ? 0xff : undefined));
      const asked = sendPatiently(unset.conversation, getUserName, { userId: 3 }, patience);
      await expect(asked).rejects.toThrow(CompletionCodeError);
      expect(names(unset.log)).toEqual(["Get User Name", "Get User Name", "Get User Name", "Get Device ID"]);
    }
  });
});

describe("replies cut short", () => {
  test.each([
    ["data missing", [1, 2]],
    ["C6h of the kernel's driver", 0xc6],
  ] as [string, ScriptedAnswer][])("%s: a read is asked again", async (_what, broken) => {
    const { conversation, log } = bmc((name, nth) => (name === "Get User Name" && nth < 3 ? broken : undefined));
    expect(await read(conversation)).toEqual({ userName: "someone" });
    expect(log).toHaveLength(3);
  });

  test("always: an error", async () => {
    const { conversation, log } = bmc((name) => (name === "Get User Name" ? [1, 2] : undefined));
    await expect(read(conversation)).rejects.toThrow(DecodeError);
    expect(log).toHaveLength(3);
  });

  test("C6h to a write: it may have been done, so it is not sent again", async () => {
    const { conversation, log } = bmc((name) => (name === "Set User Name" ? 0xc6 : undefined));
    await expect(write(conversation)).rejects.toThrow(InterruptedWriteError);
    expect(log).toHaveLength(1);
  });
});

describe("a BMC that restarts in the middle", () => {
  /** From its command number `from` on it is away, for `count` commands. */
  function away(from: number, count: number, answer: ScriptedAnswer) {
    let sent = 0;
    return bmc(() => {
      sent += 1;
      return sent >= from && sent < from + count ? answer : undefined;
    });
  }

  test("silence while reading: three good Get Device ID, then the command again", async () => {
    const { conversation, log, notes } = away(2, 4, "no answer");
    await read(conversation);
    await read(conversation);
    expect(names(log)).toEqual(["Get User Name", "Get User Name", ...Array(6).fill("Get Device ID"), "Get User Name"]);
    expect(notes).toEqual(["The BMC is away (no answer): waiting for it up to 180 s."]);
  });

  test.each([0xff, 0xc3])("%d of the kernel's driver for all that it is asked", async (code) => {
    const { conversation, log } = away(1, 20, code);
    expect(await read(conversation)).toEqual({ userName: "someone" });
    expect(names(log).slice(8, -1)).toEqual(Array(15).fill("Get Device ID"));
  });

  test.each(["no answer", 0xff] as ScriptedAnswer[])("%s to a write: told when the BMC is back", async (answer) => {
    const { conversation, log } = away(2, 20, answer);
    await read(conversation);
    const error = await write(conversation).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(InterruptedWriteError);
    expect(error).toMatchObject({ command: "Set User Name", message: expect.stringContaining("not known whether") });
    expect(names(log).slice(-3)).toEqual(Array(3).fill("Get Device ID"));
  });

  test("the kernel's driver answers for a dead BMC after a minute: it is not asked that long eight times", async () => {
    let nowMs = 0;
    const { conversation, log } = bmc((name, nth) => (nth > (name === "Get User Name" ? 1 : 3) ? undefined : 0xff));
    const { exchange } = conversation.transport;
    const transport = {
      ...conversation.transport,
      exchange: async (...[message, signal]: Parameters<typeof exchange>) => {
        const reply = await exchange(message, signal);
        if (reply.completionCode === 0xff) nowMs += 50_000;
        return reply;
      },
    };
    const clock = { ...conversation.clock, now: () => nowMs + conversation.clock.now() };
    const pace = new Pace(300_000);
    await read({ ...conversation, transport, clock, pace });
    expect(names(log)).toEqual(["Get User Name", ...Array(6).fill("Get Device ID"), "Get User Name"]);
    expect(pace.leftForReturnMs).toBeLessThan(150_000);
  });

  test("a BMC that is there and slow to say that it is busy is asked again", async () => {
    let nowMs = 0;
    const { conversation, log } = bmc((name, nth) => {
      if (name !== "Get User Name" || nth > 2) return undefined;
      nowMs += 4_000;
      return 0xc3;
    });
    const clock = { ...conversation.clock, now: () => nowMs };
    expect(await read({ ...conversation, clock })).toEqual({ userName: "someone" });
    expect(names(log).filter((each) => each === "Get Device ID")).toHaveLength(2);
  });

  test("a write that never left the machine is sent again", async () => {
    const { conversation } = bmc(() => undefined);
    const { exchange } = conversation.transport;
    let failures = 1;
    const transport = {
      ...conversation.transport,
      exchange: async (...[message, signal]: Parameters<typeof exchange>) => {
        failures -= 1;
        if (failures >= 0) throw new TransportError("scripted", "no", "EAGAIN");
        return exchange(message, signal);
      },
    };
    expect(await write({ ...conversation, transport })).toEqual({});
  });

  test("one command that is never answered does not hold the others", async () => {
    let nowMs = 0;
    const { conversation, log } = bmc((name) => {
      if (name !== "Get User Name") return undefined;
      nowMs += 30_000;
      return "no answer";
    });
    const clock = { ...conversation.clock, now: () => nowMs };
    await expect(read({ ...conversation, clock })).rejects.toThrow(NoAnswerError);
    expect(names(log).filter((each) => each === "Get User Name")).toHaveLength(2);
  });

  test("answers that are dropped at once, as those for other commands, are asked for three times more", async () => {
    const dropped = (times: number) =>
      bmc((name, nth) => (name !== "Get User Name" || nth > times ? undefined : "no answer"));
    expect(await read(dropped(3).conversation)).toEqual({ userName: "someone" });
    await expect(read(dropped(4).conversation)).rejects.toThrow(NoAnswerError);
  });

  test("a command that is dropped at once at first, and then never answered, comes to its end", async () => {
    let nowMs = 0;
    const { conversation, log } = bmc((name, nth) => {
      if (name !== "Get User Name" || nth > 10) return undefined;
      if (nth > 2) nowMs += 30_000;
      return "no answer";
    });
    const clock = { ...conversation.clock, now: () => nowMs };
    await expect(read({ ...conversation, clock })).rejects.toThrow(NoAnswerError);
    expect(names(log).filter((each) => each === "Get User Name")).toHaveLength(3);
  });

  test("a BMC that stays away: what was seen, within the limit over all such waits", async () => {
    const { conversation, pace } = bmc(() => 0xff);
    await expect(read(conversation)).rejects.toThrow(NotReadyError);
    expect(pace.leftForReturnMs).toBeLessThan(2_000);
    await expect(read(conversation)).rejects.toThrow(/NotReady|FFh/);
  });

  test("without a pace to keep, silence is an error at once", async () => {
    const { pace: _, ...conversation } = bmc(() => "no answer").conversation;
    await expect(read(conversation)).rejects.toThrow(TransportError);
  });
});

test("testing a password is no write", () => {
  const request = (operation: "set" | "test") => ({
    user: { twentyBytes: false, id: 3 },
    action: { operation },
    password: Secret.fromBytes(new Uint8Array(16)),
  });
  expect(effectOf(setUserPassword, request("set"))).toBe("write");
  expect(effectOf(setUserPassword, request("test"))).toBe("read");
  expect(effectOf(getUserName, { userId: 3 })).toBe("read");
});
