import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { beside, dnsmasq, runInNamespaces, type Seen, webServer } from "./agent-in-namespaces.ts";
import { describeWith, onPath } from "./foreign-program.ts";

const limits = "rivet.network_limit=15 rivet.service_limit=4";
const document = "rivet.config=http://10.7.0.1:8000/site.yaml";
const leases = "--dhcp-range=10.7.0.100,10.7.0.110,255.255.255.0";
const web = beside(`server ${webServer(8000)}`);
const noNames = "--port=0";

/** The document was fetched; without certificate or token the run ends then. */
function expectDocument({ told, exitCode, output }: Seen): void {
  expect(told, output).toContainEqual(expect.stringMatching(/^read configuration: document http/));
  expect(exitCode, output).toBe(78);
}

/** Whether this kernel has VLANs: QEMU's does, that of a container's host may not. */
const hasVlans = (): boolean => {
  const script = "ip link add v0 type veth peer name v1 && ip link add link v0 name v0.5 type vlan id 5";
  return spawnSync("unshare", ["--net", "bash", "-c", script], { stdio: "ignore" }).status === 0;
};

const suite = () => {
  test.concurrent("two DHCP servers, both of which come late: one lease", async () => {
    const seen = await runInNamespaces({
      network: [
        // a switch between them
        "server ip link add br0 type bridge; server ip link set br0 up; server ip link set s0 master br0",
        "server ip addr del 10.7.0.1/24 dev s0; server ip addr add 10.7.0.1/24 dev br0",
        "server ip link add q0 type veth peer name q1 netns other; server ip link set q0 up master br0",
        "other ip link set lo up; other ip link set q1 up; other ip addr add 10.7.0.2/24 dev q1",
        beside(`server ${dnsmasq("br0", noNames, leases)}`, 2.5),
        beside(`other ${dnsmasq("q1", noNames, "--dhcp-range=10.7.0.200,10.7.0.210,255.255.255.0")}`, 2.5),
        web,
      ],
      cmdline: `${limits} ${document}`,
    });
    expectDocument(seen);
    expect(seen.kernel.match(/inet 10\.7\.0\.[12]\d\d\/24/g)).toHaveLength(1);
  });

  test.concurrent("two adapters: a lease without a way to the document's address is not enough", async () => {
    const seen = await runInNamespaces({
      adapters: 2,
      network: [
        "server ip addr add 10.8.0.1/24 dev s1",
        beside(`server ${dnsmasq("s1", noNames, "--dhcp-option=3 --dhcp-range=10.8.0.100,10.8.0.110,255.255.255.0")}`),
        beside(`server ${dnsmasq("s0", noNames, leases)}`, 2),
        web,
      ],
      cmdline: `${limits} ${document}`,
    });
    expectDocument(seen);
    expect(seen.told).toContainEqual(expect.stringMatching(/^network: eth0 10\.7\.0\.1\d\d\/24/));
    expect(seen.kernel).not.toContain("10.8.0.");
  });

  test.concurrent("IPv6 by DHCPv6, where routers say that it is managed", async () => {
    const seen = await runInNamespaces({
      network: [beside(`server ${dnsmasq("s0", noNames, "--enable-ra --dhcp-range=fd07::100,fd07::10f,64,600")}`), web],
      cmdline: `${limits} rivet.config=http://[fd07::1]:8000/site.yaml`,
    });
    expectDocument(seen);
    expect(seen.kernel).toMatch(/inet6 fd07::10[0-9a-f]\/128 scope global/);
  });

  test.concurrent("IPv6 out of radvd's advertisement; the document's name by the DNS server in it", async () => {
    const config =
      "interface s0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix fd07::/64 { }; RDNSS fd07::1 { }; DNSSL site.example { }; };";
    const seen = await runInNamespaces({
      network: [
        `echo '${config}' > /mnt/radvd.conf`,
        beside("server radvd -n -m none -C /mnt/radvd.conf -p /mnt/radvd.pid"),
        beside(`server ${dnsmasq("s0", "--address=/boot.site.example/fd07::1")}`),
        web,
      ],
      cmdline: `${limits} rivet.config=http://boot:8000/site.yaml`,
    });
    expectDocument(seen);
    expect(seen.resolv).toBe("search site.example\nnameserver fd07::1\n");
  });

  describe("ip=", () => {
    test.concurrent("an address is taken although a method stands beside it; with several ip= one leads to the document", async () => {
      const seen = await runInNamespaces({
        adapters: 2,
        network: [web],
        cmdline: `${limits} ip=10.8.0.77:::24::eth1:off ip=10.7.0.77::10.7.0.1:255.255.255.0:node7:eth0:any:10.7.0.53 ${document}`,
      });
      expectDocument(seen);
      expect(seen.kernel).toMatch(/inet 10\.7\.0\.77\/24/);
      expect(seen.kernel).toMatch(/^default via 10\.7\.0\.1 dev eth0/m);
      expect([seen.hostName, seen.resolv]).toEqual(["node7", "nameserver 10.7.0.53\n"]);
    });

    test.concurrent("host name and DNS server come before those of DHCP", async () => {
      const seen = await runInNamespaces({
        network: [
          beside(`server ${dnsmasq("s0", noNames, leases, "--dhcp-option=12,by-dhcp --dhcp-option=6,10.7.0.53")}`),
          web,
        ],
        cmdline: `${limits} ip=::::node9.site.example:eth0:dhcp:9.9.9.9 ${document}`,
      });
      expectDocument(seen);
      expect([seen.hostName, seen.resolv]).toEqual(["node9", "nameserver 9.9.9.9\nnameserver 10.7.0.53\n"]);
    });

    test.concurrent("the MTU of auto6", async () => {
      const seen = await runInNamespaces({
        network: [beside(`server ${dnsmasq("s0", noNames, "--enable-ra --dhcp-range=fd07::,ra-only,64,600")}`), web],
        cmdline: `${limits} ip=eth0:auto6:1400 rivet.config=http://[fd07::1]:8000/site.yaml`,
      });
      expectDocument(seen);
      expect(seen.kernel).toMatch(/eth0@.* mtu 1400 /);
    });
  });

  describe("a guest finds what its host has of network, and leaves it so", () => {
    const overIpv6 = "rivet.config=http://[fd07::1]:8000/site.yaml";
    const isUp = "ip link set eth0 up; until ip -6 addr show dev eth0 -tentative | grep -q fe80; do sleep 0.1; done";
    const expectAsFound = ({ kernel, kernelBefore, output }: Seen) => {
      expect(kernelBefore, output).toContain("eth0");
      expect(kernel, output).toBe(kernelBefore);
    };

    test.concurrent.each([
      ["for good", "ip addr add fd07::50/64 dev eth0"],
      [
        "for a time",
        "ip addr add fd07::50/64 dev eth0 valid_lft 900 preferred_lft 900; ip -6 route add default via fd07::1",
      ],
    ])("an address of IPv6 %s is used", async (_, address) => {
      const seen = await runInNamespaces({ network: [web], host: [isUp, address], cmdline: `${limits} ${overIpv6}` });
      expect(seen.told).toContain("the network is up: it is left as it is");
      expectDocument(seen);
      expectAsFound(seen);
    });

    test.concurrent.each([
      ["DHCPv6", "fd07::100,fd07::10f,64,600"],
      ["a router", "fd07::,ra-only,64,600"],
    ])("adapter up: what %s gave is gone", async (_, range) => {
      // so that the kernel makes nothing of the advertisement by itself, before or after
      const host = ["sysctl -qw net.ipv6.conf.eth0.accept_ra=0", isUp];
      const network = [beside(`server ${dnsmasq("s0", noNames, `--enable-ra --dhcp-range=${range}`)}`), web];
      const seen = await runInNamespaces({ network, host, cmdline: `${limits} ${overIpv6}` });
      expectDocument(seen);
      expect(seen.kernelBefore).not.toContain("fd07::");
      expectAsFound(seen);
    });

    test.concurrent("adapter up: what the kernel makes of advertisements is its own, but the address by DHCPv6 is gone", async () => {
      const dhcp6 = `server ${dnsmasq("s0", noNames, "--enable-ra --dhcp-range=fd07::100,fd07::10f,slaac,64,600")}`;
      const seen = await runInNamespaces({
        network: [beside(dhcp6, 2), web],
        host: [isUp],
        cmdline: `${limits} ${overIpv6}`,
      });
      expectDocument(seen);
      expect(seen.told).toContainEqual(expect.stringMatching(/fd07::10[0-9a-f]\b/));
      expect(seen.kernel).not.toContain("fd07::10");
      expect(seen.kernel).toMatch(/inet6 fd07::5054:ff:fe00:10\/64 .*dynamic/);
      expect(seen.kernel).toMatch(/^default via fe80::\S+ dev eth0 proto ra/m);
    });

    test.concurrent("adapter up: what ip= gave is gone, and the MTU is back", async () => {
      const ip = "ip=[fd07::77]::[fd07::1]:64:node7:eth0:off:1400";
      const seen = await runInNamespaces({ network: [web], host: [isUp], cmdline: `${limits} ${ip} ${overIpv6}` });
      expectDocument(seen);
      expectAsFound(seen);
      expect(seen.hostName).not.toBe("node7");
    });

    test.concurrent("an address of the link, its routes, and the host name stay", async () => {
      const seen = await runInNamespaces({
        network: [beside(`server ${dnsmasq("s0", noNames, leases, "--dhcp-option=12,by-dhcp")}`), web],
        host: [
          "hostname by-host; ip addr add 169.254.9.9/16 dev eth0 label eth0:own; ip link set eth0 up",
          "ip addr add 169.254.9.10/16 dev eth0; ip route add 10.9.0.0/16 via 169.254.1.1 metric 7",
        ],
        cmdline: `${limits} ${document}`,
      });
      expectDocument(seen);
      expect([seen.hostName, seen.told]).toEqual([
        "by-host",
        expect.arrayContaining([expect.stringMatching(/^network: eth0 10\.7\.0\./)]),
      ]);
      expectAsFound(seen);
    });

    test.concurrent("an adapter that is down, with addresses, is switched on, and then so again", async () => {
      const seen = await runInNamespaces({
        network: [beside(`server ${dnsmasq("s0", noNames, leases)}`), web],
        host: ["ip addr add 10.9.9.9/24 dev eth0; ip addr add fd09::9/64 dev eth0"],
        cmdline: `${limits} ${document}`,
      });
      expectDocument(seen);
      expectAsFound(seen);
    });

    test.concurrent("an adapter that appears during the run is used, and switched off again", async () => {
      const appear = [
        "ip link add eth1 type veth peer name s1 netns server",
        "server ip link set s1 up; server ip addr add 10.8.0.1/24 dev s1",
        "mkdir -p /mnt/net/eth1/device",
        "for a in address ifindex carrier type mtu flags; do ln -s /sys/devices/virtual/net/eth1/$a /mnt/net/eth1/; done",
        `server ${dnsmasq("s1", noNames, "--dhcp-range=10.8.0.100,10.8.0.110,255.255.255.0")}`,
      ];
      const seen = await runInNamespaces({
        network: [web, beside(appear.join("; "), 2)],
        host: [],
        cmdline: `${limits} rivet.config=http://10.8.0.1:8000/site.yaml`,
      });
      expectDocument(seen);
      expect(seen.kernel).toMatch(/eth1@\S+ <BROADCAST,MULTICAST> .* state DOWN/);
      expect(seen.kernel).not.toContain("10.8.0.");
    });
  });

  test.concurrent("VLAN: tagged frames; a kernel without VLANs is told at once", async () => {
    const isKnown = hasVlans();
    const tagged = [
      "server ip link add link s0 name s0.5 type vlan id 5; server ip link set s0.5 up",
      "server ip addr del 10.7.0.1/24 dev s0; server ip addr add 10.7.0.1/24 dev s0.5",
      beside(`server ${dnsmasq("s0.5", noNames, leases)}`),
      web,
    ];
    const seen = await runInNamespaces({
      network: isKnown ? tagged : [],
      cmdline: `${limits} rivet.vlan=5 ${document}`,
    });
    if (isKnown) {
      expectDocument(seen);
      expect(seen.kernel).toMatch(/eth0\.5\s+inet 10\.7\.0\.1\d\d\/24/);
    } else {
      expect(seen.told.at(-1), seen.output).toContain(
        "vlan: VLAN 5 on eth0: this kernel knows no VLANs; put its module 8021q into the ramdisk",
      );
      expect(seen.exitCode).toBe(78);
    }
  });

  test.concurrent.each([
    ["right", "secret-word"],
    ["wrong", "other-word"],
  ])("a proxy that wants a password, which is %s", async (_, password) => {
    const config = "Port 3128\\nListen 10.7.0.1\\nTimeout 20\\nAllow 10.7.0.0/24\\nBasicAuth boot secret-word\\n";
    const seen = await runInNamespaces({
      network: [
        `printf '${config}' > /mnt/proxy.conf`,
        beside("server tinyproxy -d -c /mnt/proxy.conf >/dev/null"),
        beside(`server ${dnsmasq("s0", noNames, leases)}`),
        web,
      ],
      cmdline: `${limits} rivet.proxy=http://boot:${password}@10.7.0.1:3128 ${document}`,
    });
    if (password === "secret-word") expectDocument(seen);
    else
      expect(seen.told.at(-1), seen.output).toMatch(
        /^proxy: proxy: the proxy http:\/\/\[hidden\]@10\.7\.0\.1:3128\/.* answers 401;/,
      );
    expect(seen.output).not.toContain(password);
  });
};

const title = "the built agent in network namespaces, with foreign servers on the other end";
const isRoot = process.getuid?.() === 0;
const needed = [onPath("dnsmasq", "dnsmasq-base"), onPath("radvd", "radvd"), onPath("tinyproxy", "tinyproxy-bin")];
const missing = needed.find(({ probe: [command, ...args] }) => spawnSync(command, args).status !== 0);
if (isRoot || process.env.CI) describeWith(missing ?? onPath("ip", "iproute2"), title, suite);
else describe.skip(`${title} (skipped: needs root for namespaces)`, suite);
