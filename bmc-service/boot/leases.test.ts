import { describe, expect, test } from "vitest";
import { readLeases } from "./leases.ts";

const mac = "52:54:00:12:34:56";

describe("dnsmasq", () => {
  test("an end of 0 is none; the server's own DUID is no lease, and DHCPv6 leases name no MAC address", () => {
    const text = `1795282800 52:54:00:12:34:56 10.0.0.7 node-1 01:52:54:00:12:34:56
0 52:54:00:AB:CD:EF 10.0.0.8 * *
duid 00:01:00:01:2c:5f:3e:8a:52:54:00:00:00:01
1795282800 1193046 fd00::7 node-1 00:01:00:01:2c:5f:3e:8a:52:54:00:12:34:56
1795282800 T1193047 fd00::8 * 00:01:00:01:2c:5f:3e:8a:52:54:00:12:34:57
17952828`;
    expect(readLeases(text)).toEqual([
      { mac, address: "10.0.0.7", endsMs: 1_795_282_800_000 },
      { mac: "52:54:00:ab:cd:ef", address: "10.0.0.8", endsMs: Number.POSITIVE_INFINITY },
      { mac: undefined, address: "fd00::7", endsMs: 1_795_282_800_000 },
      { mac: undefined, address: "fd00::8", endsMs: 1_795_282_800_000 },
    ]);
  });
});

describe("ISC dhcpd", () => {
  const lease = (address: string, state: string, ends: string) => `lease ${address} {
  starts 6 2026/11/21 10:00:00;
  ends ${ends};
  cltt 6 2026/11/21 10:00:00;
  binding state ${state};
  next binding state free;
  rewind binding state free;
  hardware ethernet 52:54:00:12:34:56;
  uid "\\001RT\\000\\0224V";
  client-hostname "node-1";
}
`;

  test("times are UTC, also never and since the epoch", () => {
    const head = "# The format of this file is documented in dhcpd.leases(5)\nauthoring-byte-order little-endian;\n\n";
    const text = `${head}${lease("10.0.0.7", "active", "6 2026/11/21 12:00:00")}${lease("10.0.0.8", "active", "never")}
${lease("10.0.0.9", "active", "epoch 1795262400; # Sat Nov 21 12:00:00 2026")}`;
    expect(readLeases(text).map(({ endsMs }) => endsMs)).toEqual([
      Date.UTC(2026, 10, 21, 12),
      Number.POSITIVE_INFINITY,
      Date.UTC(2026, 10, 21, 12),
    ]);
  });

  test("the last word on an address counts", () => {
    const active = lease("10.0.0.7", "active", "never");
    expect(readLeases(active + lease("10.0.0.7", "free", "never"))).toEqual([]);
    expect(readLeases(lease("10.0.0.7", "free", "never") + active)).toHaveLength(1);
  });

  test("DHCPv6 names the machine by its DUID, and no MAC address", () => {
    const association = (address: string, state: string) => `ia-na "\\352\\003\\000\\000\\000\\001"{" {
  cltt 6 2026/11/21 10:00:00;
  iaaddr ${address} {
    binding state ${state};
    preferred-life 2250;
    max-life 3600;
    ends 6 2026/11/21 12:00:00;
  }
}
`;
    const prefix = association("fd00:9::/56", "active").replace("iaaddr", "iaprefix").replace("ia-na", "ia-pd");
    const text = association("fd00::7", "active") + association("fd00::8", "active") + prefix;
    expect(readLeases(text + association("fd00::8", "expired"))).toEqual([
      { mac: undefined, address: "fd00::7", endsMs: Date.UTC(2026, 10, 21, 12) },
    ]);
  });

  test("what a machine calls itself opens and closes no lease", () => {
    const named = lease("10.0.0.7", "active", "never").replace("node-1", "}\\nlease 10.0.0.9 {");
    const first = named
      .replace(/^ {2}hardware.*\n/m, "")
      .replace("  starts", "  hardware ethernet 52:54:00:12:34:56;\n  starts");
    expect(readLeases(named).map(({ address }) => address)).toEqual(["10.0.0.7"]);
    expect(readLeases(first).map(({ address }) => address)).toEqual(["10.0.0.7"]);
  });

  test("a fixed address that was given at run time counts until it is deleted", () => {
    const host = (more: string) =>
      `host node-1 {\n  dynamic;\n${more}  hardware ethernet 52:54:00:12:34:56;\n  fixed-address 10.0.0.7;\n}\n`;
    expect(readLeases(host(""))).toEqual([{ mac, address: "10.0.0.7", endsMs: Number.POSITIVE_INFINITY }]);
    expect(readLeases(host("  deleted;\n"))).toEqual([]);
  });
});

describe("Kea", () => {
  const head =
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id";

  test("columns go by their names; the last line of an address counts", () => {
    const text = `${head}
10.0.0.7,52:54:00:12:34:56,01:52:54:00:12:34:56,3600,1795262400,1,0,0,node-1,0,,0
10.0.0.8,52:54:00:12:34:57,,3600,1795262400,1,0,0,,0,,0
10.0.0.8,52:54:00:12:34:57,,3600,1795262400,1,0,0,,2,,0
10.0.0.9,52:54:00:12:34:58,,4294967295,1795262400,1,0,0,,0,,0
10.0.0.9,52:54`;
    expect(readLeases(text)).toEqual([{ mac, address: "10.0.0.7", endsMs: 1_795_262_400_000 }]);
  });

  test("a lease without end", () => {
    const text = `${head}\n10.0.0.9,52:54:00:12:34:58,,4294967295,4294967295,1,0,0,,0,,0\n`;
    expect(readLeases(text)).toMatchObject([{ endsMs: Number.POSITIVE_INFINITY }]);
  });

  test("DHCPv6 has the MAC address in a column of its own, if it knows it", () => {
    const text = `address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source,pool_id
fd00::7,00:01:00:01:2c:5f:3e:8a:52:54:00:12:34:56,3600,1795262400,1,1800,0,7,128,0,0,,52:54:00:12:34:56,0,,1,2,0
fd00::8,00:01:00:01:2c:5f:3e:8a:52:54:00:12:34:57,3600,1795262400,1,1800,0,7,128,0,0,,,0,,,,0
fd00:9::,00:01:00:01:2c:5f:3e:8a:52:54:00:12:34:58,3600,1795262400,1,1800,2,7,56,0,0,,,0,,,,0
`;
    expect(readLeases(text)).toEqual([
      { mac, address: "fd00::7", endsMs: 1_795_262_400_000 },
      { mac: undefined, address: "fd00::8", endsMs: 1_795_262_400_000 },
    ]);
  });
});

test("an empty file has no leases, and neither has what is no lease file", () => {
  expect(readLeases("")).toEqual([]);
  expect(readLeases("#!/bin/sh\nexit 1\n\0\0\xff")).toEqual([]);
});
