import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock } from "./dhcp-server.fixture.ts";
import { acquireAddress6, askInformation6, type Dhcp6Link, renewAddress6 } from "./dhcp6-client.ts";
import { decodeDhcp6, encodeDhcp6 } from "./dhcp6-message.ts";
import { acquireIpv6, type Ipv6World } from "./ipv6-client.ts";
import { type Ipv6Address, parseIfInet6 } from "./ipv6-interface.ts";
import { ipv6Bytes, ipv6Text } from "./ipv6-text.ts";
import { keepIpv6 } from "./keep-ipv6.ts";
import { decodeAdvertisement, encodeSolicitation, type RouterAdvertisement } from "./router-advertisement.ts";

const mac = Buffer.from("525400000001", "hex");
const nic = { name: "eth0", index: 2, mac: "52:54:00:00:00:01", macBytes: mac };
const never = new AbortController().signal;
const serverId = Buffer.from("00030001525400000099", "hex");

/** One's complement sum over pseudo-header and message: all ones if the checksum in it is right. RFC 1071. */
function sum(packet: Buffer): number {
  const message = packet.subarray(40);
  const pseudo = Buffer.concat([packet.subarray(8, 40), Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58]), message]);
  let total = 0;
  for (let at = 0; at < pseudo.length; at += 2) total += pseudo.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

describe("addresses", () => {
  test.each(["fd00::1", "::", "::1", "2001:db8:1:2:3:4:5:6", "fe80::5054:ff:fe00:1"])("%s", (text) => {
    expect(ipv6Text(ipv6Bytes(text))).toBe(text);
  });
  test("with an IPv4 address in it", () => {
    expect(ipv6Bytes("64:ff9b::10.0.0.1").toString("hex")).toBe("0064ff9b00000000000000000a000001");
    expect(() => ipv6Bytes("10.0.0.1")).toThrow("is no address of IPv6");
  });

  test("/proc/net/if_inet6", () => {
    const text = [
      "00000000000000000000000000000001 01 80 10 80       lo",
      "fec00000000000005054 02 40 00 00     eth0",
      "fec0000000000000505400fffe000001 02 40 40 80     eth0",
      "fd00000000000000505400fffe000001 02 40 00 40     eth0",
      "fe80000000000000505400fffe000001 02 40 20 80     eth0",
      "fd00000000000000505400fffe000002 02 40 00 48     eth0",
      "",
    ].join("\n");
    expect(parseIfInet6(text, "eth0")).toEqual([
      { address: "fec0::5054:ff:fe00:1", isLinkLocal: false, isTentative: false, isDuplicate: false, isGiven: true },
      { address: "fd00::5054:ff:fe00:1", isLinkLocal: false, isTentative: true, isDuplicate: false, isGiven: false },
      { address: "fe80::5054:ff:fe00:1", isLinkLocal: true, isTentative: false, isDuplicate: false, isGiven: true },
      { address: "fd00::5054:ff:fe00:2", isLinkLocal: false, isTentative: true, isDuplicate: true, isGiven: false },
    ]);
  });
});

/** As RFC 4861 §4.2 lays it out, made by hand. */
function advertisement(flags: number, options: readonly string[], lifetime = "0708", hopLimit = 255): Buffer {
  const body = Buffer.from(
    `86000000${"40"}${flags.toString(16).padStart(2, "0")}${lifetime}${"0".repeat(16)}${options.join("")}`,
    "hex",
  );
  const header = Buffer.from(`60000000${body.length.toString(16).padStart(4, "0")}3a${hopLimit.toString(16)}`, "hex");
  const packet = Buffer.concat([header, ipv6Bytes("fe80::1"), ipv6Bytes("ff02::1"), body]);
  packet.writeUInt16BE(~sum(packet) & 0xffff, 42);
  return packet;
}

const prefix = (flags: string, valid = "00015180") =>
  `030440${flags}${valid}0000384000000000${ipv6Bytes("fd00::").toString("hex")}`;
const rdnss = `19030000000004b0${ipv6Bytes("fd00::53").toString("hex")}`;
const dnssl = `1f030000000004b0${Buffer.from("\u0003lab\u0007example\u0000\u0000\u0000\u0000").toString("hex")}`;

describe("routers", () => {
  test("a solicitation, byte by byte", () => {
    const packet = encodeSolicitation();
    expect(packet.toString("hex", 0, 8)).toBe("6000000000083aff");
    expect(ipv6Text(packet.subarray(24, 40))).toBe("ff02::2");
    expect(packet[40]).toBe(133);
    expect(sum(packet)).toBe(0xffff);
  });

  test("an advertisement", () => {
    expect(decodeAdvertisement(advertisement(0xc0, [prefix("c0"), rdnss, dnssl]))).toEqual({
      router: "fe80::1",
      managed: true,
      other: true,
      isDefaultRouter: true,
      autonomous: true,
      dns: ["fd00::53"],
      search: ["lab.example"],
    });
    const without = decodeAdvertisement(advertisement(0, [prefix("80"), prefix("c0", "00000000")], "0000"));
    expect(without).toMatchObject({ managed: false, other: false, isDefaultRouter: false, autonomous: false, dns: [] });
  });

  test("none of a router of this link: forwarded, damaged, of another kind, with an option of no length", () => {
    const good = advertisement(0, [prefix("c0")]);
    expect(decodeAdvertisement(Buffer.concat([good, Buffer.alloc(6)]))).toBeDefined();
    expect(decodeAdvertisement(advertisement(0, [prefix("c0")], "0708", 64))).toBeUndefined();
    expect(decodeAdvertisement(advertisement(0, ["0300000000000000"]))).toBeUndefined();
    for (const at of [0, 6, 8, 40, 45, 60]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 0x11;
      expect(decodeAdvertisement(bad), `byte ${at}`).toBeUndefined();
    }
    for (let length = 0; length < good.length; length++)
      expect(decodeAdvertisement(good.subarray(0, length))).toBeUndefined();
  });

  test("any bytes: an advertisement or none", () => {
    const good = advertisement(0xc0, [prefix("c0"), rdnss, dnssl]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(good.length), (noise, cut) => {
        decodeAdvertisement(noise);
        decodeAdvertisement(Buffer.concat([good.subarray(0, cut), noise]));
      }),
    );
  });
});

const option = (code: number, data: string | Buffer): Buffer => {
  const bytes = typeof data === "string" ? Buffer.from(data, "hex") : data;
  return Buffer.concat([Buffer.from([code >> 8, code & 255, bytes.length >> 8, bytes.length & 255]), bytes]);
};

interface Asked {
  readonly type: number;
  readonly at: number;
  readonly options: ReadonlyMap<number, Buffer>;
}

/** A server's answer as RFC 8415 §8 lays it out, made by hand. */
function answer(asked: Buffer, type: number, more: readonly Buffer[], id: Buffer = serverId): Buffer {
  const client = option(1, Buffer.concat([Buffer.from("00030001", "hex"), mac]));
  return Buffer.concat([Buffer.from([type]), asked.subarray(1, 4), client, option(2, id), ...more]);
}

const association = (address: string, valid = 3600, times = "00000708000a8c00") => {
  const lifetime = valid.toString(16).padStart(8, "0");
  return option(
    3,
    Buffer.concat([
      mac.subarray(2),
      Buffer.from(times, "hex"),
      option(5, `${ipv6Bytes(address).toString("hex")}${lifetime}${lifetime}`),
    ]),
  );
};
const noAddresses = option(
  3,
  Buffer.concat([mac.subarray(2), Buffer.alloc(8), option(13, `0002${Buffer.from("none left\n").toString("hex")}`)]),
);
const dnsOption = option(23, ipv6Bytes("fd00::53"));

/** A link with servers behind it. Waiting for a message moves the clock. */
class FakeServers implements Dhcp6Link {
  readonly asked: Asked[] = [];
  readonly #queue: Buffer[] = [];
  readonly #clock: FakeClock;
  readonly #answers: (asked: Asked, bytes: Buffer) => readonly Buffer[];

  constructor(clock: FakeClock, answers: (asked: Asked, bytes: Buffer) => readonly Buffer[]) {
    this.#clock = clock;
    this.#answers = answers;
  }

  send(message: Uint8Array): void {
    const bytes = Buffer.from(message);
    const options = new Map<number, Buffer>();
    for (let at = 4; at < bytes.length; at += 4 + bytes.readUInt16BE(at + 2)) {
      options.set(bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + bytes.readUInt16BE(at + 2)));
    }
    const asked = { type: bytes[0] ?? 0, at: this.#clock.time, options };
    this.asked.push(asked);
    this.#queue.push(...this.#answers(asked, bytes));
  }

  async receive(waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    await Promise.resolve();
    signal.throwIfAborted();
    const next = this.#queue.shift();
    if (!next) this.#clock.time += waitMs;
    return next;
  }

  close(): void {}
}

const good = ({ type }: Asked, bytes: Buffer): readonly Buffer[] => {
  if (type === 1) return [answer(bytes, 2, [association("fd00::77")])];
  return [answer(bytes, 7, type === 11 ? [dnsOption] : [association("fd00::77"), dnsOption])];
};

function client() {
  const notes: string[] = [];
  return { mac, clock: new FakeClock(), random: () => 0.5, note: (text: string) => notes.push(text), notes };
}

describe("DHCPv6", () => {
  test("solicit, advertise, request, reply", async () => {
    const options = client();
    const link = new FakeServers(options.clock, good);
    expect(await acquireAddress6(link, options, never)).toMatchObject({
      address: "fd00::77",
      dns: ["fd00::53"],
      validSeconds: 3600,
      renewalSeconds: 1800,
    });
    const [solicit, request] = link.asked;
    expect(link.asked.map(({ type }) => type)).toEqual([1, 3]);
    expect(solicit?.options.get(1)?.toString("hex")).toBe("00030001525400000001");
    expect(solicit?.options.get(3)?.toString("hex")).toBe("000000010000000000000000");
    expect(request?.options.get(2)).toEqual(serverId);
    expect(request?.options.get(3)?.toString("hex", 12)).toContain(ipv6Bytes("fd00::77").toString("hex"));
  });

  test("of two servers the one with the higher preference is asked, though it answers later", async () => {
    const other = Buffer.from("00030001525400000098", "hex");
    const options = client();
    const link = new FakeServers(options.clock, (asked, bytes) =>
      asked.type === 1
        ? [
            answer(bytes, 2, [association("fd00::66")], other),
            answer(bytes, 2, [association("fd00::77"), option(7, "0a")]),
          ]
        : [answer(bytes, 7, [association("fd00::66")], other), ...good(asked, bytes)],
    );
    expect((await acquireAddress6(link, options, never)).address).toBe("fd00::77");
  });

  test("silence, then a refusal with its words, then an address", async () => {
    const options = client();
    let turn = 0;
    const link = new FakeServers(options.clock, (asked, bytes) => {
      turn++;
      if (turn <= 2) return [];
      return turn === 3 ? [answer(bytes, 2, [noAddresses])] : good(asked, bytes);
    });
    await acquireAddress6(link, options, never);
    expect(link.asked.slice(0, 4).map(({ at }) => at)).toEqual([0, 1000, 3000, 3000]);
    expect(options.notes).toEqual([
      "no DHCPv6 answer after 2 tries, trying on",
      "the DHCPv6 server has no address: status 2 (none left)",
    ]);
  });

  test("strangers' answers are dropped: other transaction, other client, noise", async () => {
    const options = client();
    const link = new FakeServers(options.clock, (asked, bytes) => {
      const late = Buffer.from(bytes);
      late[3] = (late[3] ?? 0) ^ 1;
      const foreign = answer(bytes, asked.type === 1 ? 2 : 7, [association("fd00::66")]);
      foreign[17] = 9;
      return [answer(late, 2, [association("fd00::66")]), foreign, Buffer.from("noise"), ...good(asked, bytes)];
    });
    expect((await acquireAddress6(link, options, never)).address).toBe("fd00::77");
  });

  test("DNS servers alone; nobody there: no answer, no error", async () => {
    const options = client();
    const link = new FakeServers(options.clock, good);
    expect(await askInformation6(link, options, 5_000, never)).toMatchObject({ dns: ["fd00::53"], address: undefined });
    expect(link.asked[0]?.options.has(3)).toBe(false);
    expect(await askInformation6(new FakeServers(options.clock, () => []), options, 5_000, never)).toBeUndefined();
  });

  test("a renewal names server and address; a rebinding only the address", async () => {
    const options = client();
    const link = new FakeServers(options.clock, good);
    const held = { address: "fd00::77", server: serverId };
    expect(await renewAddress6(link, options, held, "renew", never)).toMatchObject({ address: "fd00::77" });
    await renewAddress6(link, options, held, "rebind", never);
    expect(link.asked.map(({ type, options: sent }) => [type, sent.has(2)])).toEqual([
      [5, true],
      [6, false],
    ]);
    expect(await renewAddress6(link, options, { ...held, address: "fd00::1" }, "renew", never)).toBeUndefined();
  });

  test("any bytes: a reply or none", () => {
    const bytes = answer(encodeDhcp6({ type: 1, transaction: 7, mac, elapsed: 0 }), 7, [
      association("fd00::77"),
      dnsOption,
    ]);
    expect(decodeDhcp6(bytes, mac)).toMatchObject({ transaction: 7, address: "fd00::77" });
    expect(decodeDhcp6(answer(bytes, 7, [association("ff02::1")]), mac)?.address).toBeUndefined();
    expect(decodeDhcp6(answer(bytes, 7, [association("fd00::77", 0)]), mac)?.address).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(bytes.length), (noise, cut) => {
        decodeDhcp6(noise, mac);
        decodeDhcp6(Buffer.concat([bytes.subarray(0, cut), noise]), mac);
      }),
    );
  });
});

describe("an address", () => {
  const heard: RouterAdvertisement = {
    router: "fe80::1",
    managed: false,
    other: false,
    isDefaultRouter: true,
    autonomous: true,
    dns: ["fe80::1"],
    search: [],
  };
  const proved = { isTentative: false, isDuplicate: false, isGiven: false };
  const linkLocal: Ipv6Address = { address: "fe80::5", isLinkLocal: true, ...proved };
  const own: Ipv6Address = { address: "fd00::5", isLinkLocal: false, ...proved };

  /** A kernel that has proved its addresses after 1.5 s. */
  function world(says: RouterAdvertisement, at = 0, answers = good, clash = false) {
    const options = client();
    const { clock } = options;
    const added: string[] = [];
    let solicited = 0;
    const ipv6: Ipv6World = {
      enable: () => true,
      openRouterLink: () => ({
        solicit: () => void solicited++,
        async receive(waitMs, signal) {
          await clock.sleep(waitMs, signal);
          return clock.time >= at ? says : undefined;
        },
        close: () => undefined,
      }),
      openDhcp: async () => new FakeServers(clock, answers),
      addresses: () => {
        const all = [linkLocal, ...(says.autonomous ? [own] : []), ...added.map((address) => ({ ...own, address }))];
        return all.map((each) => ({
          ...each,
          isTentative: clock.time < 1_500,
          isDuplicate: clash && !each.isLinkLocal,
        }));
      },
      addAddress: (_, address) => void added.push(address),
      addDefaultRoute: () => undefined,
    };
    return { ipv6, options, added, clock, solicited: () => solicited };
  }

  test("that the kernel makes itself is waited for until it is proved", async () => {
    const { ipv6, options, clock } = world(heard);
    expect(await acquireIpv6(nic, ipv6, options, never)).toEqual({
      addresses: ["fd00::5"],
      router: "fe80::1",
      dns: ["fe80::1%eth0"],
      search: [],
      lease: undefined,
    });
    expect(clock.time).toBeGreaterThanOrEqual(1_500);
  });

  test("routers are asked again and again", async () => {
    const { ipv6, options, solicited } = world(heard, 20_000);
    await acquireIpv6(nic, ipv6, options, never);
    expect(solicited()).toBe(5); // after 1, 2, 4, 8 and 16 s
  });

  test("by DHCPv6 where the router says so, and DNS servers with it", async () => {
    const { ipv6, options, added } = world({ ...heard, managed: true, autonomous: false, dns: [] });
    expect(await acquireIpv6(nic, ipv6, options, never)).toMatchObject({
      addresses: ["fd00::77"],
      dns: ["fd00::53"],
      lease: { address: "fd00::77", validSeconds: 3600 },
    });
    expect(added).toEqual(["fd00::77"]);
  });

  test("DNS servers by DHCPv6 only where the router names none itself", async () => {
    const stateless = world({ ...heard, other: true, dns: [] });
    expect((await acquireIpv6(nic, stateless.ipv6, stateless.options, never)).dns).toEqual(["fd00::53"]);
    const named = world({ ...heard, other: true }, 0, () => {
      throw new Error("nobody is to be asked");
    });
    await acquireIpv6(nic, named.ipv6, named.options, never);
  });

  test("of its own is enough where the DHCPv6 server does not answer", async () => {
    const { ipv6, options } = world({ ...heard, managed: true }, 0, () => []);
    expect((await acquireIpv6(nic, ipv6, options, never)).addresses).toEqual(["fd00::5"]);
    expect(options.notes.at(-1)).toBe("no address by DHCPv6: going on without it");
  });

  test("that another machine has is none, and said", async () => {
    const { ipv6, options, clock } = world(heard, 0, good, true);
    const stop = new AbortController();
    const note = (text: string): void => {
      options.note(text);
      if (clock.time > 9_000) stop.abort(new Error("over"));
    };
    const tried = acquireIpv6(nic, ipv6, { ...options, note }, stop.signal);
    await expect(tried).rejects.toThrow("over");
    expect(options.notes).toContain("another machine has the address fd00::5");
  });

  test("by DHCPv6 is renewed at T1, and given up at its end", async () => {
    const { ipv6, options, clock } = world(heard);
    clock.time = 2_000;
    let answered = 0;
    const asked: number[] = [];
    const openDhcp = async () =>
      new FakeServers(clock, (question, bytes) => {
        asked.push(question.type);
        return answered++ === 0 ? good(question, bytes) : [];
      });
    const lease = await acquireAddress6(new FakeServers(clock, good), options, never);
    const boundAt = clock.time;
    await keepIpv6(nic, { ...lease, boundAt }, { ...ipv6, openDhcp }, options, never);
    expect(options.notes).toEqual([
      "eth0: the address fd00::77 was renewed for 3600 s",
      "eth0: the address fd00::77 could not be renewed by DHCPv6",
    ]);
    expect(asked[0]).toBe(5);
    expect(asked.at(-1)).toBe(5);
    expect(clock.time - boundAt).toBeGreaterThan(3_600_000);
  });
});
