import { describe, expect, test } from "vitest";
import * as c from "../../ipmi/commands/index.ts";
import {
  access,
  account,
  ask,
  bmcWith,
  done,
  good,
  lan,
  name,
  password,
  raw,
  readName,
  textBytes,
} from "./ask-bmc.fixture.ts";
import { noPolicy } from "./password-policy.ts";
import { profiles, spec, strict } from "./profiles.ts";
import { createBmc, type SimulatedBmc } from "./simulated-bmc.ts";

describe("user names", () => {
  test.each([
    ["zeros", { userName: "" }],
    ["ones", { userName: "\xff".repeat(16) }],
    ["(Empty User)", { userName: "(Empty User)" }],
    [{ refused: 0xcc }, 0xcc],
    [{ refused: 0xcb }, 0xcb],
  ] as const)("an empty slot as %j", (emptyName, answer) => {
    const bmc = bmcWith({ users: { emptyName } });
    expect(readName(bmc, 3)).toEqual(answer);
    expect(readName(bmc, 2)).toEqual({ userName: "ADMIN" });
  });

  test("no ID beyond the last, and none of number 0", () => {
    const bmc = bmcWith({ users: { ids: 4, outOfRange: 0xc9 } });
    expect([4, 5, 0].map((id) => readName(bmc, id))).toEqual([{ userName: "operator1" }, 0xc9, 0xc9]);
    expect(readName(bmcWith({ users: { ids: 4, outOfRange: 0xcc } }), 5)).toBe(0xcc);
  });

  test("the user count is told by every ID", () => {
    const bmc = bmcWith({ users: { ids: 12, fixedNameCount: 2 } });
    const answer = ask(bmc, c.getUserAccess, { channelNumber: 1, userId: 1 });
    expect(answer).toMatchObject({ maxUserIds: 12, fixedNameCount: 2, enabled: { status: "disabled", count: 2 } });
  });

  test("what a name must look like, and which is the system's own", () => {
    const bmc = bmcWith({ users: { namePattern: "^[a-z]+$", reservedNames: ["root"], nameRefused: 0xcc } });
    const codes = ["rivet-1", "root", "rivet"].map((each) => ask(bmc, c.setUserName, name(3, each)));
    expect(codes).toEqual([0xcc, 0xcc, {}]);
  });

  test("a name can be taken away, from several IDs too, where the BMC lets", () => {
    const bmc = bmcWith({});
    expect([2, 4].map((id) => ask(bmc, c.setUserName, name(id, "")))).toEqual([{}, {}]);
    expect(readName(bmc, 4)).toEqual({ userName: "" });
    expect(ask(createBmc(strict), c.setUserName, name(4, ""))).toBe(0xcc);
  });

  test("a name that another ID has", () => {
    const bmc = bmcWith({ users: { duplicateName: 0xcd } });
    expect(ask(bmc, c.setUserName, name(3, "operator1"))).toBe(0xcd);
  });

  test("a name that the ID has already: accepted, or refused", () => {
    expect(ask(bmcWith({}), c.setUserName, name(4, "operator1"))).toEqual({});
    expect(ask(bmcWith({ users: { sameName: 0xcc } }), c.setUserName, name(4, "operator1"))).toBe(0xcc);
  });

  test("names that are fixed, whether the BMC says so or not", () => {
    const bmc = bmcWith({ users: { fixedNameCount: 2, fixedSlots: [4] } });
    expect([1, 2, 4, 5].map((id) => ask(bmc, c.setUserName, name(id, `rivet${id}`)))).toEqual([0xcc, 0xcc, 0xcc, {}]);
  });
});

describe("rights", () => {
  test("for a slot without a name: FFh where the BMC minds", () => {
    const refusing = bmcWith({ users: { unnamedAccess: 0xff, unnamedPassword: 0xff } });
    expect([access(refusing), password(refusing, "set"), password(refusing, "enable")]).toEqual([0xff, 0xff, 0xff]);
    const lax = bmcWith({});
    expect([access(lax), password(lax, "set"), password(lax, "enable")]).toEqual([{}, {}, {}]);
  });

  test("three bytes instead of four: C7h where the BMC minds", () => {
    const three = Uint8Array.of(0x91, 3, 4);
    expect(raw(bmcWith({ users: { shortAccess: 0xc7 } }), c.setUserAccess, three)).toBe(0xc7);
    expect(raw(bmcWith({}), c.setUserAccess, three)).toEqual({});
  });

  test("a limit of sessions: CCh where the BMC minds", () => {
    expect(access(bmcWith({ users: { sessionLimit: 0xcc } }), 3, { sessionLimit: 1 })).toBe(0xcc);
    expect(access(bmcWith({}), 3, { sessionLimit: 1 })).toEqual({});
  });

  test("on a channel without sessions", () => {
    const ids = (channelNumber: number, bmc: SimulatedBmc) => ask(bmc, c.getUserAccess, { channelNumber, userId: 1 });
    const bmc = bmcWith({ channels: { sessionLess: 0x82 } });
    // From the system interface, 14 is that interface.
    expect([0, 15, 14, 5].map((channel) => ids(channel, bmc))).toEqual([0x82, 0x82, 0x82, 0xcc]);
    expect(ids(15, bmcWith({}))).toBe(0xcc);
    expect(ask(bmc, c.getUserAccess, { channelNumber: 14, userId: 1 }, lan(4))).toMatchObject({ maxUserIds: 10 });
  });

  test("messaging is taken only after a privilege", () => {
    const bmc = bmcWith({ users: { messagingNeedsPrivilege: true } });
    expect([access(bmc), bmc.user(3).privilege, bmc.user(3).ipmiMessaging]).toEqual([{}, 4, false]);
    expect([access(bmc), bmc.user(3).ipmiMessaging]).toEqual([{}, true]);
  });

  test("rights are forgotten before the user is enabled", () => {
    const bmc = bmcWith({ users: { accessNeedsEnable: true } });
    expect([access(bmc), bmc.user(3).privilege]).toEqual([{}, 15]);
    password(bmc, "enable");
    expect([access(bmc), bmc.user(3).privilege, bmc.user(3).ipmiMessaging]).toEqual([{}, 4, true]);
  });

  test("on one channel are none on another", () => {
    const lans = [1, 3].map((channel) => ({ channel, mac: `52:54:00:00:00:0${channel}`, ipv4Address: "0.0.0.0" }));
    const bmc = bmcWith({}, { lans });
    const read = (channelNumber: number) => ask(bmc, c.getUserAccess, { channelNumber, userId: 3 });
    const none = { access: { ipmiMessaging: false, privilegeLimit: "noAccess" } };
    const bits = { changeBits: true, callbackOnly: false, linkAuthentication: false, ipmiMessaging: true };
    const request = { access: { ...bits, channelNumber: 3 }, userId: 3, privilegeLimit: 4, sessionLimit: 0 };
    expect(ask(bmc, c.setUserAccess, request)).toEqual({});
    expect([read(1), read(3)]).toMatchObject([
      none,
      { access: { ipmiMessaging: true, privilegeLimit: "administrator" } },
    ]);
    expect([bmc.user(3).ipmiMessaging, bmc.user(3).privilege]).toEqual([false, 15]);
    expect(access(bmc)).toEqual({});
    expect([bmc.user(3).ipmiMessaging, bmc.user(3).privilege]).toEqual([true, 4]);
  });

  test("SOL is not supported", () => {
    const request = { channelNumber: 1, user: { operation: "enable", id: 2 } } as const;
    const payloads = { standardPayloads: { sol: true, payloads2to7: 0 }, oemPayloads: 0 };
    expect(ask(bmcWith({}), c.setUserPayloadAccess, { ...request, ...payloads })).toEqual({});
    const refusing = bmcWith({ users: { payloadRefused: 0xc1 } });
    expect(ask(refusing, c.setUserPayloadAccess, { ...request, ...payloads })).toBe(0xc1);
  });
});

describe("passwords", () => {
  test("enabling without one, where the BMC minds", () => {
    const bmc = bmcWith({ passwords: { enableWithout: 0xd5 } });
    expect([password(bmc, "enable"), password(bmc, "set"), password(bmc, "enable")]).toEqual([0xd5, {}, {}]);
  });

  test("enabling and disabling what is so already", () => {
    const bmc = bmcWith({ passwords: { redundantEnable: 0xcc } });
    const operations = ["disable", "enable", "enable", "disable"] as const;
    expect(operations.map((each) => password(bmc, each))).toEqual([0xcc, {}, 0xcc, {}]);
  });

  test.each([
    [
      [16, 20],
      [0xc7, {}, {}],
    ],
    [[0], [{}, 0xc7, 0xc7]],
  ] as const)("enabling with %j bytes of password", (enableSizes, answers) => {
    const bmc = bmcWith({ passwords: { enableSizes } });
    const enable = (data: Uint8Array) => raw(bmc, c.setUserPassword, data);
    const of = (size: number) => Uint8Array.of(size === 20 ? 0x83 : 0x03, 1, ...new Uint8Array(size));
    expect([0, 16, 20].map((size) => enable(of(size)))).toEqual(answers);
  });

  test("any other length is C7h", () => {
    expect(raw(bmcWith({}), c.setUserPassword, Uint8Array.of(3, 2, ...new Uint8Array(17)))).toBe(0xc7);
    expect(raw(bmcWith({}), c.setUserPassword, Uint8Array.of(3, 2))).toBe(0xc7);
  });

  test.each([
    [[16], [{}, 0xc8]],
    [[20], [0xc8, {}]],
  ] as const)("set in %j bytes only", (sizes, answers) => {
    const bmc = bmcWith({ passwords: { sizes, sizeRefused: 0xc8 } });
    expect([password(bmc, "set", 16), password(bmc, "set", 20)]).toEqual(answers);
  });

  test("the test tells right, wrong and the other size", () => {
    const bmc = bmcWith({});
    password(bmc, "set", 16);
    expect([password(bmc, "test"), password(bmc, "test", 16, "wrong"), password(bmc, "test", 20)]).toEqual([
      {},
      0x80,
      0x81,
    ]);
    password(bmc, "set", 20);
    expect([password(bmc, "test", 16), password(bmc, "test", 20)]).toEqual([0x81, {}]);
    const openbmc = bmcWith({ passwords: { wrongTestSize: "compare" } });
    password(openbmc, "set", 16);
    expect([password(openbmc, "test", 20), password(openbmc, "test", 20, "wrong")]).toEqual([{}, 0x80]);
  });

  test("the test is not supported, or says yes to everything", () => {
    expect(password(bmcWith({ passwords: { test: 0xc1 } }), "test")).toBe(0xc1);
    expect(password(bmcWith({ passwords: { test: "yes" } }), "test")).toEqual({});
  });

  test.each([
    ["too short", { minLength: 17 }, good],
    ["too long", { maxLength: 15 }, good],
    ["too few upper-case letters", { upper: 3 }, good],
    ["too few lower-case letters", { lower: 10 }, good],
    ["too few digits", { digits: 4 }, good],
    ["letters and digits only", { specials: 1 }, "GoodPassw0rd17"],
    ["a special that is not allowed", { allowedSpecials: "!@" }, good],
    ["equal neighbours", { noRepeats: true }, good],
    ["the user's name in it", { withoutName: true }, "A-RIVET1-b-0"],
    ["the user's name backwards in it", { withoutName: true }, "A-1tevir-b-0"],
    ["somebody's password", { unique: true }, "ADMIN-pw-1"],
  ] as const)("the policy refuses %s", (_, rule, text) => {
    const bmc = bmcWith({ passwords: { policy: { ...noPolicy, ...rule, refused: 0x8f } } });
    ask(bmc, c.setUserName, name(3, "rivet1"));
    expect(password(bmc, "set", 16, text)).toBe(0x8f);
    expect(bmc.user(3).password).toBeUndefined();
    const lax = bmcWith({ passwords: { policy: noPolicy } });
    ask(lax, c.setUserName, name(3, "rivet1"));
    expect(password(lax, "set", 16, text)).toEqual({});
  });

  test("what all policies of the profiles want together is taken by each", () => {
    for (const profile of profiles.values()) {
      const bmc = createBmc({ ...profile, timing: {}, access: spec.access });
      ask(bmc, c.setUserName, name(3, "rivet1"));
      expect(password(bmc, "set", 16, "Xk7@dPq2_mRw9Tb4"), profile.name).toEqual({});
    }
  });
});

describe("login from remote", () => {
  test("needs name, password, messaging and being enabled; its privilege is the lower of user's and channel's", () => {
    const bmc = bmcWith({});
    const login = () => bmc.login("rivet1", textBytes(good));
    ask(bmc, c.setUserName, name(3, "rivet1"));
    password(bmc, "set");
    access(bmc);
    expect(login()).toBeUndefined();
    password(bmc, "enable");
    expect(login()).toBe(4);
    expect(bmc.login("rivet1", textBytes("wrong"))).toBeUndefined();
    expect(bmc.login("", textBytes(""))).toBeUndefined();
    bmc.channelAccess.volatile.privilegeLevelLimit = 3;
    expect(login()).toBe(3);
    bmc.channelAccess.volatile.accessMode = 0;
    expect(login()).toBeUndefined();
  });

  test("is refused for no access, and where the BMC refuses everybody", () => {
    const bmc = bmcWith({});
    account(bmc);
    access(bmc, 3, { privilegeLimit: 15 });
    expect(bmc.login("rivet1", textBytes(good))).toBeUndefined();
    const weak = bmcWith({ lan: { refusesLogin: true } });
    expect(account(weak)).toEqual(done);
    expect(weak.login("rivet1", textBytes(good))).toBeUndefined();
  });
});
