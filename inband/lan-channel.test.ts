import { describe, expect, test } from "vitest";
import { findLanChannel, NoLanChannelError } from "./lan-channel.ts";
import { type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";

interface Channel {
  readonly medium?: number;
  readonly mac?: readonly number[] | number;
  readonly ip?: readonly number[] | number;
  readonly ipv6?: readonly number[];
}

const mac = (last: number) => [0x52, 0x54, 0, 0xb1, 0, last];

/** @param info what Get Channel Info answers instead, for any channel */
function bmc(channels: Readonly<Record<number, Channel>>, info?: number) {
  return scriptedBmc((name, [channel = 0, selector = 0, set = 0]): ScriptedAnswer => {
    const it = channels[channel];
    if (name === "Get Channel Info") {
      return info ?? (it === undefined ? 0xcc : [channel, it.medium ?? 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0]);
    }
    if (it === undefined) return 0xcb;
    const answer = (value: readonly number[] | number = 0x80) => (typeof value === "number" ? value : [0x11, ...value]);
    if (selector === 5) return answer(it.mac);
    if (selector === 3) return answer(it.ip);
    if (it.ipv6 === undefined) return 0x80;
    if (selector === 50) return answer([2]);
    if (selector === 51) return answer([2]);
    if (selector === 55) return answer([0, 1, 3]);
    return selector === 59 ? answer([set, 1, ...it.ipv6, 64, 0]) : 0x80;
  });
}

const options = { extent: "until found", waitMs: 0, note: () => undefined } as const;
const global = [0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 7];

describe("findLanChannel", () => {
  test("stops at the first channel with MAC and IPv4 address: three commands", async () => {
    const one = bmc({ 1: { mac: mac(1), ip: [10, 0, 0, 7] }, 2: { mac: mac(2), ip: [10, 0, 0, 8] } });
    expect(await findLanChannel(one.conversation, options)).toEqual({
      channel: 1,
      mac: "52:54:00:b1:00:01",
      ipv4Address: "10.0.0.7",
      seen: [{ channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7", remark: "elected" }],
      findings: [],
    });
    expect(one.log).toHaveLength(3);
  });

  test("passes over a dead first channel (Intel RMM: 1 has a MAC and 0.0.0.0, 3 is live)", async () => {
    const { conversation } = bmc({
      1: { mac: mac(1), ip: [0, 0, 0, 0] },
      2: { mac: [0, 0, 0, 0, 0, 0] },
      3: { mac: mac(3), ip: [10, 0, 0, 9] },
    });
    const found = await findLanChannel(conversation, options);
    expect(found).toMatchObject({ channel: 3, mac: "52:54:00:b1:00:03" });
    expect(found.seen.map(({ channel, remark }) => `${channel} ${remark}`)).toEqual([
      "1 its IPv4 address is 0.0.0.0",
      "2 its MAC address is none: it is all zero",
      "3 elected",
    ]);
  });

  test("a global IPv6 address wins over a MAC alone", async () => {
    const { conversation } = bmc({
      1: { mac: mac(1), ip: [0, 0, 0, 0] },
      8: { mac: mac(8), ip: [169, 254, 1, 1], ipv6: global },
    });
    const found = await findLanChannel(conversation, options);
    expect(found).toMatchObject({ channel: 8, mac: "52:54:00:b1:00:08" });
    expect(found.ipv4Address).toBeUndefined();
    expect(found.seen.at(-1)?.remark).toBe("elected, although its IPv4 address is 169.254.1.1");
  });

  test("takes a MAC alone if there is nothing better", async () => {
    const { conversation } = bmc({ 2: { medium: 6, mac: mac(2), ip: 0x80 } });
    const found = await findLanChannel(conversation, options);
    expect(found).toMatchObject({ channel: 2, mac: "52:54:00:b1:00:02" });
    expect(found.seen[0]?.remark).toContain("its IPv4 address cannot be read: completion code 80h");
  });

  test.each([0xc1, 0xc2, 0xd4])(
    "without Get Channel Info (%d) it looks for a MAC (Facebook's OpenBMC)",
    async (code) => {
      const without = bmc({ 1: {}, 2: { mac: mac(2), ip: [10, 0, 0, 7] } }, code);
      expect(await findLanChannel(without.conversation, options)).toMatchObject({ channel: 2 });
      expect(without.log.filter((each) => each.startsWith("Get Channel Info"))).toHaveLength(1);
    },
  );

  test.each([
    ["zero", [0, 0, 0, 0, 0, 0]],
    ["broadcast", [255, 255, 255, 255, 255, 255]],
    ["multicast", [0x27, 0x53, 0, 0, 0, 1]],
  ])("a %s MAC is none", async (_kind, bogus) => {
    await expect(findLanChannel(bmc({ 1: { mac: bogus, ip: [10, 0, 0, 7] } }).conversation, options)).rejects.toThrow(
      NoLanChannelError,
    );
  });

  test("serial and IPMB channels are no LAN, even if they answer LAN parameters", async () => {
    const { conversation } = bmc({ 1: { medium: 5, mac: mac(1), ip: [10, 0, 0, 7] } });
    await expect(findLanChannel(conversation, options)).rejects.toThrow("channels 1 to 11 are no LAN");
  });

  test("a channel that cannot be asked is said, not taken for absent", async () => {
    const { conversation, log } = scriptedBmc((name, [channel = 0]) => {
      if (name === "Get Channel Info") return channel === 1 ? 0xff : 0xcc;
      return 0xcb;
    });
    await expect(findLanChannel(conversation, options)).rejects.toThrow(
      /channel 1 could not be asked what it is: completion code FFh \(unspecified error\)/,
    );
    expect(log.filter((each) => each === "Get Channel Info 01")).toHaveLength(3);
  });
});
