import { describe, expect, test } from "vitest";
import * as c from "../../ipmi/commands/index.ts";
import { ask, bmcWith, inBand, lan, name } from "./ask-bmc.fixture.ts";
import type { SimulatedBmc } from "./simulated-bmc.ts";

describe("channels", () => {
  const info = (bmc: SimulatedBmc, channelNumber: number, arrival = inBand) =>
    ask(bmc, c.getChannelInfo, { channelNumber }, arrival);

  test("which are there and of what medium", () => {
    const lans = [1, 3].map((channel) => ({ channel, mac: `52:54:00:00:00:0${channel}`, ipv4Address: "10.0.0.1" }));
    const bmc = bmcWith({ channels: { medium: 0x06 } }, { lans });
    expect([1, 2, 3, 15, 0].map((channel) => info(bmc, channel))).toMatchObject([
      { mediumType: "otherLan" },
      0xcc,
      { mediumType: "otherLan" },
      { mediumType: "systemInterface", protocolType: "kcs" },
      { mediumType: "ipmb", protocolType: "ipmb10" },
    ]);
  });

  test("number 14 is the one on which the request came", () => {
    expect(info(bmcWith({}), 14)).toMatchObject({ channelNumber: 15 });
    expect(info(bmcWith({}), 14, lan(4))).toMatchObject({ channelNumber: 1, mediumType: "lan8023" });
  });

  test("Get Channel Info is not supported", () => {
    expect(info(bmcWith({ channels: { infoRefused: 0xc1 } }), 1)).toBe(0xc1);
  });

  const open = { pefAlerting: true, perMessageAuthentication: false, userLevelAuthentication: true } as const;
  const write = (bmc: SimulatedBmc, nowMs = 0, accessMode: "disabled" | "alwaysAvailable" = "disabled") =>
    ask(
      bmc,
      c.setChannelAccess,
      {
        channelNumber: 1,
        access: { ...open, setting: "volatile", accessMode },
        privilegeLevelLimit: { setting: "nonVolatile", limit: 2 },
      },
      nowMs,
    );

  test("what is in use and what is stored are two; a reset loads the stored one", () => {
    const bmc = bmcWith({});
    expect(write(bmc)).toEqual({});
    const read = (setting: "volatile" | "nonVolatile") => ask(bmc, c.getChannelAccess, { channelNumber: 1, setting });
    expect(read("volatile")).toMatchObject({
      access: { accessMode: "disabled" },
      privilegeLevelLimit: "administrator",
    });
    expect(read("nonVolatile")).toMatchObject({
      access: { accessMode: "alwaysAvailable" },
      privilegeLevelLimit: "user",
    });
    bmc.reset(0, 0);
    expect(read("volatile")).toMatchObject({ access: { accessMode: "alwaysAvailable" }, privilegeLevelLimit: "user" });
  });

  test("closed at first", () => {
    const bmc = bmcWith({ channels: { closed: true } });
    const read = ask(bmc, c.getChannelAccess, { channelNumber: 1, setting: "nonVolatile" });
    expect(read).toMatchObject({ access: { accessMode: "disabled" }, privilegeLevelLimit: "user" });
    expect(bmc.login("ADMIN", new Uint8Array(Buffer.from("ADMIN-pw-1")))).toBeUndefined();
  });

  test("Set Channel Access is refused, or restarts the network", () => {
    expect(write(bmcWith({ channels: { setAccessRefused: 0x83 } }))).toBe(0x83);
    const bmc = bmcWith({ channels: { setAccessRestartsMs: 5_000 } });
    expect(write(bmc, 1_000, "alwaysAvailable")).toEqual({});
    expect(ask(bmc, c.getDeviceId, {}, 5_999)).toBe(0xce);
    expect(ask(bmc, c.getDeviceId, {}, 6_000)).toMatchObject({ deviceId: 0x20 });
  });
});

describe("LAN parameters", () => {
  const parameter = (bmc: SimulatedBmc, parameterSelector: number, setSelector = 0) => {
    const channel = { revisionOnly: false, number: 1 };
    const request = { channel, parameterSelector, setSelector, blockSelector: 0 };
    const answer = ask(bmc, c.getLanConfigurationParameters, request);
    if (typeof answer !== "object") return answer;
    expect(answer.parameterRevision).toBe(0x11);
    return Buffer.from(answer.parameterData).toString("hex");
  };

  test("those that a board refuses, and those that nobody has", () => {
    const bmc = bmcWith({ lan: { unsupported: 0x80, refused: { 8: 0xc9 } } });
    expect([5, 3, 8, 99].map((each) => parameter(bmc, each))).toEqual(["525400b10001", "0a000007", 0xc9, 0x80]);
  });

  test("the address comes later", () => {
    const bmc = bmcWith({ timing: { addressAfterMs: 9_000 } });
    const ip = { channel: { revisionOnly: false, number: 1 }, parameterSelector: 3, setSelector: 0, blockSelector: 0 };
    const at = (nowMs: number) => ask(bmc, c.getLanConfigurationParameters, ip, nowMs);
    expect([1_000, 9_999, 10_000].map(at)).toMatchObject([
      { parameterData: Uint8Array.of(0, 0, 0, 0) },
      { parameterData: Uint8Array.of(0, 0, 0, 0) },
      { parameterData: Uint8Array.of(10, 0, 0, 7) },
    ]);
  });

  const lans = [{ channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "0.0.0.0", ipv6Address: "2001:db8::7" }];

  test("IPv6 by parameters 50 to 59, or by AMI's own", () => {
    const standard = bmcWith({}, { lans });
    expect([50, 51, 59].map((each) => parameter(standard, each))).toEqual([
      "02",
      "02",
      "000120010db80000000000000000000000074000",
    ]);
    expect(parameter(standard, 0xc5)).toBe(0x80);
    const ami = bmcWith({ lan: { oemIpv6: true } }, { lans });
    expect([50, 0xc5, 0xc6].map((each) => parameter(ami, each))).toEqual([
      0x80,
      "20010db8000000000000000000000007",
      "40",
    ]);
    expect(parameter(bmcWith({}), 50)).toBe(0x80);
  });

  test("cipher suites and their privileges, in the same order", () => {
    const bmc = bmcWith({ lan: { cipherSuites: [0, 3, 17], suitePrivileges: [0, 4, 3] } });
    expect([22, 23, 24].map((each) => parameter(bmc, each))).toEqual([
      "03",
      `00000311${"00".repeat(13)}`,
      `004003${"00".repeat(6)}`,
    ]);
    const request = (index: number) => ({
      channelNumber: 1,
      payloadType: "ipmi" as const,
      list: { byCipherSuite: true, index },
    });
    const answer = ask(bmc, c.getChannelCipherSuites, request(0));
    if (typeof answer !== "object") throw new Error(`${answer}`);
    const records = c.parseCipherSuiteRecords(answer.records);
    expect(records.map(({ id, authentication }) => [id, authentication])).toEqual([
      [0, 0],
      [3, 1],
      [17, 3],
    ]);
    expect(ask(bmc, c.getChannelCipherSuites, request(1))).toMatchObject({ records: new Uint8Array() });
  });
});

describe("writing LAN parameters", () => {
  const set = (bmc: SimulatedBmc, parameterSelector: number, parameterData: Uint8Array) =>
    ask(bmc, c.setLanConfigurationParameters, { channel: { number: 1 }, parameterSelector, parameterData });

  test("suites and types of authentication can be switched off, addresses not be changed", () => {
    const bmc = bmcWith({ lan: { cipherSuites: [0, 3, 17], suitePrivileges: [4, 4, 4], authenticationTypes: 0x05 } });
    expect(set(bmc, 24, Uint8Array.of(0, 0x40, 0x04, 0, 0, 0, 0, 0, 0))).toEqual({});
    expect(set(bmc, 2, new Uint8Array(5).fill(4))).toEqual({});
    expect([bmc.suitePrivileges, [...bmc.authenticationTypes]]).toEqual([
      [0, 4, 4],
      [4, 4, 4, 4, 4],
    ]);
    const codes = [set(bmc, 3, new Uint8Array(4)), set(bmc, 5, new Uint8Array(6)), set(bmc, 24, new Uint8Array(8))];
    expect(codes).toEqual([0x80, 0x82, 0xc7]);
  });

  test("is refused, or lost", () => {
    expect(set(bmcWith({ lan: { setRefused: 0xc1 } }), 0, Uint8Array.of(1))).toBe(0xc1);
    const losing = bmcWith({ lan: { authenticationTypes: 0x01 }, timing: { losesEveryWrite: 1 } });
    expect([set(losing, 2, new Uint8Array(5)), losing.authenticationTypes[0]]).toEqual([{}, 1]);
  });
});

describe("who may do what", () => {
  const commands = (bmc: SimulatedBmc, arrival = inBand) => [
    ask(bmc, c.getDeviceId, {}, arrival),
    ask(bmc, c.getUserName, { userId: 2 }, arrival),
    ask(bmc, c.setUserName, name(3, "rivet1"), arrival),
  ];
  const id = { deviceId: 0x20 };
  const admin = { userName: "ADMIN" };

  test.each([
    ["open", [id, admin, {}]],
    ["reads", [id, 0xd4, 0xd4]],
    ["no writes", [id, admin, 0xd4]],
    ["none", [0xd4, 0xd4, 0xd4]],
    ["disabled", ["silence", "silence", "silence"]],
  ] as const)("in-band access: %s", (inBandAccess, answers) => {
    const bmc = bmcWith({ access: { inBand: inBandAccess } });
    expect(commands(bmc)).toMatchObject(answers);
    expect(commands(bmc, lan(4))).toMatchObject([id, admin, {}]);
  });

  test("from remote: what the session's privilege allows", () => {
    expect(commands(bmcWith({}), lan(3))).toMatchObject([id, admin, 0xd4]);
    expect(commands(bmcWith({}), lan(2))).toMatchObject([id, 0xd4, 0xd4]);
  });
});
