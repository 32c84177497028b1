import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { getLease, type NetworkWorld, resolvConf, writeHosts } from "./bring-up.ts";
import { FakeClock, FakeLink, goodServer } from "./dhcp-server.fixture.ts";
import { hasDefaultRoute, maskOf, type NetworkInterface } from "./interfaces.ts";

const nic = (name: string, index: number): NetworkInterface => {
  const mac = `52:54:00:00:00:0${index}`;
  return { name, index, mac, macBytes: Buffer.from("525400000001", "hex") };
};

function network(
  nics: { nic: NetworkInterface; linkAt: number; appearsAt?: number; answers: boolean; broken?: boolean }[],
) {
  const clock = new FakeClock();
  const links = new Map<string, FakeLink>();
  const up: string[] = [];
  const find = (name: string) => nics.find((each) => each.nic.name === name);
  const world: NetworkWorld = {
    list: () => nics.filter(({ appearsAt = 0 }) => clock.time >= appearsAt).map((each) => each.nic),
    bringUp(name) {
      if (find(name)?.broken) throw new Error("up eth9: EIO");
      up.push(name);
    },
    hasLink: (name) => up.includes(name) && clock.time >= (find(name)?.linkAt ?? 0),
    openLink({ name }) {
      const link = new FakeLink(clock, find(name)?.answers ? goodServer() : () => undefined);
      links.set(name, link);
      return link;
    },
    random: () => 0.5,
  };
  const notes: string[] = [];
  const options = { clock, interface: undefined, limitMs: 20_000, note: (text: string) => notes.push(text) };
  return { world, options, links, notes, up };
}

test("the first adapter with a lease wins, the others are given up", async () => {
  const { world, options, links, up } = network([
    { nic: nic("eth0", 1), linkAt: Number.POSITIVE_INFINITY, answers: true },
    { nic: nic("eth1", 2), linkAt: 0, answers: false },
    { nic: nic("eth2", 3), linkAt: 50, answers: true },
  ]);
  const { nic: winner, lease } = await getLease(options, world);
  expect([winner.name, lease.address]).toEqual(["eth2", "10.0.0.7"]);
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
