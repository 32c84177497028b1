import { describe, expect, test } from "vitest";
import { findLanChannel, NoLanChannelError } from "./lan-channel.ts";
import { type ScriptedAnswer, scriptedBmc } from "./scripted-bmc.fixture.ts";

interface Channel {
  readonly medium?: number;
  readonly mac?: readonly number[] | number;
  readonly ip?: readonly number[] | number;
  readonly ipv6?: readonly number[];
  /** LAN parameter 4: 1 is static, 2 DHCP. */
  readonly source?: number;
  /** More LAN parameters by selector. */
  readonly more?: Readonly<Record<number, readonly number[]>>;
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
    if (selector === 4) return answer(it.source === undefined ? 0x80 : [it.source]);
    const more = it.more?.[selector];
    if (more !== undefined) return answer(more);
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
      unanswered: [],
      findings: [],
    });
    expect(one.log).toHaveLength(3);
  });

  test("tells the channels that gave no answer from those that have no MAC address", async () => {
    const channels = { 1: { mac: 0xff }, 2: { mac: 0x80 }, 3: { mac: 0xd4 }, 4: { mac: [1, 2] }, 5: { mac: mac(5) } };
    expect(await findLanChannel(bmc(channels).conversation, options)).toMatchObject({ channel: 5, unanswered: [1, 4] });
    const none = findLanChannel(bmc({ 1: { mac: 0xff }, 2: { mac: 0x80 } }).conversation, options);
    await expect(none).rejects.toMatchObject({ name: "NoLanChannelError", unanswered: [1] });
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
    expect(found.seen.at(-1)?.remark).toBe("elected for its IPv6 address, although its IPv4 address is 169.254.1.1");
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

  test.each([0xcc, 0xc9, 0xcb, 0x82])(
    "Get Channel Info that knows no channel at all (%d): it looks for a MAC all the same",
    async (code) => {
      const without = bmc({ 8: { mac: mac(8), ip: [10, 0, 0, 7] } }, code);
      expect(await findLanChannel(without.conversation, options)).toMatchObject({
        channel: 8,
        ipv4Address: "10.0.0.7",
      });
    },
  );

  test.each([0x00, 0x60, 0x7f])(
    "a medium that nobody knows (%d) is a LAN if it has a MAC and no other is one",
    async (medium) => {
      const odd = bmc({ 1: { medium: 5 }, 3: { medium, mac: mac(3), ip: [10, 0, 0, 7] } });
      expect(await findLanChannel(odd.conversation, options)).toMatchObject({ channel: 3, ipv4Address: "10.0.0.7" });
      const beside = bmc({
        2: { medium, mac: mac(2), ip: [10, 0, 0, 7] },
        5: { medium: 4, mac: mac(5), ip: [10, 0, 0, 9] },
      });
      expect(await findLanChannel(beside.conversation, options)).toMatchObject({ channel: 5 });
      expect(beside.log.filter((each) => each.startsWith("Get LAN"))).toHaveLength(2);
    },
  );

  test("Get Channel Info that is busy for ever is given up after two channels", async () => {
    const busy = bmc({ 8: { mac: mac(8), ip: [10, 0, 0, 7] } }, 0xc3);
    expect(await findLanChannel(busy.conversation, options)).toMatchObject({ channel: 8 });
    const asked = busy.log.filter((each) => each.startsWith("Get Channel Info"));
    expect([...new Set(asked)]).toEqual(["Get Channel Info 01", "Get Channel Info 02"]);
  });

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

  test("a channel that cannot be asked what it is is one if it has a MAC", async () => {
    const failing = bmc({ 2: { mac: mac(2), ip: [10, 0, 0, 7] } }, 0xff);
    const found = await findLanChannel(failing.conversation, options);
    expect(found).toMatchObject({ channel: 2 });
    expect(found.findings).toHaveLength(2);
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

  test("looks at every channel if asked to, and says which comes first", async () => {
    const two = bmc({ 1: { mac: mac(1), ip: [10, 0, 0, 7] }, 8: { mac: mac(8), ip: [10, 0, 0, 8] } });
    const found = await findLanChannel(two.conversation, { ...options, extent: "all" });
    expect(found).toMatchObject({ channel: 1 });
    expect(found.seen.map(({ channel, remark }) => `${channel} ${remark}`)).toEqual([
      "1 elected",
      "8 channel 1 comes first",
    ]);
  });

  test("16.1.15.1 is no address", async () => {
    const { conversation } = bmc({ 1: { mac: mac(1), ip: [16, 1, 15, 1] }, 2: { mac: mac(2), ip: [10, 0, 0, 7] } });
    expect(await findLanChannel(conversation, options)).toMatchObject({ channel: 2 });
  });

  test("a busy BMC is waited for before a channel is passed over", async () => {
    const { conversation } = scriptedBmc((name, [, selector], nth) => {
      if (nth < 6) return 0xc0;
      if (name === "Get Channel Info") return [1, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0];
      return selector === 5 ? [0x11, ...mac(1)] : [0x11, 10, 0, 0, 7];
    });
    expect(await findLanChannel(conversation, options)).toMatchObject({ channel: 1, ipv4Address: "10.0.0.7" });
  });
});

describe("what is not there yet", () => {
  const notes: string[] = [];
  const waiting = { extent: "until found", waitMs: 10_000, note: (text: string) => notes.push(text) } as const;

  test("an address by DHCP is waited for, on every channel that asks for one", async () => {
    const lans: Record<number, Channel> = {
      1: { mac: mac(1), ip: [0, 0, 0, 0], source: 2 },
      2: { mac: mac(2), ip: [0, 0, 0, 0], source: 1 },
      3: { mac: mac(3), ip: [0, 0, 0, 0], source: 2 },
    };
    const { conversation, waits } = bmc(lans);
    const sleep = conversation.clock.sleep;
    const clock = {
      now: () => conversation.clock.now(),
      sleep: (ms: number, signal?: AbortSignal) => {
        if (waits.length === 2) lans[3] = { ...lans[3], ip: [10, 0, 0, 9] };
        return sleep(ms, signal);
      },
    };
    notes.length = 0;
    const found = await findLanChannel({ ...conversation, clock }, waiting);
    expect(found).toMatchObject({ channel: 3, ipv4Address: "10.0.0.9" });
    expect(found.seen.map(({ remark }) => remark)).toEqual([
      "its IPv4 address is 0.0.0.0 and it got none in time",
      "its IPv4 address is 0.0.0.0",
      "elected, although it got its address late",
    ]);
    expect(waits).toEqual([2_000, 2_000]);
    expect(notes).toEqual(["The BMC has no IP address yet: waiting up to 10 s for one."]);
  });

  test("an address that does not come: the MAC is told all the same, in time", async () => {
    const { conversation, waits } = bmc({ 1: { mac: mac(1), ip: [0, 0, 0, 0], source: 2 } });
    const found = await findLanChannel(conversation, waiting);
    expect(found).toMatchObject({ channel: 1, mac: "52:54:00:b1:00:01" });
    expect(found.ipv4Address).toBeUndefined();
    expect(waits).toEqual(Array(5).fill(2_000));
  });

  test.each([
    ["is not told", {}],
    ["is the firmware", { source: 3 }],
  ])("an address whose source %s is waited for", async (_what, more) => {
    const { conversation, waits } = bmc({ 1: { mac: mac(1), ip: [0, 0, 0, 0], ...more } });
    await findLanChannel(conversation, waiting);
    expect(waits).toEqual(Array(5).fill(2_000));
  });

  test("an IPv6 address that came in the meantime is found at the end", async () => {
    const lans: Record<number, Channel> = { 1: { mac: mac(1), ip: [0, 0, 0, 0], ipv6: Array(16).fill(0), source: 2 } };
    const { conversation, waits } = bmc(lans);
    const sleep = conversation.clock.sleep;
    const clock = {
      now: () => conversation.clock.now(),
      sleep: (ms: number, signal?: AbortSignal) => {
        if (waits.length === 3) lans[1] = { ...lans[1], ipv6: global };
        return sleep(ms, signal);
      },
    };
    const found = await findLanChannel({ ...conversation, clock }, waiting);
    expect(found.ipv6?.addresses).toEqual(["2001:db8::7/64"]);
    expect(found.seen[0]?.remark).toMatch(/^elected for its IPv6 address, although/);
    expect(waits).toHaveLength(5);
  });

  test.each([
    ["a static address", { source: 1 }],
    ["a global IPv6 address", { source: 2, ipv6: global }],
  ])("%s is not waited for", async (_what, more) => {
    const { conversation, waits } = bmc({ 1: { mac: mac(1), ip: [0, 0, 0, 0], ...more } });
    expect(await findLanChannel(conversation, waiting)).toMatchObject({ channel: 1 });
    expect(waits).toEqual([]);
  });

  test("a channel that shows up late is found; nothing for good is an error in time", async () => {
    const late = scriptedBmc((name, [channel, selector], nth) => {
      if (name === "Get Channel Info" && channel === 14) return [15, 12, 5, 0, 0xf2, 0x1b, 0, 0, 0];
      if (name === "Get Channel Info") return channel === 2 && nth > 2 ? [2, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0] : 0xcc;
      return selector === 5 ? [0x11, ...mac(2)] : [0x11, 10, 0, 0, 7];
    });
    expect(await findLanChannel(late.conversation, waiting)).toMatchObject({ channel: 2 });
    const never = bmc({});
    await expect(findLanChannel(never.conversation, waiting)).rejects.toThrow(NoLanChannelError);
    expect(never.waits).toEqual([5_000, 5_000]);
  });
});

describe("a BMC that is closed to its machine", () => {
  test.each([0xd4, 0xd5, 0xd6, 0xc1])("%d to everything: told at once, with the code", async (code) => {
    const { conversation, waits } = scriptedBmc(() => code);
    const options = { extent: "until found", waitMs: 30_000, note: () => undefined } as const;
    const error = await findLanChannel(conversation, options).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(NoLanChannelError);
    expect((error as NoLanChannelError).refusal?.completionCode).toBe(code);
    expect(waits).toEqual([]);
  });

  test("D4h to Get Channel Info alone keeps nothing back", async () => {
    const { conversation } = bmc({ 3: { mac: mac(3), ip: [10, 0, 0, 7] } }, 0xd4);
    expect(await findLanChannel(conversation, options)).toMatchObject({ channel: 3 });
  });

  test("D4h to the MAC address of one channel is no lock", async () => {
    const { conversation } = bmc({ 1: { mac: 0xd4 }, 2: { mac: [0, 0, 0, 0, 0, 0] } });
    const error = await findLanChannel(conversation, options).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(NoLanChannelError);
    expect((error as NoLanChannelError).refusal).toBeUndefined();
  });

  test("an error while probing is told, not taken for no channel", async () => {
    const { conversation } = scriptedBmc((name) => (name === "Get Channel Info" ? 0xc1 : 0xff));
    await expect(findLanChannel(conversation, options)).rejects.toThrow(
      /channel 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: its MAC address cannot be read: completion code FFh/,
    );
  });
});

describe("IPv6 where there is no IPv4", () => {
  const without = (more: Record<number, readonly number[]>) =>
    bmc({ 1: { mac: mac(1), ip: [0, 0, 0, 0], source: 1, more } });

  test("AMI's own parameters, where the specification's are not known", async () => {
    const { conversation } = without({ 197: global, 198: [48] });
    expect((await findLanChannel(conversation, options)).ipv6?.addresses).toEqual(["2001:db8::7/48"]);
    const linkLocal = without({ 197: [0xfe, 0x80, ...new Array<number>(14).fill(1)], 198: [64] });
    expect((await findLanChannel(linkLocal.conversation, options)).ipv6?.addresses).toEqual([]);
    const noPrefix = without({ 197: global });
    expect((await findLanChannel(noPrefix.conversation, options)).ipv6?.addresses).toEqual(["2001:db8::7/64"]);
  });

  test("AMI's own parameters are not asked for where the specification's are known", async () => {
    const { conversation, log } = without({ 50: [0], 197: global });
    expect((await findLanChannel(conversation, options)).ipv6?.addresses).toEqual([]);
    expect(log.some((each) => each.includes("01c5"))).toBe(false);
  });

  test("a BMC without parameters 50 and 55, but with addresses", async () => {
    const { conversation } = without({ 51: [1], 59: [0, 1, ...global, 64, 0] });
    expect((await findLanChannel(conversation, options)).ipv6?.addresses).toContain("2001:db8::7/64");
  });

  test("enabled for IPv4 only: none", async () => {
    const { conversation } = without({ 50: [2], 51: [0], 59: [0, 1, ...global, 64, 0] });
    expect((await findLanChannel(conversation, options)).ipv6?.addresses).toEqual([]);
  });
});
