import { describe, expect, test } from "vitest";
import { TransportError } from "../ipmi/errors.ts";
import { inspectBmc } from "./inspect-bmc.ts";
import { Pace } from "./pace.ts";
import { readFru } from "./read-fru.ts";
import { recogniseBmc } from "./recognise-bmc.ts";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";

const device = { firmwareVersion: "1.02", ipmiVersion: "2.0", manufacturerId: 674, productId: 256 };
const all = { extent: "all", waitMs: 0, note: () => undefined } as const;
const needed = { ...all, extent: "needed" } as const;
const parameters: Readonly<Record<number, ScriptedAnswer>> = {
  3: [0x11, 10, 0, 0, 7],
  4: [0x11, 1],
  5: [0x11, 0x52, 0x54, 0, 0xb1, 0, 1],
  6: [0x11, 255, 255, 0, 0],
  8: [0x11, 0x70, 0x02],
  12: [0x11, 10, 0, 0, 1],
  20: [0x11, 0x64, 0x80],
};

function bmc(changes: Readonly<Record<number, ScriptedAnswer>> = {}, guid: ScriptedAnswer = 0xc1) {
  return scriptedBmc((name, [channel = 0, selector = 0]) => {
    switch (name) {
      case "Get Channel Info":
        return channel === 1 ? [1, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0] : 0xcc;
      case "Get LAN Configuration Parameters":
        return changes[selector] ?? parameters[selector] ?? 0x80;
      case "Get System GUID":
        return guid;
      default:
        return 0xcb;
    }
  });
}

describe("inspectBmc", () => {
  test("reads all with eleven commands, one for each other channel, three for weak logins, and the FRU", async () => {
    const guid = Array.from({ length: 16 }, (_, i) => i);
    const { conversation, log } = bmc({}, guid);
    expect(await inspectBmc(conversation, device, all)).toEqual({
      ...device,
      transport: "scripted",
      channel: 1,
      mac: "52:54:00:b1:00:01",
      ipv4Address: "10.0.0.7",
      ipv4Source: "static",
      ipv4Mask: "255.255.0.0",
      ipv4Gateway: "10.0.0.1",
      vlanId: 100,
      ipv6Addresses: [],
      rmcpPort: 624,
      guid: "000102030405060708090a0b0c0d0e0f",
      fru: { state: "absent", reason: expect.stringContaining("CBh") },
      channels: [{ channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7", remark: "elected" }],
      findings: [],
    });
    expect(log).toHaveLength(24);
  });

  test("what is not supported is left out without a word, the port is 623 then", async () => {
    const { conversation } = bmc({ 4: 0x80, 6: 0xcc, 8: 0x80, 12: 0xc9, 20: 0xc1 });
    const seen = await inspectBmc(conversation, device, all);
    expect(seen.rmcpPort).toBe(623);
    expect(
      Object.keys(seen).filter((key) => ["ipv4Source", "ipv4Mask", "ipv4Gateway", "vlanId"].includes(key)),
    ).toEqual([]);
    expect(seen.findings).toEqual(["The BMC tells no system GUID in-band: completion code C1h (invalid command)"]);
  });

  test("what could not be read is a finding with the code, and the rest is read", async () => {
    const { conversation } = bmc({ 6: 0xff, 12: [0x10, 1, 2, 3, 4], 20: [0x11, 1] }, 0xff);
    const { findings, rmcpPort } = await inspectBmc(conversation, device, all);
    expect(rmcpPort).toBe(624);
    expect(findings).toEqual([
      "Subnet Mask cannot be read: completion code FFh (unspecified error)",
      expect.stringMatching(/Default Gateway Address cannot be read: .*revision 10h/),
      expect.stringMatching(/802.1q VLAN ID cannot be read: .*1 byte needed/),
      "The BMC tells no system GUID in-band: completion code FFh (unspecified error)",
    ]);
  });

  test.each([
    ["zeros", new Array<number>(16).fill(0)],
    ["ones", new Array<number>(16).fill(0xff)],
  ])("a GUID of %s is none", async (_what, guid) => {
    const seen = await inspectBmc(bmc({}, guid).conversation, device, all);
    expect(seen.guid).toBeUndefined();
    expect(seen.findings).toEqual(["The BMC's system GUID is not set."]);
  });

  test("IPv6: a link-local or failed address is none", async () => {
    const address = (first: number, status: number, set: number) => [
      0x11,
      set,
      1,
      first,
      0x80,
      ...new Array<number>(13).fill(0),
      9,
      64,
      status,
    ];
    const { conversation, log } = scriptedBmc((name, [channel = 0, selector = 0, set = 0]) => {
      if (name === "Get Channel Info") return [channel, channel === 1 ? 4 : 5, 1, 0x80, 0xf2, 0x1b, 0, 0, 0];
      if (selector === 50) return [0x11, 2];
      if (selector === 51) return [0x11, 2];
      if (selector === 55) return [0x11, 1, 9, 3];
      if (selector === 59)
        return (
          [address(0xfe, 0, 0), address(0x20, 3, 1), address(0x20, 0, 2)][set] ?? [
            0x11,
            set,
            ...new Array<number>(19).fill(0),
          ]
        );
      if (selector === 56) return 0x80;
      return parameters[selector] ?? 0xcb;
    });
    expect((await inspectBmc(conversation, device, all)).ipv6Addresses).toEqual(["2080::9/64"]);
    expect(log.filter((each) => each.includes("013b")).length).toBeLessThanOrEqual(4);
  });

  test("a BMC with an IPv4 address is not asked for IPv6 where commands count", async () => {
    const { conversation, log } = bmc();
    const { ipv6Addresses } = await inspectBmc(conversation, device, needed);
    expect(ipv6Addresses).toEqual([]);
    expect(log).toHaveLength(10);
  });

  test("a BMC that stalls at everything: what is nice to have is left out, and said", async () => {
    let nowMs = 0;
    const slow = bmc();
    const { exchange } = slow.conversation.transport;
    const transport = {
      ...slow.conversation.transport,
      exchange: (...[message, signal]: Parameters<typeof exchange>) => {
        nowMs += 20_000;
        return exchange(message, signal);
      },
    };
    const clock = { ...slow.conversation.clock, now: () => nowMs };
    const seen = await inspectBmc({ ...slow.conversation, transport, clock }, device, needed);
    expect(seen).toMatchObject({ mac: "52:54:00:b1:00:01", ipv4Gateway: "10.0.0.1", fru: { state: "unreadable" } });
    expect(seen.findings).toEqual([
      "802.1q VLAN ID was not asked for: the BMC answers too slowly",
      "Primary RMCP Port Number was not asked for: the BMC answers too slowly",
      expect.stringContaining("no system GUID"),
      "FRU 0 was not asked for: the BMC answers too slowly",
    ]);
  });

  test("a broken way to the BMC ends it", async () => {
    await expect(inspectBmc(bmc({ 6: "no answer" }).conversation, device, all)).rejects.toThrow(TransportError);
  });
});

describe("readFru", () => {
  test.each([0xcb, 0xc3, 0xc9, 0x81])("%d at the first command: absent", async (code) => {
    const { conversation } = scriptedBmc(() => code);
    expect(await readFru(conversation)).toMatchObject({ state: "absent" });
  });

  test.each([0xcb, 0xc3, 0xc9, 0x81, 0xcc, 0xce])("%d at the first piece (Fujitsu RX1330): absent", async (code) => {
    const { conversation } = scriptedBmc((name) => (name === "Read FRU Data" ? code : [0, 1, 0]));
    expect(await readFru(conversation)).toMatchObject({ state: "absent", reason: expect.stringContaining("Read FRU") });
  });

  test.each([0xc0, 0xc1, 0xcc, 0xce, 0xd2, 0xd4, 0xd5, 0xff])("%d: unreadable, with the code", async (code) => {
    const { conversation } = scriptedBmc(() => code);
    const hex = code.toString(16).toUpperCase();
    expect(await readFru(conversation)).toEqual({ state: "unreadable", reason: expect.stringContaining(`${hex}h`) });
  });

  test("size 0 and a header of zeros: absent", async () => {
    expect(await readFru(scriptedBmc(() => [0, 0, 0]).conversation)).toMatchObject({ state: "absent" });
    const zeros = scriptedBmc((name, data) =>
      name === "Read FRU Data" ? [data[3] ?? 0, ...new Array<number>(data[3] ?? 0).fill(0)] : [0, 1, 0],
    );
    expect(await readFru(zeros.conversation)).toMatchObject({ state: "absent", reason: "header all zero" });
  });

  /** An image whose chassis area has these two texts of 8-bit characters. */
  function chassis(partNumber: string, serialNumber: string): number[] {
    const text = (each: string) => [0xc0 | each.length, ...Buffer.from(each, "latin1")];
    const body = [1, 0, 0x17, ...text(partNumber), ...text(serialNumber), 0xc1];
    const units = Math.ceil((body.length + 1) / 8);
    const area = [...body, ...new Array<number>(8 * units - 1 - body.length).fill(0)];
    area[1] = units;
    const sum = area.reduce((all, each) => all + each, 0);
    return [1, 0, 1, 0, 0, 0, 0, 0xfe, ...area, (256 - (sum & 0xff)) & 0xff];
  }

  /** A BMC with this image; `answer` may say otherwise to a piece. */
  function withImage(
    image: readonly number[],
    words: boolean,
    answer: (count: number, nth: number) => ScriptedAnswer | undefined,
  ) {
    let reads = 0;
    const unit = words ? 2 : 1;
    return scriptedBmc((name, [, low = 0, high = 0, count = 0]) => {
      if (name !== "Read FRU Data") return [image.length & 0xff, image.length >> 8, words ? 1 : 0];
      reads += 1;
      const said = answer(count, reads);
      if (said !== undefined) return said;
      const start = (low + 256 * high) * unit;
      return start >= image.length ? 0xc9 : [count, ...image.slice(start, start + count * unit)];
    });
  }

  test("by words: offset and counts are in words", async () => {
    const { conversation, log } = withImage(chassis("P".repeat(40), "S".repeat(20)), true, () => undefined);
    expect(await readFru(conversation)).toMatchObject({
      state: "present",
      chassis: { partNumber: "P".repeat(40), serialNumber: "S".repeat(20) },
      problems: [],
    });
    expect(log.filter((each) => each.startsWith("Read"))).toEqual([
      "Read FRU Data 00000010",
      "Read FRU Data 00100010",
      "Read FRU Data 00200008",
    ]);
  });

  test("placeholders are left out", async () => {
    const { conversation } = withImage(chassis("To Be Filled By O.E.M.", "CH-1"), false, () => undefined);
    const read = await readFru(conversation);
    expect(read).toMatchObject({ state: "present", chassis: { serialNumber: "CH-1" }, problems: [] });
    expect(JSON.stringify(read)).not.toContain("Filled");
  });

  test("a busy FRU is waited for", async () => {
    const { conversation, waits } = withImage(chassis("AB", "CD"), false, (_, nth) => (nth < 4 ? 0x81 : undefined));
    expect(await readFru(conversation)).toMatchObject({ state: "present", chassis: { partNumber: "AB" } });
    expect(waits).toEqual([100, 400, 1_000]);
  });

  test("replies cut short when they are large: smaller pieces", async () => {
    const image = chassis("AB", "CD");
    const { conversation } = withImage(image, false, (count) => (count > 16 ? [count, 1, 2] : undefined));
    expect(await readFru(conversation)).toMatchObject({
      state: "present",
      chassis: { serialNumber: "CD" },
      problems: [],
    });
  });

  test("an error after the header keeps what was read, flagged", async () => {
    const image = chassis("P".repeat(30), "S".repeat(30));
    const { conversation } = withImage(image, false, (_, nth) => (nth > 1 ? 0xcb : undefined));
    expect(await readFru(conversation)).toMatchObject({
      state: "present",
      chassis: { chassisType: 0x17 },
      problems: [
        { area: "chassis", kind: "length" },
        { area: "chassis", kind: "fields" },
      ],
    });
  });

  test("a driver that takes a minute to say that no answer came is not asked for smaller pieces", async () => {
    let nowMs = 0;
    const { conversation, log } = withImage(chassis("AB", "CD"), false, () => {
      nowMs += 50_000;
      return 0xff;
    });
    const clock = { ...conversation.clock, now: () => nowMs };
    expect(await readFru({ ...conversation, clock })).toMatchObject({ state: "unreadable" });
    expect(log.filter((line) => line.startsWith("Read FRU Data"))).toHaveLength(2);
  });

  test("a command that is never answered ends the reading, not the run", async () => {
    const image = chassis("P".repeat(30), "S".repeat(30));
    const scripted = withImage(image, false, (_, nth) => (nth > 1 ? "no answer" : undefined));
    const { exchange } = scripted.conversation.transport;
    const transport = {
      ...scripted.conversation.transport,
      exchange: async (...[message, signal]: Parameters<typeof exchange>) => {
        if (message.netFn !== 6) return exchange(message, signal);
        return { completionCode: 0, data: Uint8Array.of(0x20, 1, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 2, 0x0f) };
      },
    };
    const conversation = { ...scripted.conversation, transport, pace: new Pace(10_000) };
    expect(await readFru(conversation)).toMatchObject({ state: "present", chassis: { chassisType: 0x17 } });
    // What the transport drops at once is asked for four times.
    expect(scripted.log).toHaveLength(6);
  });

  test("a BMC that takes 50 s for each piece: what comes in time counts", async () => {
    const image = chassis("P".repeat(30), "S".repeat(30));
    let nowMs = 0;
    const { conversation, log } = withImage(image, false, () => {
      nowMs += 50_000;
      return undefined;
    });
    const clock = { ...conversation.clock, now: () => nowMs };
    expect(await readFru({ ...conversation, clock })).toMatchObject({
      state: "present",
      chassis: { partNumber: "P".repeat(30) },
    });
    expect(log.filter((each) => each.startsWith("Read"))).toHaveLength(2);
  });

  test("pieces get smaller until the BMC takes them", async () => {
    const image = [
      1, 0, 1, 0, 0, 0, 0, 0xfe, 1, 2, 0x17, 0xc3, 0x41, 0x42, 0x43, 0xc2, 0x44, 0x45, 0xc1, 0, 0, 0, 0, 0,
    ];
    const sum = image.slice(8, 23).reduce((all, each) => all + each, 0);
    image[23] = (256 - (sum & 0xff)) & 0xff;
    const { conversation, log } = scriptedBmc((name, [, low = 0, , count = 0]) => {
      if (name !== "Read FRU Data") return [image.length, 0, 0];
      return count > 8 ? 0xc8 : [count, ...image.slice(low, low + count)];
    });
    expect(await readFru(conversation)).toMatchObject({
      state: "present",
      chassis: { partNumber: "ABC", serialNumber: "DE" },
      problems: [],
    });
    expect(log.length).toBeLessThan(10);
  });

  test("a BMC that announces bytes and gives none does not hold the run", async () => {
    const { conversation, log } = scriptedBmc((name) => (name === "Read FRU Data" ? [0] : [0xff, 0xff, 0]));
    expect(await readFru(conversation)).toMatchObject({ state: "unreadable" });
    expect(log.length).toBeLessThan(50);
  });
});

describe("recogniseBmc", () => {
  const known = { mac: "52:54:00:b1:00:01", channel: 1, userName: "rivetabc", slot: 3 };
  const withName = (name: ScriptedAnswer, changes: Readonly<Record<number, ScriptedAnswer>> = {}) =>
    scriptedBmc((command, [, selector = 0]) =>
      command === "Get User Name" ? name : (changes[selector] ?? parameters[selector] ?? 0x80),
    );

  test("three commands", async () => {
    const { conversation, log } = withName(nameBytes("rivetabc"));
    expect(await recogniseBmc(conversation, known)).toEqual({ same: true, ipv4Address: "10.0.0.7" });
    expect(log).toHaveLength(3);
  });

  test.each([
    ["another name", withName(nameBytes("ADMIN")), "Slot 3 no longer holds our account"],
    ["an empty slot", withName(0xcc), "The name in slot 3 cannot be read"],
    ["another MAC", withName(0, { 5: [0x11, 0x52, 0x54, 0, 0, 0, 9] }), "Its MAC address is 52:54:00:00:00:09"],
    ["no MAC", withName(0, { 5: 0xff }), "The MAC address cannot be read"],
  ])("%s is not the same", async (_what, { conversation }, reason) => {
    expect(await recogniseBmc(conversation, known)).toEqual({ same: false, reason: expect.stringContaining(reason) });
  });

  test("a BMC that is busy when it is asked for its MAC is waited for", async () => {
    const { conversation } = scriptedBmc((command, [, selector = 0], nth) => {
      if (command === "Get User Name") return nameBytes("rivetabc");
      return selector === 5 && nth <= 5 ? 0xc0 : (parameters[selector] ?? 0x80);
    });
    expect(await recogniseBmc(conversation, known)).toMatchObject({ same: true });
  });

  const given = { ...known, userName: "", slot: 0 };

  test.each<[string, ScriptedAnswer]>([
    ["closed", 0xd4],
    ["busy", 0xc0],
    ["of unknown cause", 0xff],
    ["cut short", [0x11, 0x52]],
    ["zeros", [0x11, 0, 0, 0, 0, 0, 0]],
    ["multicast", [0x11, 1, 0, 0x5e, 0, 0, 1]],
  ])("with an operator's account, an answer that is no MAC (%s) does not speak against it", async (_what, answer) => {
    const { conversation } = withName(0, { 5: answer });
    expect(await recogniseBmc(conversation, given)).toMatchObject({ same: "as far as it tells" });
  });

  test("with an operator's account, another MAC is another BMC", async () => {
    const { conversation } = withName(0, { 5: [0x11, 0x52, 0x54, 0, 0, 0, 9] });
    expect(await recogniseBmc(conversation, given)).toMatchObject({ same: false });
  });
});
