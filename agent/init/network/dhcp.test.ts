import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { acquireLease, type DhcpClientOptions, keepLease, type Lease } from "./dhcp-client.ts";
import { decodeReply, encodeRequest, messageType } from "./dhcp-message.ts";
import { type Answer, FakeClock, FakeLink, goodServer, type Heard, reply, seconds } from "./dhcp-server.fixture.ts";
import { unwrapUdp, wrapInUdp } from "./packet-link.ts";

const mac = Buffer.from("525400000001", "hex");
const never = new AbortController().signal;

function client(): DhcpClientOptions & { clock: FakeClock; notes: string[] } {
  const notes: string[] = [];
  return { mac, clock: new FakeClock(), random: () => 0.5, note: (text) => notes.push(text), notes };
}

describe("messages", () => {
  test("a discover, byte by byte where RFC 2131 figure 1 fixes it", () => {
    const bytes = encodeRequest({ type: messageType.discover, transaction: 0x12345678, seconds: 3, mac });
    expect(bytes.length).toBe(300);
    expect(bytes.toString("hex", 0, 34)).toBe(
      ["01010600", "12345678", "0003", "0000", "00000000".repeat(4), "525400000001"].join(""),
    );
    expect(bytes.toString("hex", 236, 243)).toBe("63825363" + "350101");
  });

  test("a reply with all that counts", () => {
    const heard = { transaction: 7 } as Heard;
    const bytes = reply(heard, messageType.ack, "10.1.2.3", {
      1: [255, 255, 240, 0],
      6: [10, 0, 0, 53],
      12: [...Buffer.from("node7")],
      15: [...Buffer.from("example.org")],
      26: [0x23, 0x28],
      51: [255, 255, 255, 255],
      54: [10, 1, 0, 1],
      119: [3, 0x65, 0x6e, 0x67, 7, ...Buffer.from("example"), 3, ...Buffer.from("org"), 0, 2, 0x68, 0x71, 0xc0, 4],
      121: [0, 10, 1, 0, 1, 12, 172, 16, 0, 0, 0, 0, 32, 1, 2, 3, 4, 10, 1, 0, 2],
    });
    expect(decodeReply(bytes)).toMatchObject({
      type: 5,
      transaction: 7,
      address: "10.1.2.3",
      server: "10.1.0.1",
      dns: ["10.0.0.53"],
      domain: "example.org",
      hostName: "node7",
      mtu: 9000,
      leaseSeconds: Number.POSITIVE_INFINITY,
      search: ["eng.example.org", "hq.example.org"],
      routes: [
        { destination: "0.0.0.0", prefixLength: 0, gateway: "10.1.0.1" },
        { destination: "172.16.0.0", prefixLength: 12, gateway: "0.0.0.0" },
        { destination: "1.2.3.4", prefixLength: 32, gateway: "10.1.0.2" },
      ],
    });
  });

  test("options in `file` and `sname` where option 52 says so; a long option in two parts", () => {
    const bytes = reply({ transaction: 7 } as Heard, messageType.offer, "10.0.0.7", { 52: [3], 6: [10, 0] });
    const second = Buffer.concat([bytes.subarray(0, bytes.length - 1), Buffer.from([6, 2, 0, 53, 255])]);
    second.set([54, 4, 10, 0, 0, 9, 255], 108);
    second.set([3, 4, 10, 0, 0, 1, 255], 44);
    expect(decodeReply(second)).toMatchObject({ dns: ["10.0.0.53"], server: "10.0.0.9", routers: ["10.0.0.1"] });
  });

  test("a search list of nothing but pointers to one long name does not become 128 times as long", () => {
    const label = (length: number) => [length, ...Buffer.alloc(length, "a")];
    const name = [63, 63, 63, 46].flatMap(label);
    const pointers = Array.from({ length: 6 }, () => [0xc0, 0]).flat();
    const bytes = reply({ transaction: 7 } as Heard, messageType.ack, "10.0.0.7", { 119: [...name, 0, ...pointers] });
    expect(decodeReply(bytes)?.search).toHaveLength(7);
    const parts = Array.from({ length: 4 }, () => Buffer.from([119, 254, ...Buffer.alloc(254, "c000", "hex")]));
    const long = Buffer.concat([bytes.subarray(0, -1), ...parts, Buffer.from([255])]);
    expect(decodeReply(long)?.search).toHaveLength(32);
  });

  test("names that could break resolv.conf are dropped", () => {
    const bytes = reply({ transaction: 7 } as Heard, messageType.ack, "10.0.0.7", {
      15: [...Buffer.from("a\nnameserver 6.6.6.6")],
      12: [...Buffer.from("$(reboot)")],
      119: [3, 0x0a, 0x20, 0x61, 0, 0xc0, 0],
    });
    expect(decodeReply(bytes)).toMatchObject({ domain: undefined, hostName: undefined, search: [] });
  });

  test("any bytes: a reply or none, also when they begin well", () => {
    const good = reply({ transaction: 7 } as Heard, messageType.ack, "10.0.0.7", { 121: [24, 10, 0, 0, 10, 0, 0, 1] });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(300), (noise, cut) => {
        decodeReply(noise);
        decodeReply(Buffer.concat([good.subarray(0, cut), noise]));
        decodeReply(Buffer.concat([good.subarray(0, 240), noise]));
      }),
    );
  });
});

describe("packets", () => {
  const answered = (message: Uint8Array): Buffer => {
    const packet = wrapInUdp(message);
    packet.writeUInt16BE(67, 20);
    packet.writeUInt16BE(68, 22);
    return packet;
  };

  test("IPv4 and UDP headers with their checksums (RFC 1071: the sum over header and checksum is all ones)", () => {
    const sum = (bytes: Uint8Array): number => {
      let total = 0;
      for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
      return (total & 0xffff) + (total >>> 16);
    };
    const packet = wrapInUdp(Buffer.from("hello"));
    expect(sum(packet.subarray(0, 20))).toBe(0xffff);
    expect(packet.readUInt16BE(2)).toBe(33);
    const pseudo = Buffer.concat([packet.subarray(12, 20), Buffer.from([0, 17, 0, 13])]);
    expect(sum(Buffer.concat([pseudo, packet.subarray(20)]))).toBe(0xffff);
  });

  test("other packets are none of ours", () => {
    const good = answered(Buffer.from("hello"));
    expect(Buffer.from(unwrapUdp(good) ?? []).toString()).toBe("hello");
    expect(Buffer.from(unwrapUdp(Buffer.concat([good, Buffer.alloc(9)])) ?? []).toString()).toBe("hello");
    expect(unwrapUdp(wrapInUdp(Buffer.from("hello")))).toBeUndefined();
    for (const [at, value] of [
      [0, 0x65],
      [0, 0x44],
      [6, 0x20],
      [9, 6],
      [12, 1],
      [24, 0xff],
    ] as const) {
      const bad = Buffer.from(good);
      bad[at] = value;
      expect(unwrapUdp(bad), `byte ${at}`).toBeUndefined();
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => void unwrapUdp(noise)));
    for (let length = 0; length < good.length; length++) expect(unwrapUdp(good.subarray(0, length))).toBeUndefined();
  });
});

describe("getting a lease", () => {
  test("discover, offer, request, ack", async () => {
    const options = client();
    const link = new FakeLink(options.clock, goodServer());
    expect(await acquireLease(link, options, never)).toEqual({
      address: "10.0.0.7",
      prefixLength: 24,
      server: "10.0.0.1",
      routes: [{ destination: "0.0.0.0", prefixLength: 0, gateway: "10.0.0.1" }],
      dns: ["10.0.0.53", "10.0.0.54"],
      domain: undefined,
      search: [],
      hostName: undefined,
      mtu: undefined,
      leaseSeconds: 3600,
      renewalSeconds: 1800,
      rebindingSeconds: 3150,
      boundAt: 0,
    });
    const [discover, request] = link.heard;
    expect(link.heard.map(({ type, to }) => [type, to])).toEqual([
      [messageType.discover, "broadcast"],
      [messageType.request, "broadcast"],
    ]);
    expect(request?.transaction).toBe(discover?.transaction);
    expect(request?.options.get(50)).toEqual(Buffer.from([10, 0, 0, 7]));
    expect(request?.options.get(54)).toEqual(Buffer.from([10, 0, 0, 1]));
    expect(options.clock.time).toBe(0);
  });

  test("silence: asked again after 1, 2, 4, 8, 16, 16 s, and said", async () => {
    const options = client();
    let silent = 6;
    const good = goodServer();
    const link = new FakeLink(options.clock, (heard) => (silent-- > 0 ? undefined : good(heard)));
    await acquireLease(link, options, never);
    expect(link.heard.slice(0, 7).map(({ at }) => at)).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 47_000]);
    expect(options.notes.at(-1)).toBe("no DHCP offer after 6 tries (47 s), trying on");
  });

  test("strangers' answers are dropped: other transaction, other MAC, no server, noise", async () => {
    const options = client();
    const good = goodServer();
    const link = new FakeLink(options.clock, good);
    link.answer = (heard) => {
      const offer = { 54: [6, 6, 6, 6], 51: seconds(60) };
      link.push(reply({ ...heard, transaction: (heard.transaction ^ 1) >>> 0 }, messageType.offer, "6.6.6.6", offer));
      link.push(reply(heard, messageType.offer, "6.6.6.6", offer, Buffer.from("525400000002", "hex")));
      link.push(
        reply(
          heard,
          messageType.ack,
          "6.6.6.6",
          heard.type === messageType.discover ? offer : { 54: [] },
          Buffer.alloc(6),
        ),
      );
      link.push(Buffer.from("noise"));
      return good(heard);
    };
    expect((await acquireLease(link, options, never)).address).toBe("10.0.0.7");
  });

  test("a NAK: said, and begun anew with a new transaction", async () => {
    const options = client();
    let random = 0;
    const good = goodServer();
    let naks = 1;
    const answer: Answer = (heard) =>
      heard.type === messageType.request && naks-- > 0
        ? reply(heard, messageType.nak, "0.0.0.0", { 56: [...Buffer.from("taken\u0007")], 54: [10, 0, 0, 1] })
        : good(heard);
    const link = new FakeLink(options.clock, answer);
    await acquireLease(link, { ...options, random: () => (random += 0.01) }, never);
    expect(options.notes).toEqual(["DHCP server 10.0.0.1 refuses 10.0.0.7: taken"]);
    expect(new Set(link.heard.map(({ transaction }) => transaction)).size).toBe(2);
  });

  test("after a NAK another server is asked, if one offers; also when its offer comes later", async () => {
    const options = client();
    const heard: string[] = [];
    const link = new FakeLink(options.clock, () => undefined);
    link.answer = (message) => {
      const [strict, other] = [{ 54: [10, 0, 0, 1] }, { 54: [10, 0, 0, 2], 51: seconds(60) }];
      if (message.type === messageType.discover) {
        link.push(reply(message, messageType.offer, "10.0.0.7", strict));
        return heard.length === 0 ? undefined : reply(message, messageType.offer, "10.0.0.8", other);
      }
      const asked = message.options.get(54)?.join(".") ?? "";
      heard.push(asked);
      return asked === "10.0.0.1"
        ? reply(message, messageType.nak, "0.0.0.0", strict)
        : reply(message, messageType.ack, "10.0.0.8", other);
    };
    expect(await acquireLease(link, options, never)).toMatchObject({ address: "10.0.0.8", server: "10.0.0.2" });
    expect(heard).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  test("a NAK of another server than the one that was asked counts for nothing", async () => {
    const options = client();
    const good = goodServer();
    const link = new FakeLink(options.clock, good);
    link.answer = (heard) => {
      if (heard.type === messageType.request)
        link.push(reply(heard, messageType.nak, "0.0.0.0", { 54: [10, 0, 0, 9] }));
      return good(heard);
    };
    expect((await acquireLease(link, options, never)).address).toBe("10.0.0.7");
    expect(link.heard).toHaveLength(2);
  });

  test("an offer that comes after the next question was sent counts; a second one is dropped", async () => {
    const options = client();
    const good = goodServer();
    const late: Uint8Array[] = [];
    const link = new FakeLink(options.clock, () => undefined);
    link.answer = (heard) => {
      if (heard.type !== messageType.discover) return good(heard);
      const offer = good(heard);
      if (offer) late.push(offer);
      if (late.length === 2) for (const each of late) link.push(each);
      return undefined;
    };
    expect((await acquireLease(link, { ...options, random: Math.random }, never)).address).toBe("10.0.0.7");
    expect(link.heard.map(({ type }) => type)).toEqual([1, 1, 3]);
  });

  test("option 108: asked for and obeyed only by a machine that can do without IPv4", async () => {
    const options = client();
    const link = new FakeLink(options.clock, goodServer({ 108: [0, 0, 1, 44] }));
    await acquireLease(link, options, never);
    expect(link.heard[0]?.options.get(55)).not.toContain(108);
    await expect(acquireLease(link, { ...options, acceptsIpv6Only: true }, never)).rejects.toThrow(
      "DHCP server 10.0.0.1 asks machines to do without IPv4",
    );
    expect(link.heard.at(-1)?.options.get(55)).toContain(108);
  });

  test("an offer and then silence: the request is sent four times, then begun anew", async () => {
    const options = client();
    const good = goodServer();
    let deaf = 4;
    const link = new FakeLink(options.clock, (heard) =>
      heard.type === messageType.request && deaf-- > 0 ? undefined : good(heard),
    );
    await acquireLease(link, options, never);
    expect(link.heard.map(({ type }) => type)).toEqual([1, 3, 3, 3, 3, 1, 3]);
    expect(options.notes).toEqual(["DHCP server 10.0.0.1 offered 10.0.0.7 and then did not answer"]);
  });

  test.each([
    ["no mask", { 1: [] }, { prefixLength: 8 }],
    ["a mask with holes", { 1: [255, 0, 255, 0] }, { prefixLength: 8 }],
    ["times in disorder", { 58: seconds(5000), 59: seconds(4000) }, { renewalSeconds: 1800, rebindingSeconds: 3150 }],
    ["times told", { 58: seconds(100), 59: seconds(200) }, { renewalSeconds: 100, rebindingSeconds: 200 }],
    ["a lease without end", { 51: seconds(0xffffffff) }, { renewalSeconds: Number.POSITIVE_INFINITY }],
    ["an MTU below what IPv4 needs", { 26: [0, 68] }, { mtu: undefined }],
    [
      "routes instead of the router",
      { 121: [0, 10, 0, 0, 9] },
      { routes: [{ destination: "0.0.0.0", prefixLength: 0, gateway: "10.0.0.9" }] },
    ],
  ])("%s", async (_, extra, expected) => {
    const options = client();
    expect(await acquireLease(new FakeLink(options.clock, goodServer(extra)), options, never)).toMatchObject(expected);
  });

  test("the signal ends it", async () => {
    const options = client();
    const stop = new AbortController();
    const link = new FakeLink(options.clock, () => void (options.clock.time > 20_000 && stop.abort(new Error("over"))));
    await expect(acquireLease(link, options, stop.signal)).rejects.toThrow("over");
  });
});

describe("keeping a lease", () => {
  const lease: Lease = {
    address: "10.0.0.7",
    prefixLength: 24,
    server: "10.0.0.1",
    routes: [],
    dns: [],
    domain: undefined,
    search: [],
    hostName: undefined,
    mtu: undefined,
    leaseSeconds: 3600,
    renewalSeconds: 1800,
    rebindingSeconds: 3150,
    boundAt: 0,
  };

  function keep(unicastAnswer: Answer, broadcastAnswer: Answer = () => undefined) {
    const options = client();
    const unicast = new FakeLink(options.clock, unicastAnswer);
    const broadcast = new FakeLink(options.clock, broadcastAnswer);
    const stop = new AbortController();
    const renewed: number[] = [];
    const done = keepLease(
      lease,
      {
        ...options,
        openUnicast: async () => unicast,
        openBroadcast: () => broadcast,
        onRenewed: ({ boundAt }) => {
          renewed.push(boundAt / 1000);
          if (renewed.length === 2) stop.abort(new Error("enough"));
        },
      },
      stop.signal,
    );
    return { done, unicast, broadcast, renewed, options };
  }

  test("renewed with its own server at T1, again and again", async () => {
    const { done, unicast, broadcast, renewed } = keep(goodServer());
    await expect(done).rejects.toThrow("enough");
    expect(renewed).toEqual([1800, 3600]);
    expect(unicast.heard.map(({ to, clientAddress }) => [to, clientAddress])).toEqual([
      ["10.0.0.1", "10.0.0.7"],
      ["10.0.0.1", "10.0.0.7"],
    ]);
    // RFC 2131 table 5: neither while renewing
    expect(unicast.heard.some(({ options }) => options.has(50) || options.has(54))).toBe(false);
    expect(broadcast.heard).toEqual([]);
    expect(unicast.isClosed).toBe(true);
  });

  test("its server is gone: any server from T2 on", async () => {
    const { done, unicast, broadcast, renewed } = keep(() => undefined, goodServer());
    await expect(done).rejects.toThrow("enough");
    expect(unicast.heard[0]?.at).toBe(1_800_000);
    expect(unicast.heard.length).toBeGreaterThan(2);
    expect(broadcast.heard[0]).toMatchObject({ at: 3_150_000, to: "broadcast", clientAddress: "10.0.0.7" });
    expect(renewed[0]).toBe(3150);
  });

  test("nobody answers: it ends when the lease does, not later, with pauses of a minute or more", async () => {
    const { done, unicast, broadcast, options } = keep(() => undefined);
    await done;
    expect(options.clock.time / 1000).toBe(3600);
    const times = [unicast, broadcast].map(({ heard }) => heard.map(({ at }) => at / 1000));
    for (const phase of times) {
      const pauses = phase.slice(1).map((at, index) => at - (phase[index] ?? 0));
      // the last one of a phase is what is left of it
      expect(Math.min(...pauses.slice(0, -1))).toBeGreaterThanOrEqual(60);
    }
    expect(times.flat().length).toBeLessThan(20);
  });

  test("a NAK ends it at once", async () => {
    const { done, options } = keep((heard) => reply(heard, messageType.nak, "0.0.0.0", {}));
    await done;
    expect(options.clock.time / 1000).toBe(1800);
  });

  test("a socket that cannot be opened is said and tried again", async () => {
    const options = client();
    const notes: string[] = [];
    await keepLease(
      lease,
      {
        ...options,
        note: (text) => notes.push(text),
        openUnicast: () => Promise.reject(new Error("bind EADDRNOTAVAIL")),
        openBroadcast: () => new FakeLink(options.clock, () => undefined),
        onRenewed: () => undefined,
      },
      never,
    );
    expect(notes[0]).toBe("renewing the lease: bind EADDRNOTAVAIL");
  });
});
