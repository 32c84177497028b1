import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeWith, onPath } from "./foreign-program.ts";

const agent = join(import.meta.dirname, "bring-up-network.ts");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rivet-network-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Wire {
  /** Arguments of dnsmasq on the other end; undefined: nobody is there. */
  readonly dnsmasq?: readonly string[];
  /** Of the agent's side. */
  readonly keys?: readonly string[];
  /** Commands on the other end, before the agent begins. */
  readonly before?: string;
}

interface Found {
  readonly lease?: { readonly address: string; readonly dns: readonly string[] };
  readonly ipv6?: { readonly addresses: readonly string[]; readonly router: string; readonly dns: readonly string[] };
  readonly problems: readonly string[];
}

/** What dnsmasq needs to serve the other end and nothing else. */
const onOtherEnd = [
  ...["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0", "--leasefile-ro"],
  ...["--interface=veth1", "--bind-interfaces"],
];

/** Two network namespaces with a wire between them: the agent's code on one end, with the kernel's own IPv6, dnsmasq on the other. */
async function bringUp({ dnsmasq, keys = [], before = "" }: Wire) {
  const server = (command: string) => `ip netns exec server ${command}`;
  const resolv = join(folder, "resolv.conf");
  writeFileSync(resolv, "");
  const script = [
    "set -e",
    "mount -t tmpfs tmpfs /run; mkdir /run/netns; mount -t sysfs sysfs /sys",
    `mount --bind ${resolv} /etc/resolv.conf`,
    "ip netns add server",
    "ip link add veth0 type veth peer name veth1 netns server",
    // who advertises and does not forward is no router to the kernel's neighbour discovery (RFC 4861 §7.2.5)
    server("sysctl -qw net.ipv6.conf.all.forwarding=1"),
    server("ip link set lo up"),
    server("ip link set veth1 up"),
    server("ip addr add 10.9.0.1/24 dev veth1"),
    server("ip addr add fd00::1/64 dev veth1 nodad"),
    before,
    ...(dnsmasq === undefined
      ? []
      : [`${server(["dnsmasq", ...onOtherEnd, ...dnsmasq].join(" "))} 2>/dev/null & peer=$!`]),
    `${process.execPath} --disable-warning=ExperimentalWarning ${agent} veth0 ${keys.join(" ")}`,
    "ip -o addr show dev veth0; ip route; ip -6 route",
    "kill $peer",
  ].join("\n");
  const child = spawn("unshare", ["--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", script]);
  let [out, notes] = ["", ""];
  child.stdout.on("data", (bytes: Buffer) => (out += bytes));
  child.stderr.on("data", (bytes: Buffer) => (notes += bytes));
  await new Promise((resolve) => child.once("close", resolve));
  const json = /^\{.*\}$/m.exec(out)?.[0];
  const found = json === undefined ? undefined : (JSON.parse(json) as Found);
  return { found, kernel: out, notes, resolv: readFileSync(resolv, "utf8") };
}

const isRoot = process.getuid?.() === 0;
const title = "the network of the ramdisk, with dnsmasq on the other end";

const suite = () => {
  test("DHCP", async () => {
    const { found, notes, resolv } = await bringUp({
      dnsmasq: ["--dhcp-range=10.9.0.100,10.9.0.110", "--dhcp-option=6,10.9.0.53"],
    });
    expect(found, notes).toMatchObject({
      lease: { address: expect.stringMatching(/^10\.9\.0\.1\d\d$/) },
      problems: [],
    });
    expect(resolv).toBe("nameserver 10.9.0.53\n");
  });

  test("IPv6 alone: the kernel's own address, and DNS servers out of the advertisement", async () => {
    const { found, notes, kernel, resolv } = await bringUp({
      dnsmasq: ["--enable-ra", "--dhcp-range=fd00::,ra-only,64,600", "--dhcp-option=option6:dns-server,[fd00::53]"],
    });
    expect(found, notes).toMatchObject({ ipv6: { addresses: [expect.stringMatching(/^fd00::/)], dns: ["fd00::53"] } });
    expect(found?.lease).toBeUndefined();
    expect(kernel).toMatch(/^default via fe80::\S+ dev veth0 proto ra/m);
    expect(resolv).toBe("nameserver fd00::53\n");
  });

  test("IPv6 by DHCPv6, which the service's address needs, also anew after it was given up", async () => {
    const { found, notes, kernel } = await bringUp({
      dnsmasq: [
        "--enable-ra",
        "--dhcp-range=fd00::100,fd00::10f,64,600",
        "--dhcp-range=10.9.0.100,10.9.0.110",
        "--dhcp-option=option6:dns-server,[fd00::53]",
      ],
      keys: ["reach=fd00::1", "again="],
    });
    expect(notes).toContain("given up: 0 addresses");
    expect(found, notes).toMatchObject({
      ipv6: { addresses: [expect.stringMatching(/^fd00::10[0-9a-f]$/)], dns: ["fd00::53"] },
    });
    expect(kernel).toMatch(/inet6 fd00::10[0-9a-f]\/128/);
  });

  test("a network that asks for IPv6 alone gets no request for an address of IPv4 (option 108)", async () => {
    const { found, notes } = await bringUp({
      dnsmasq: [
        "--enable-ra",
        "--dhcp-range=fd00::,ra-only,64,600",
        "--dhcp-range=10.9.0.100,10.9.0.110",
        "--dhcp-option-force=108,00:00:01:2c",
      ],
    });
    expect(notes).toContain("asks machines to do without IPv4");
    expect(found).toMatchObject({ ipv6: { addresses: [expect.stringMatching(/^fd00::/)] } });
    expect(found?.lease).toBeUndefined();
  });

  test("addresses by hand, of both families", async () => {
    const four = await bringUp({ keys: ["ip=10.9.0.5::10.9.0.1:255.255.255.0::veth0:off:10.9.0.53"] });
    expect(four.kernel, four.notes).toMatch(/inet 10\.9\.0\.5\/24/);
    expect(four.kernel).toMatch(/^default via 10\.9\.0\.1 dev veth0/m);
    expect(four.resolv).toBe("nameserver 10.9.0.53\n");
    const six = await bringUp({ keys: ["ip=[fd00::5]::[fd00::1]:64::veth0:off"] });
    expect(six.kernel, six.notes).toMatch(/inet6 fd00::5\/64 scope global/);
    expect(six.kernel).toMatch(/^default via fd00::1 dev veth0/m);
  });

  test("an address that another machine has is not used", async () => {
    const { found, notes } = await bringUp({ keys: ["ip=[fd00::1]:::64::veth0:off", "limit=8"] });
    expect(found).toBeUndefined();
    expect(notes).toContain("the address fd00::1 cannot be used: does another machine have it?");
  });

  test("a DHCP server that comes up late", async () => {
    const words = ["dnsmasq", ...onOtherEnd, "--dhcp-range=10.9.0.100,10.9.0.110"].join(" ");
    const start = `(sleep 4; exec ip netns exec server ${words}) 2>/dev/null & peer=$!`;
    const { found, notes } = await bringUp({ before: start });
    expect(found, notes).toMatchObject({ lease: { address: expect.stringMatching(/^10\.9\.0\.1\d\d$/) } });
  });
};

if (isRoot || process.env.CI) describeWith(onPath("dnsmasq", "dnsmasq-base"), title, suite);
else describe.skip(`${title} (skipped: needs root for namespaces)`, suite);
