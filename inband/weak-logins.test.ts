import { describe, expect, test } from "vitest";
import { Pace } from "./pace.ts";
import { type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";
import { closeWeakLogins, findWeakLogins } from "./weak-logins.ts";

interface Weak {
  readonly suites?: readonly number[];
  /** Two suites a byte, the first one low. */
  readonly levels?: readonly number[];
  readonly types?: readonly number[];
  readonly capabilities?: ScriptedAnswer;
  /** What a write answers, and whether it is kept. */
  readonly write?: ScriptedAnswer;
  readonly keeps?: boolean;
}

const filled = (data: readonly number[], size: number) => [...data, ...new Array<number>(size - data.length).fill(0)];

function bmc({ suites = [0, 1, 2, 3, 17], levels = [0x44, 0x44, 0x04], types = [0, 0, 0, 0, 0], ...rest }: Weak) {
  const parameters = new Map([
    [22, [suites.length]],
    [23, [0, ...filled(suites, 16)]],
    [24, [0, ...filled(levels, 8)]],
    [2, [...types]],
  ]);
  return scriptedBmc((name, [, selector = 0, ...data]) => {
    if (name === "Set LAN Configuration Parameters") {
      if (rest.keeps !== false) parameters.set(selector, data);
      return rest.write ?? [];
    }
    if (name === "Get Channel Authentication Capabilities") return rest.capabilities ?? 0xc1;
    const value = parameters.get(selector);
    return value === undefined ? 0x80 : [0x11, ...value];
  });
}

const writes = (log: readonly string[]) => log.filter((each) => each.startsWith("Set"));

describe("findWeakLogins", () => {
  test("a BMC without weak logins: no finding, five commands", async () => {
    const { conversation, log } = bmc({ suites: [3, 17], levels: [0x44] });
    expect(await findWeakLogins(conversation, 1)).toEqual([]);
    expect(log).toHaveLength(5);
  });

  test("cipher suites and types that are allowed are told, and nothing is written", async () => {
    const { conversation, log } = bmc({
      types: [0, 0x15, 0, 0, 0],
      capabilities: [1, 0x96, 0x21, 2, 0, 0, 0, 0],
    });
    expect(await findWeakLogins(conversation, 1)).toEqual([
      "Logins with cipher suites 0 and 1 are allowed on channel 1.",
      'Logins with authentication type "none" are allowed on channel 1.',
      "A user without name and password may log in on channel 1.",
      "K_G is set: who logs in from remote has to know it beside the password.",
    ]);
    expect(writes(log)).toEqual([]);
  });

  test("the privileges are in the order of the list, and 0 is off", async () => {
    const { conversation } = bmc({ suites: [17, 3, 1, 0], levels: [0x44, 0x40] });
    expect(await findWeakLogins(conversation, 1)).toEqual(["Logins with cipher suite 0 are allowed on channel 1."]);
  });

  test("unused entries of the list are not suite 0", async () => {
    const { conversation } = bmc({ suites: [3, 17], levels: [0x44, 0x44] });
    expect(await findWeakLogins(conversation, 1)).toEqual([]);
  });

  test("a BMC that does not know the parameters: no finding; one that refuses them: that", async () => {
    expect(await findWeakLogins(scriptedBmc(() => 0x80).conversation, 1)).toEqual([]);
    const findings = await findWeakLogins(scriptedBmc(() => 0xd4).conversation, 1);
    expect(findings).toEqual([
      expect.stringMatching(/^RMCP\+ Messaging Cipher Suite Entry Support cannot be read: completion code D4h/),
      expect.stringMatching(/^Authentication Type Enables cannot be read: completion code D4h/),
    ]);
  });

  test("none told by the capabilities only", async () => {
    const { conversation } = bmc({ suites: [3], levels: [4], capabilities: [1, 0x81, 4, 2, 0, 0, 0, 0] });
    expect(await findWeakLogins(conversation, 1)).toEqual([
      'Logins with authentication type "none" are allowed on channel 1.',
    ]);
  });
});

describe("closeWeakLogins", () => {
  test("changes the levels of suites 0 and 1 and the bit of none, nothing else", async () => {
    const { conversation, log } = bmc({ suites: [0, 3, 1, 17], levels: [0x34, 0x42], types: [1, 0x15, 0, 0x14, 0x21] });
    expect(await closeWeakLogins(conversation, 2)).toEqual([
      "Logins with cipher suites 0 and 1 were switched off on channel 2.",
      'Logins with authentication type "none" were switched off on channel 2.',
    ]);
    // Suite 3 is below administrator, but 17 is not.
    expect(writes(log)).toEqual([
      "Set LAN Configuration Parameters 0218003040000000000000",
      "Set LAN Configuration Parameters 02020014001420",
    ]);
  });

  test("a BMC that is safe is not written to", async () => {
    const { conversation, log } = bmc({ levels: [0, 0x44, 0x04] });
    expect(await closeWeakLogins(conversation, 1)).toEqual([]);
    expect(writes(log)).toEqual([]);
  });

  test.each([
    ["a refusal", { write: 0x82, keeps: false }, /were not switched off: completion code 82h/],
    [
      "a change that is not kept",
      { keeps: false },
      /were not switched off: the BMC took the change and did not keep it/,
    ],
    ["a refusal of what is done all the same", { write: 0xcc }, /were switched off/],
    ["no other suite for an administrator", { suites: [0, 1, 3], levels: [0x44, 0x03] }, /no other cipher suite/],
    ["a list with one suite twice", { suites: [0, 3, 3], levels: [0x44, 0x04] }, /names one twice/],
  ] as [string, Weak, RegExp][])("%s is told", async (_what, weak, finding) => {
    expect(await closeWeakLogins(bmc(weak).conversation, 1)).toEqual([expect.stringMatching(finding)]);
  });

  test("a change that got lost is made once more", async () => {
    const once = bmc({});
    const { exchange } = once.conversation.transport;
    let lost = 0;
    const transport = {
      ...once.conversation.transport,
      exchange: async (...[message, signal]: Parameters<typeof exchange>) => {
        if (message.cmd !== 1 || lost > 0) return exchange(message, signal);
        lost += 1;
        return { completionCode: 0, data: new Uint8Array() };
      },
    };
    const pace = new Pace(0);
    expect(await closeWeakLogins({ ...once.conversation, transport, pace }, 1)).toEqual([
      "Logins with cipher suites 0 and 1 were switched off on channel 1.",
    ]);
    expect(pace.pauseMs).toBe(1_000);
  });

  test("a write that breaks off is looked at", async () => {
    const scripted = bmc({ write: "no answer" });
    const { exchange } = scripted.conversation.transport;
    const transport = {
      ...scripted.conversation.transport,
      exchange: async (...[message, signal]: Parameters<typeof exchange>) => {
        if (message.cmd !== 1 || message.netFn !== 6) return exchange(message, signal);
        return { completionCode: 0, data: Uint8Array.of(0x20, 1, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 2, 0x0f) };
      },
    };
    const conversation = { ...scripted.conversation, transport, pace: new Pace(10_000) };
    expect(await closeWeakLogins(conversation, 1)).toEqual([
      "Logins with cipher suites 0 and 1 were switched off on channel 1.",
    ]);
    expect(writes(scripted.log)).toHaveLength(1);
  });
});
