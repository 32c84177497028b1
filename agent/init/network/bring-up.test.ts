import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { resolvConf, writeHosts } from "./apply-network.ts";
import { getLease, type NetworkWorld } from "./bring-up.ts";
import { messageType } from "./dhcp-message.ts";
import { type Answer, FakeClock, FakeLink, goodServer, reply } from "./dhcp-server.fixture.ts";
import { hasDefaultRoute, maskOf, type NetworkInterface } from "./interfaces.ts";
import { parseIpParameter } from "./ip-parameter.ts";
import type { Ipv6World } from "./ipv6-client.ts";
import { networkValues } from "./network-values.ts";
import type { RouterAdvertisement } from "./router-advertisement.ts";
import { NoVlansError } from "./vlan.ts";

const nic = (name: string, index: number): NetworkInterface => {
  const mac = `52:54:00:00:00:0${index}`;
  return { name, index, mac, macBytes: Buffer.from("525400000001", "hex") };
};

/** Waits in small steps, so that what runs beside it has its turn. */
class SlowLink extends FakeLink {
  override async receive(waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return await super.receive(Math.min(waitMs, 100), signal);
  }
}

function network(
  nics: { nic: NetworkInterface; linkAt: number; appearsAt?: number; answers: boolean; broken?: boolean }[],
  foreignVlan = "",
) {
  const clock = new FakeClock();
  const links = new Map<string, FakeLink>();
  const up: string[] = [];
  const vlans: string[] = [];
  const find = (name: string) => nics.find((each) => each.nic.name === name);
  const world: NetworkWorld = {
    list: () => nics.filter(({ appearsAt = 0 }) => clock.time >= appearsAt).map((each) => each.nic),
    bringUp(name) {
      if (find(name)?.broken) throw new Error("up eth9: EIO");
      up.push(name);
    },
    hasLink: (name) => up.includes(name) && clock.time >= (find(name)?.linkAt ?? 0),
    openLink({ name }) {
      const link = new FakeLink(clock, find(name.replace(/\.5$/, ""))?.answers ? goodServer() : () => undefined);
      links.set(name, link);
      return link;
    },
    random: () => 0.5,
    addVlan(adapter, id) {
      const name = `${adapter.name}.${id}`;
      vlans.push(name);
      return { nic: { ...adapter, name }, isNew: name !== foreignVlan };
    },
    removeVlan: (adapter, id) => void vlans.splice(vlans.indexOf(`${adapter.name}.${id}`), 1),
    ipv6: undefined,
  };
  const notes: string[] = [];
  const options = { clock, interface: undefined, limitMs: 20_000, note: (text: string) => notes.push(text) };
  return { world, options, links, notes, up, vlans, clock };
}

test("the first adapter with a lease wins, the others are given up", async () => {
  const { world, options, links, up } = network([
    { nic: nic("eth0", 1), linkAt: Number.POSITIVE_INFINITY, answers: true },
    { nic: nic("eth1", 2), linkAt: 0, answers: false },
    { nic: nic("eth2", 3), linkAt: 50, answers: true },
  ]);
  const { nic: winner, lease } = await getLease(options, world);
  expect([winner.name, lease?.address]).toEqual(["eth2", "10.0.0.7"]);
  expect(up).toEqual(["eth0", "eth1", "eth2"]);
  expect([...links.values()].every(({ isClosed }) => isClosed)).toBe(true);
});

test("an adapter that appears late", async () => {
  const { world, options } = network([{ nic: nic("eth0", 1), appearsAt: 5_000, linkAt: 7_000, answers: true }]);
  expect((await getLease(options, world)).nic.name).toBe("eth0");
});

test("a person is told once what is waited for", async () => {
  const { world, options, notes } = network([{ nic: nic("eth0", 1), linkAt: 7_000, answers: true }]);
  await getLease(options, world);
  expect(notes.filter((note) => note.startsWith("network:"))).toEqual([
    "network: waiting at most 20 s: eth0: no link (cable, switch port)",
  ]);
});

test("nobody: every adapter and what it lacked", async () => {
  const { world, options } = network([
    { nic: nic("eth0", 1), linkAt: Number.POSITIVE_INFINITY, answers: true },
    { nic: nic("eth1", 2), linkAt: 0, answers: false },
    { nic: nic("eth9", 3), linkAt: 0, answers: false, broken: true },
  ]);
  await expect(getLease(options, world)).rejects.toThrow(
    "network: no address within 20 s: eth0: no link (cable, switch port); eth1: no DHCP answer; eth9: up eth9: EIO",
  );
  await expect(getLease({ ...options, interface: "eth7" }, world)).rejects.toThrow(
    "no Ethernet adapter named eth7 found; is its driver in the ramdisk?",
  );
});

test("only the adapter that is asked for, by name or MAC", async () => {
  const { world, options, up } = network([
    { nic: nic("eth0", 1), linkAt: 0, answers: true },
    { nic: nic("eth1", 2), linkAt: 0, answers: true },
  ]);
  expect((await getLease({ ...options, interface: "52:54:00:00:00:02" }, world)).nic.name).toBe("eth1");
  expect(up).toEqual(["eth1"]);
});

test("with a VLAN each adapter with link gets a tagged interface; those of the losers are taken away", async () => {
  const { world, options, vlans, links, notes } = network([
    { nic: nic("eth0", 1), linkAt: 0, answers: false },
    { nic: nic("eth1", 2), linkAt: 50, answers: true },
  ]);
  const { nic: winner, lease } = await getLease({ ...options, vlan: 5 }, world);
  expect([winner.name, lease?.address, vlans]).toEqual(["eth1.5", "10.0.0.7", ["eth1.5"]]);
  expect([...links.keys()]).toEqual(["eth0.5", "eth1.5"]);
  expect(notes[0]).toBe("eth0: link is up, MAC 52:54:00:00:00:01, asking for an address on VLAN 5");
});

test("a tagged interface that was there before stays", async () => {
  const wired = { linkAt: 0, answers: true };
  const { world, options, vlans } = network(
    [
      { nic: nic("eth0", 1), ...wired, answers: false },
      { nic: nic("eth1", 2), ...wired },
    ],
    "eth0.5",
  );
  expect((await getLease({ ...options, vlan: 5 }, world)).nic.name).toBe("eth1.5");
  expect(vlans).toEqual(["eth0.5", "eth1.5"]);
});

test.each(["eth0", "eth0.5"])("ip= for %s counts on VLAN 5 of eth0", async (device) => {
  const { world, options } = network([{ nic: nic("eth0", 1), linkAt: 0, answers: false }]);
  const ips = [parseIpParameter(`10.7.0.5::10.7.0.1:24::${device}:off`)];
  const { nic: tagged, lease } = await getLease({ ...options, ips, vlan: 5 }, world);
  expect([tagged.name, lease?.address]).toEqual(["eth0.5", "10.7.0.5"]);
  const other = getLease({ ...options, ips, vlan: 6, limitMs: 1000 }, world);
  if (device === "eth0.5") await expect(other).rejects.toThrow("no Ethernet adapter named eth0.5 found");
  else expect((await other).nic.name).toBe("eth0.6");
});

test("a kernel without VLANs: nothing is waited for", async () => {
  const { world, options, clock } = network([{ nic: nic("eth0", 1), linkAt: 0, answers: true }]);
  const refuse = () => {
    throw new NoVlansError("VLAN 5 on eth0: this kernel knows no VLANs");
  };
  await expect(getLease({ ...options, vlan: 5 }, { ...world, addVlan: refuse })).rejects.toThrow(NoVlansError);
  expect(clock.time).toBe(0);
});

test("a VLAN that the kernel refuses is the adapter's problem", async () => {
  const { world, options } = network([{ nic: nic("eth0", 1), linkAt: 0, answers: true }]);
  const refuse = () => {
    throw new Error("VLAN 5 on eth0: EINVAL");
  };
  await expect(getLease({ ...options, vlan: 5 }, { ...world, addVlan: refuse })).rejects.toThrow(
    "no address within 20 s: eth0: VLAN 5 on eth0: EINVAL",
  );
});

test("an address by hand waits for a link, on the adapter that it names, and asks nobody", async () => {
  const { world, options, links, clock } = network([
    { nic: nic("eth0", 1), linkAt: 0, answers: true },
    { nic: nic("eth1", 2), linkAt: 3_000, answers: true },
  ]);
  const ip = parseIpParameter("10.0.0.5::10.0.0.1:24:node7:eth1:off:10.0.0.53");
  const bound = await getLease({ ...options, ips: [ip] }, world);
  expect(bound).toMatchObject({ nic: { name: "eth1" }, lease: { address: "10.0.0.5" } });
  expect(networkValues(bound)).toMatchObject({
    ...{ prefixLength: 24, dns: ["10.0.0.53"], hostName: "node7" },
    routes: [{ destination: "0.0.0.0", prefixLength: 0, gateway: "10.0.0.1" }],
  });
  expect([links.size, clock.time >= 3_000]).toEqual([0, true]);
});

test("two adapters by hand: each has its own address, and the one whose address leads to the service is taken", async () => {
  const { world, options } = network([
    { nic: nic("eth0", 1), linkAt: 0, answers: true },
    { nic: nic("eth1", 2), linkAt: 3_000, answers: true },
    { nic: nic("eth2", 3), linkAt: 0, answers: true },
  ]);
  const ips = ["10.8.0.5:::24::eth0:off", "10.9.0.5:::24::eth1:off"].map(parseIpParameter);
  const first = await getLease({ ...options, ips }, world);
  expect([first.nic.name, first.lease?.address]).toEqual(["eth0", "10.8.0.5"]);
  const right = await getLease({ ...options, ips, reach: "10.9.0.1" }, world);
  expect([right.nic.name, right.lease?.address]).toEqual(["eth1", "10.9.0.5"]);
});

describe("where a lease leads to", () => {
  /** No gateway: this network alone. */
  const island: Answer = (heard) => {
    const options = { 1: [255, 255, 255, 0], 51: [0, 0, 14, 16], 54: [10, 8, 0, 1] };
    return reply(heard, heard.type === messageType.discover ? messageType.offer : messageType.ack, "10.8.0.7", options);
  };
  const two = (secondAt: number) => {
    const net = network([
      { nic: nic("eth0", 1), linkAt: 0, answers: true },
      { nic: nic("eth1", 2), linkAt: secondAt, answers: true },
    ]);
    const openLink: NetworkWorld["openLink"] = ({ name }) =>
      new SlowLink(net.clock, name === "eth0" ? island : goodServer());
    return { ...net, world: { ...net.world, openLink } };
  };

  test("one without a way to the first address is not enough: other adapters are waited for", async () => {
    const { world, options, clock, notes } = two(9_000);
    expect((await getLease({ ...options, reach: "192.0.2.1" }, world)).nic.name).toBe("eth1");
    expect(notes).toContain(
      "eth0: 10.8.0.7 from 10.8.0.1, without a way to 192.0.2.1 (neither its network nor a gateway); waiting for other adapters",
    );
    expect(clock.time).toBeGreaterThanOrEqual(9_000);
    const own = two(9_000);
    expect((await getLease({ ...own.options, reach: "10.8.0.99" }, own.world)).nic.name).toBe("eth0");
    const byName = two(9_000);
    expect((await getLease(byName.options, byName.world)).nic.name).toBe("eth0");
  });

  test("nobody has one: what each has is told", async () => {
    const { world, options } = two(Number.POSITIVE_INFINITY);
    await expect(getLease({ ...options, reach: "192.0.2.1" }, world)).rejects.toThrow(
      "eth0: 10.8.0.7 from 10.8.0.1, without a way to 192.0.2.1 (neither its network nor a gateway); eth1: no link",
    );
  });

  test("an adapter that led nowhere before is taken last, but not waited for without end", async () => {
    const ledNowhere = ["eth0"];
    const other = two(0);
    expect((await getLease({ ...other.options, ledNowhere }, other.world)).nic.name).toBe("eth1");
    const alone = two(Number.POSITIVE_INFINITY);
    expect((await getLease({ ...alone.options, ledNowhere }, alone.world)).nic.name).toBe("eth0");
    expect(alone.clock.time).toBeLessThan(3_000);
    const silent = two(0);
    const openLink: NetworkWorld["openLink"] = ({ name }) =>
      new SlowLink(silent.clock, name === "eth0" ? island : () => undefined);
    const { nic: taken } = await getLease({ ...silent.options, ledNowhere }, { ...silent.world, openLink });
    expect([taken.name, silent.clock.time >= 15_000, silent.clock.time < 16_000]).toEqual(["eth0", true, true]);
    const both = two(0);
    expect((await getLease({ ...both.options, ledNowhere: ["eth1", "eth0"] }, both.world)).nic.name).toBe("eth1");
  });
});

test("a port that comes up after a minute (LACP without a partner, a learning switch), while another one says nothing", async () => {
  const { world, options, clock } = network([
    { nic: nic("eth0", 1), linkAt: 0, answers: false },
    { nic: nic("eth1", 2), linkAt: 89_000, answers: true },
  ]);
  const { nic: winner } = await getLease({ ...options, limitMs: 180_000 }, world);
  expect([winner.name, clock.time >= 89_000]).toEqual(["eth1", true]);
});

test("what was heard on an adapter stands in the error", async () => {
  const { world, options, clock } = network([{ nic: nic("eth0", 1), linkAt: 0, answers: true }]);
  const refuses: Answer = (heard) =>
    heard.type === messageType.discover
      ? goodServer()(heard)
      : reply(heard, messageType.nak, "0.0.0.0", { 54: [10, 0, 0, 1], 56: [...Buffer.from("not on this network")] });
  await expect(getLease(options, { ...world, openLink: () => new SlowLink(clock, refuses) })).rejects.toThrow(
    "no address within 20 s: eth0: DHCP server 10.0.0.1 refuses 10.0.0.7: not on this network",
  );
});

test("an adapter that cannot be asked keeps nobody from asking on the others", async () => {
  const { world, options } = network([
    { nic: nic("eth0", 1), linkAt: 0, answers: true },
    { nic: nic("eth1", 2), linkAt: 50, answers: true },
  ]);
  const openLink: NetworkWorld["openLink"] = (adapter) => {
    if (adapter.name === "eth0") throw new Error("bind: ENODEV");
    return world.openLink(adapter);
  };
  expect((await getLease(options, { ...world, openLink })).nic.name).toBe("eth1");
});

describe("IPv4 and IPv6 side by side", () => {
  const heard: RouterAdvertisement = {
    router: "fe80::1",
    managed: false,
    other: false,
    isDefaultRouter: true,
    autonomous: true,
    dns: [],
    search: [],
  };

  /** One adapter whose kernel has an address of IPv6 at `at`, ms. */
  function both(at: number, answer: Answer) {
    const net = network([{ nic: nic("eth0", 1), linkAt: 0, answers: true }]);
    const { clock } = net;
    const ipv6: Ipv6World = {
      enable: () => true,
      openRouterLink: () => ({
        solicit: () => undefined,
        async receive(waitMs, signal) {
          await clock.sleep(Math.min(waitMs, 100), signal);
          return clock.time >= at ? heard : undefined;
        },
        close: () => undefined,
      }),
      openDhcp: () => Promise.reject(new Error("there is no DHCPv6 server")),
      addresses: () => [
        { address: "fd00::5", isLinkLocal: false, isTentative: false, isDuplicate: false, isGiven: false },
      ],
      addAddress: () => undefined,
      addDefaultRoute: () => undefined,
    };
    const openLink = () => new SlowLink(clock, answer);
    return { ...net, world: { ...net.world, openLink, ipv6 } };
  }

  const silent: Answer = () => undefined;

  test("IPv4 alone is enough, unless the service's address is one of IPv6", async () => {
    const four = both(5_000, goodServer());
    expect(await getLease(four.options, four.world)).toMatchObject({ lease: { address: "10.0.0.7" }, ipv6: undefined });
    const six = both(5_000, goodServer());
    expect(await getLease({ ...six.options, reach: "fd00::1" }, six.world)).toMatchObject({
      ipv6: { addresses: ["fd00::5"] },
    });
    expect(six.clock.time).toBeGreaterThanOrEqual(5_000);
  });

  test("IPv6 alone is enough, some seconds later, where nobody answers by DHCP", async () => {
    const { world, options, clock } = both(1_000, silent);
    expect(await getLease(options, world)).toMatchObject({ lease: undefined, ipv6: { addresses: ["fd00::5"] } });
    expect(clock.time).toBeGreaterThanOrEqual(5_000);
    expect(clock.time).toBeLessThan(8_000);
  });

  test("at once where the network asks for it (option 108)", async () => {
    const { world, options, clock, notes } = both(1_000, goodServer({ 108: [0, 0, 1, 44] }));
    expect(await getLease(options, world)).toMatchObject({ lease: undefined, ipv6: { addresses: ["fd00::5"] } });
    expect(clock.time).toBeLessThan(3_000);
    expect(notes).toContain("eth0: DHCP server 10.0.0.1 asks machines to do without IPv4");
  });

  test("what is missing for the service is said", async () => {
    const { world, options } = both(1_000, silent);
    await expect(getLease({ ...options, reach: "10.0.0.1" }, world)).rejects.toThrow(
      "eth0: no DHCP answer (the service's address is one of IPv4)",
    );
    const none = both(Number.POSITIVE_INFINITY, silent);
    await expect(getLease(none.options, none.world)).rejects.toThrow("eth0: no DHCP answer, no router of IPv6");
  });

  test("ip=auto6 asks no DHCP server; ip=dhcp no router", async () => {
    const { world, options } = both(1_000, () => {
      throw new Error("asked by DHCP");
    });
    const ip = parseIpParameter("auto6");
    expect(await getLease({ ...options, ips: [ip] }, world)).toMatchObject({
      lease: undefined,
      ipv6: { router: "fe80::1" },
    });
    const four = both(0, silent);
    await expect(getLease({ ...four.options, ips: [parseIpParameter("dhcp")] }, four.world)).rejects.toThrow(
      "eth0: no DHCP answer",
    );
  });

  test("an address of IPv6 by hand; another machine that has it is told", async () => {
    const { world, options } = both(Number.POSITIVE_INFINITY, silent);
    const ip = parseIpParameter("[fd00::5]::[fd00::1]:64:node7:eth0:off:[fd00::53]");
    const bound = await getLease({ ...options, ips: [ip] }, world);
    expect(bound).toMatchObject({ lease: undefined, ipv6: { addresses: ["fd00::5"], router: "fd00::1" } });
    expect(networkValues(bound)).toMatchObject({ dns: ["fd00::53"], hostName: "node7", routes: [] });
    const taken = { address: "fd00::5", isLinkLocal: false, isTentative: true, isDuplicate: true, isGiven: true };
    const ipv6 = { ...world.ipv6, addresses: () => [taken] };
    await expect(getLease({ ...options, ips: [ip] }, { ...world, ipv6 })).rejects.toThrow(
      "eth0: the address fd00::5 cannot be used: does another machine have it?",
    );
  });
});

test("resolv.conf", () => {
  const dns = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
  expect(resolvConf({ dns, domain: "a.org", search: [] })).toBe(
    "search a.org\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n",
  );
  expect(resolvConf({ dns: [], domain: "a.org", search: ["b.org", "c.org"] })).toBe("search b.org c.org\n");
});

test("/proc/net/route", () => {
  const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  const net = "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
  expect(hasDefaultRoute(head + net)).toBe(false);
  expect(hasDefaultRoute(`${head}eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n${net}`)).toBe(true);
});

test("masks", () => {
  expect([0, 1, 8, 20, 31, 32].map(maskOf)).toEqual([
    ...["0.0.0.0", "128.0.0.0", "255.0.0.0", "255.255.240.0", "255.255.255.254", "255.255.255.255"],
  ]);
});

test("the hosts of the site stay; without any there is localhost", () => {
  const folder = mkdtempSync(join(tmpdir(), "rivet-hosts-"));
  try {
    const path = join(folder, "etc/hosts");
    writeHosts(path);
    expect(readFileSync(path, "utf8")).toContain("127.0.0.1 localhost");
    writeFileSync(path, "10.0.0.1 bmc.rack.example\n");
    writeHosts(path);
    expect(readFileSync(path, "utf8")).toBe("10.0.0.1 bmc.rack.example\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
