import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readLocalSources } from "../../configure.ts";
import { IpParameterError, ipOfAdapter, parseIpParameter, parseIpParameters } from "./ip-parameter.ts";
import { firstAddress } from "./set-up-network.ts";

const none = {
  ...{ device: undefined, mtu: undefined, ntp: undefined, static: undefined },
  ...{ gateway: undefined, prefixLength: undefined, hostName: undefined, dns: [] },
};

describe("ip=", () => {
  test.each([
    ["dhcp", { ...none, method: "dhcp" }],
    ["on", { ...none, method: "dhcp" }],
    ["off", { ...none, method: "off" }],
    ["auto6", { ...none, method: "ipv6" }],
    ["either6", { ...none, method: "both" }],
    ["eth1:dhcp", { ...none, method: "dhcp", device: "eth1" }],
    ["0.0.0.0::::::dhcp", { ...none, method: "dhcp" }],
    ["0.0.0.0:0.0.0.0:0.0.0.0:0.0.0.0::eth0:off:0.0.0.0", { ...none, method: "off", device: "eth0" }],
    ["0.0.0.0", { ...none, method: "dhcp" }],
    ["eth1:dhcp:1450", { ...none, method: "dhcp", device: "eth1", mtu: 1450 }],
    ["bootp", { ...none, method: "dhcp" }],
    ["eth1:auto6:1400", { ...none, method: "ipv6", device: "eth1", mtu: 1400 }],
    ["::::node7:eth0:dhcp:9.9.9.9", { ...none, method: "dhcp", device: "eth0", hostName: "node7", dns: ["9.9.9.9"] }],
    ["::10.0.0.1:24::eth0:on", { ...none, method: "dhcp", device: "eth0", gateway: "10.0.0.1", prefixLength: 24 }],
    ["::::node7::auto6:[fd00::53]", { ...none, method: "ipv6", hostName: "node7", dns: ["fd00::53"] }],
    [":::::eth0", { ...none, method: "dhcp", device: "eth0" }],
  ] as const)("%s", (value, expected) => expect(parseIpParameter(value)).toEqual(expected));

  test("an address by hand, as the kernel's documentation has it", () => {
    expect(
      parseIpParameter("10.0.2.15:10.0.2.1:10.0.2.2:255.255.255.0:node7:eth0:off:10.0.2.3:10.0.2.4:10.0.2.5"),
    ).toEqual({
      ...none,
      method: "static",
      device: "eth0",
      ntp: "10.0.2.5",
      gateway: "10.0.2.2",
      hostName: "node7",
      dns: ["10.0.2.3", "10.0.2.4"],
      static: { family: 4, address: "10.0.2.15", prefixLength: 24 },
    });
  });

  test.each([
    ["10.0.0.5", 8],
    ["10.0.0.5:::0.0.0.0", 8],
    ["[fd00::5]", 64],
    ["10.0.0.5::10.0.0.1:20", 20],
    ["10.0.0.5::10.0.0.1", 8],
    ["172.16.0.5::", 16],
    ["192.168.0.5:::", 24],
  ])("the mask of %s", (value, expected) => expect(parseIpParameter(value).static?.prefixLength).toBe(expected));

  test("0.0.0.0 is no gateway", () => expect(parseIpParameter("10.0.0.5::0.0.0.0:24").gateway).toBeUndefined());

  test("dracut's MTU in the place of DNS servers", () => {
    expect(parseIpParameter("10.0.0.5::10.0.0.1:24::eth0:none:1400")).toMatchObject({ mtu: 1400, dns: [] });
    expect(parseIpParameter("::::::dhcp:1400:")).toMatchObject({ method: "dhcp", mtu: 1400 });
  });

  test.each(["any", "on", "dhcp", "both", "bootp", ""])(
    "an address is taken as it is, as in the kernel: %s",
    (method) => {
      const { method: chosen, static: found } = parseIpParameter(`10.0.0.5::10.0.0.1:24::eth0:${method}`);
      expect([chosen, found?.address]).toEqual(["static", "10.0.0.5"]);
    },
  );

  test("IPv6 in brackets", () => {
    expect(parseIpParameter("[fd00::5]::[fd00::1]:64::eth0:none:[fd00::53]")).toMatchObject({
      method: "static",
      device: "eth0",
      gateway: "fd00::1",
      dns: ["fd00::53"],
      static: { family: 6, address: "fd00::5", prefixLength: 64 },
    });
    expect(parseIpParameter("[fd00::5]:::::eth0:off").static?.prefixLength).toBe(64);
  });

  test.each([
    ["dchp", 'field 1 (method) is "dchp"; allowed: dhcp, on, any, off, none, auto6, dhcp6 or either6'],
    ["10.0.0.256::10.0.0.1:24::eth0:off", 'field 1 (client) is "10.0.0.256"; allowed: 10.0.0.1 or [fd00::1]'],
    ["10.0.0.5::gw:24::eth0:off", 'field 3 (gateway) is "gw"; allowed: an address of IPv4, as field 1'],
    ["[fd00::5]::10.0.0.1:64::eth0:off", 'field 3 (gateway) is "10.0.0.1"; allowed: an address of IPv6'],
    ["10.0.0.5::10.0.0.1:255.0.255.0::eth0:off", 'field 4 (mask) is "255.0.255.0"; allowed: 255.255.255.0 or 24'],
    ["10.0.0.5::10.0.0.1:33::eth0:off", 'field 4 (mask) is "33"'],
    ["10.0.0.5::10.0.0.1:24:no de:eth0:off", 'field 5 (host name) is "no de"'],
    ["10.0.0.5::10.0.0.1:24::a-very-long-interface:off", 'field 6 (device) is "a-very-long-interface"'],
    ["10.0.0.5::10.0.0.1:24::eth0:auto6", 'field 7 (method) is "auto6"; allowed: off, none or dhcp, because field 1'],
    ["rarp", 'field 1 (method) is "rarp"'],
    ["::[fd00::1]:::eth0:auto6", 'field 3 (gateway) is "[fd00::1]"; allowed: nothing, because routers tell it'],
    ["::[fd00::1]:::eth0:dhcp", 'field 3 (gateway) is "[fd00::1]"; allowed: an address of IPv4'],
    ["eth0:auto6:1279", 'field 3 (MTU) is "1279"; allowed: bytes, 1280 or more'],
    ["10.0.0.5::10.0.0.1:24::eth0:off:dns", 'field 8 (DNS) is "dns"'],
    ["[fd00::5]::::::none:1279", 'field 8 (MTU) is "1279"; allowed: bytes, 1280 or more'],
    ["eth1:dhcp:1450:52:54:00:b1:00:01", "ends with a MAC address; an adapter keeps its own: leave it out"],
    ["10.0.0.5:::24::eth0:none::52:54:00:B1:00:01", "ends with a MAC address"],
    ["eth1:dhcp:1450:525400b10001", 'field 4 (MAC) is "525400b10001"; allowed: nothing; an adapter keeps its own'],
    ["10.0.0.5:::24::eth0:none:1400:52-54-00-b1-00-01", 'field 9 (MAC) is "52-54-00-b1-00-01"; allowed: nothing'],
    ...["127.0.0.5", "224.0.0.1", "239.9.9.9", "255.255.255.255", "[::]", "[::1]", "[ff02::1]"].map((client) => [
      `${client}:::24::eth0:off`,
      `field 1 (client) is "${client}"; allowed: the address of one machine`,
    ]),
    ["::::::static", 'field 1 (client) is ""; allowed: an address'],
    ["1.2.3.4:::::::::::", "has 12 fields; there are 10 at most"],
    ["[fd00::5::", "has a bracket that does not fit"],
  ] as [string, string][])("%s: %s", (value, message) => expect(() => parseIpParameter(value)).toThrow(message));

  test("any text: read, or refused with a reason", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\da-f.:[\]dhcpoff]{0,60}$/), (text) => {
        try {
          parseIpParameter(text);
        } catch (error) {
          expect(error).toBeInstanceOf(IpParameterError);
        }
      }),
    );
  });
});

describe("several", () => {
  const about = (...texts: string[]) => {
    const { values, remarks } = parseIpParameters(texts);
    const [eth0, eth1] = ["eth0", "eth1"].map((name) => ipOfAdapter(values, name)?.method);
    return [eth0, eth1, remarks.length];
  };

  test("each is for the adapter that it names, one without a name for the others", () => {
    expect(about("eth0:dhcp", "eth1:auto6")).toEqual(["dhcp", "ipv6", 0]);
    expect(about("dhcp", "10.0.0.5:::24::eth1:off")).toEqual(["dhcp", "static", 0]);
    expect(about("eth1:off", "eth0:dhcp")).toEqual(["dhcp", undefined, 0]);
    expect(about("off", "eth0:dhcp")).toEqual(["dhcp", undefined, 0]);
    expect(about("either6", "eth1:off")).toEqual(["both", undefined, 0]);
  });

  test("of two for the same adapters the last one counts, which is said", () => {
    expect(about("eth0:dhcp", "eth0:auto6")).toEqual(["ipv6", undefined, 1]);
    expect(parseIpParameters(["eth0:dhcp", "eth1:dhcp", "off"])).toMatchObject({
      values: [{ method: "off" }],
      remarks: [
        "ip=eth0:dhcp does not count: ip=off comes after it",
        "ip=eth1:dhcp does not count: ip=off comes after it",
      ],
    });
  });

  test("a mistake is told with the text that it is in", () => {
    expect(() => parseIpParameters(["dhcp", "eth0:dchp"])).toThrow('"eth0:dchp" is not allowed: field 2 (server)');
  });
});

describe("on the kernel command line", () => {
  const read = (cmdline: string) => readLocalSources(new Map(), Buffer.from(cmdline));

  test("rivet.ip comes before the kernel's own", () => {
    const { local, kernelIps } = read("ip=dhcp rivet.ip=off ip=auto6 ip= ip");
    expect([local.ip?.method, kernelIps]).toEqual(["off", ["dhcp", "auto6"]]);
    expect(read("quiet").kernelIps).toEqual([]);
  });

  test("a mistake is told with its place", () => {
    expect(() => read("rivet.ip=10.0.0.5::gw")).toThrow(
      'kernel command line: rivet.ip: "10.0.0.5::gw" is not allowed: field 3 (gateway) is "gw"',
    );
  });

  test("its NTP server counts where nobody names others", () => {
    const ip = "rivet.ip=10.0.0.5::10.0.0.1:24::eth0:off:::10.0.0.9";
    expect(read(ip).local.ntp).toEqual(["10.0.0.9"]);
    expect(read(`${ip} rivet.ntp=ntp.example.org`).local.ntp).toEqual(["ntp.example.org"]);
  });

  test("VLANs", () => {
    expect(read("rivet.vlan=5").local.vlan).toEqual({ device: undefined, id: 5 });
    expect(read("rivet.vlan=eth0.4094").local.vlan).toEqual({ device: "eth0", id: 4094 });
    for (const wrong of ["0", "4095", "eth0", "eth0."]) {
      expect(() => read(`rivet.vlan=${wrong}`)).toThrow("rivet.vlan");
    }
  });

  test.each([
    ["rivet.service=10.0.0.1:4443", "10.0.0.1"],
    ["rivet.service=[fd00::1]:4443", "fd00::1"],
    ["rivet.service=bmc.example.org:4443", undefined],
    ["rivet.service=10.0.0.1:4443 rivet.config=http://[fd00::1]/site.yaml", "fd00::1"],
    ["rivet.config=https://10.0.0.1/x rivet.proxy=http://[fd00::9]:3128", "fd00::9"],
    ["rivet.service=[fd00::1]:4443 rivet.config=/etc/site.yaml", "fd00::1"],
    ["PIXIE_API_URL=http://10.0.0.1:4242", "10.0.0.1"],
  ])("%s: %s is to be reached first", (cmdline, address) => expect(firstAddress(read(cmdline))).toBe(address));
});
