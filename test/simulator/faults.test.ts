import { describe, expect, test } from "vitest";
import { getUserName, setUserName, setUserPassword } from "../../ipmi/commands/index.ts";
import { Secret } from "../../ipmi/secret.ts";
import type { Message } from "../../ipmi/transport.ts";
import type { Arrival } from "./commands/handler.ts";
import type { FaultRule } from "./fault-rule.ts";
import { FaultRuleError, parseFaultRules } from "./fault-rule-json.ts";
import { spec } from "./profiles.ts";
import { createBmc } from "./simulated-bmc.ts";
import { nameText } from "./users.ts";

const inBand: Arrival = { nowMs: 0, from: "in-band" };
const lan: Arrival = { nowMs: 0, from: { channel: 1, privilege: 4 } };

function readName(userId: number): Message {
  return { netFn: 0x06, lun: 0, cmd: 0x46, data: getUserName.encodeRequest({ userId }) };
}

function writeName(userId: number, userName: string): Message {
  return { netFn: 0x06, lun: 0, cmd: 0x45, data: setUserName.encodeRequest({ userId, userName }) };
}

function bmcWith(...faults: FaultRule[]) {
  return createBmc(spec, { faults });
}

/** The bodies of what comes back. */
function bodies(bmc: ReturnType<typeof bmcWith>, message: Message, arrival = inBand): string[] {
  return bmc.receive(message, arrival).map(({ body }) => Buffer.from(body).toString("hex"));
}

const admin = `00${Buffer.from("ADMIN").toString("hex")}${"00".repeat(11)}`;

describe("which messages a rule meets", () => {
  test("by command, user ID, way, and from which match on how many", () => {
    const rule: FaultRule = {
      netFn: 0x06,
      cmd: 0x46,
      user: 2,
      via: "in-band",
      from: 2,
      count: 3,
      effects: [{ completionCode: 0xc0 }, { completionCode: 0xc3 }],
    };
    const bmc = bmcWith(rule);
    expect(bodies(bmc, readName(3))).toEqual([`00${"00".repeat(16)}`]);
    expect(bodies(bmc, readName(2), lan)).toEqual([admin]);
    const answers = Array.from({ length: 6 }, () => bodies(bmc, readName(2)));
    expect(answers).toEqual([[admin], ["c0"], ["c3"], ["c0"], [admin], [admin]]);
  });

  test("by the operation of Set User Password, and without end", () => {
    const bmc = bmcWith({ operation: "test", count: "always", effects: [{ completionCode: 0xc1 }] });
    const password = (operation: "enable" | "test") => ({
      netFn: 0x06,
      lun: 0,
      cmd: 0x47,
      data: setUserPassword.encodeRequest({
        user: { twentyBytes: false, id: 2 },
        action: { operation },
        password: Secret.password("ADMIN-pw-1", 16),
      }),
    });
    for (let i = 0; i < 5; i += 1) expect(bodies(bmc, password("test"))).toEqual(["c1"]);
    expect(bodies(bmc, password("enable"))).toEqual(["00"]);
  });

  test("by channel", () => {
    const bmc = bmcWith({ netFn: 0x06, channel: 2, effects: [{ completionCode: 0xff }] });
    const info = (channel: number): Message => ({ netFn: 0x06, lun: 0, cmd: 0x42, data: Uint8Array.of(channel) });
    expect(bodies(bmc, info(1))[0]).toMatch(/^00/);
    expect(bodies(bmc, info(2))).toEqual(["ff"]);
    expect(bodies(bmc, info(2))).toEqual(["cc"]);
  });

  test("the first rule that has an effect wins; the others have met the message all the same", () => {
    const bmc = bmcWith(
      { cmd: 0x46, from: 2, effects: [{ completionCode: 0xc0 }] },
      { cmd: 0x46, effects: [{ completionCode: 0xc1 }, { completionCode: 0xc2 }, { completionCode: 0xc3 }] },
    );
    expect(Array.from({ length: 4 }, () => bodies(bmc, readName(2)))).toEqual([["c1"], ["c0"], ["c3"], [admin]]);
  });

  test("the same messages meet the same effects", () => {
    const run = () => {
      const bmc = bmcWith({ cmd: 0x46, from: 3, count: 7, effects: [{ completionCode: 0xc0 }, {}, { truncate: 3 }] });
      return Array.from({ length: 12 }, (_, i) => bodies(bmc, readName(1 + (i % 5))));
    };
    expect(run()).toEqual(run());
  });
});

describe("what goes wrong", () => {
  const once = (effect: FaultRule["effects"][number]) => bmcWith({ effects: [effect] });

  test("a code instead of the command", () => {
    const bmc = once({ completionCode: 0xcc });
    expect(bodies(bmc, writeName(3, "rivet"))).toEqual(["cc"]);
    expect(nameText(bmc.user(3))).toBe("");
  });

  test("a code although the command was executed", () => {
    const bmc = once({ completionCode: 0xcc, execute: "yes" });
    expect(bodies(bmc, writeName(3, "rivet"))).toEqual(["cc"]);
    expect(nameText(bmc.user(3))).toBe("rivet");
  });

  test("a write that is answered and forgotten", () => {
    const bmc = once({ execute: "pretend" });
    expect(bodies(bmc, writeName(3, "rivet"))).toEqual(["00"]);
    expect(nameText(bmc.user(3))).toBe("");
  });

  test("a pretended write is refused as a real one would be", () => {
    expect(bodies(once({ execute: "pretend" }), writeName(3, "ADMIN"))).toEqual(["cc"]);
  });

  test.each([
    ["request", ""],
    ["reply", "rivet"],
  ] as const)("the %s is lost", (drop, name) => {
    const bmc = once({ drop });
    expect(bodies(bmc, writeName(3, "rivet"))).toEqual([]);
    expect(nameText(bmc.user(3))).toBe(name);
  });

  test("cut off, too long, twice, delayed, for another command", () => {
    expect(bodies(once({ truncate: 4 }), readName(2))).toEqual([admin.slice(0, 8)]);
    expect(bodies(once({ truncate: 0 }), readName(2))).toEqual([""]);
    expect(bodies(once({ tooLong: 2 }), readName(2))).toEqual([`${admin}5a5a`]);
    expect(bodies(once({ duplicate: true }), readName(2))).toEqual([admin, admin]);
    expect(once({ delayMs: 5_000 }).receive(readName(2), inBand)).toMatchObject([{ afterMs: 5_000 }]);
    expect(once({ otherCommand: 0x44 }).receive(readName(2), inBand)).toMatchObject([{ netFn: 6, cmd: 0x44 }]);
  });

  test("late: it comes with the next answer, and says to which message it belongs", () => {
    const bmc = once({ late: true });
    const [first, second] = [readName(2), readName(3)];
    expect(bmc.receive(first, inBand)).toEqual([]);
    expect(bmc.receive(second, inBand).map(({ answers }) => answers)).toEqual([first, second]);
    expect(bmc.receive(readName(2), inBand)).toHaveLength(1);
  });

  test("a reset: no answer, then silence until it is back; what was written is kept", () => {
    const bmc = once({ resetMs: 30_000 });
    const at = (nowMs: number) => bodies(bmc, readName(3), { ...inBand, nowMs });
    expect(bodies(bmc, writeName(3, "rivet"))).toEqual([]);
    expect(at(29_999)).toEqual([]);
    expect(at(30_000)[0]).toMatch(/^007269766574/);
  });
});

describe("fault rules as JSON", () => {
  test("are read, with commands by name and numbers in hexadecimal", () => {
    const text = JSON.stringify([
      { command: "Set User Name", user: 3, effects: [{ completionCode: "0xC0" }, { drop: "reply", delayMs: 20 }] },
      { netFn: "0x0a", cmd: 17, count: "always", via: "lan", effects: [{ late: true }] },
    ]);
    expect(parseFaultRules(text)).toEqual([
      { netFn: 6, cmd: 0x45, user: 3, effects: [{ completionCode: 0xc0 }, { drop: "reply", delayMs: 20 }] },
      { netFn: 10, cmd: 17, count: "always", via: "lan", effects: [{ late: true }] },
    ]);
  });

  test.each([
    ["{", "fault rules: it is no JSON"],
    ["{}", "fault rules: it is no list"],
    ["[3]", "fault rules: rule 1: it is no object"],
    ["[{}]", "fault rules: rule 1: effects: it is no list of at least one effect"],
    ['[{"effects":[]}]', "fault rules: rule 1: effects: it is no list of at least one effect"],
    ['[{"effects":[{}]},{"user":64,"effects":[{}]}]', "fault rules: rule 2: user: 64 is no whole number from 0 to 63"],
    ['[{"effects":[{},{"delay":1}]}]', /^fault rules: rule 1, effect 2: "delay" is none of completionCode, execute, /],
    ['[{"effects":[{"drop":"both"}]}]', 'fault rules: rule 1, effect 1: drop: "both" is not "request", "reply"'],
    [
      '[{"command":"Set Name","effects":[{}]}]',
      /^fault rules: rule 1: command: "Set Name" is none of "Chassis Control"/,
    ],
    ['[{"command":"Set User Name","cmd":1,"effects":[{}]}]', /command: it stands beside netFn or cmd$/],
    ['[{"toString":1,"effects":[{}]}]', /"toString" is none of netFn/],
  ])("%s is refused", (text, message) => {
    expect(() => parseFaultRules(text)).toThrow(FaultRuleError);
    expect(() => parseFaultRules(text)).toThrow(message);
  });
});
