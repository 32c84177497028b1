import { describe, expect, test } from "vitest";
import type { Lease } from "./dhcp-client.ts";
import { parseIpParameter } from "./ip-parameter.ts";
import type { Ipv6Config } from "./ipv6-client.ts";
import { leadsTo, networkValues } from "./network-values.ts";

const lease: Lease = {
  ...{ address: "10.7.0.100", prefixLength: 24, server: "10.7.0.1", hostName: "by-dhcp", mtu: 9000, dns: ["10.7.0.1"] },
  routes: [
    { destination: "10.20.0.0", prefixLength: 16, gateway: "10.7.0.3" },
    { destination: "0.0.0.0", prefixLength: 0, gateway: "10.7.0.1" },
  ],
  ...{ domain: "site.example", search: [], leaseSeconds: 60, renewalSeconds: 30, rebindingSeconds: 50, boundAt: 0 },
};
const ipv6: Ipv6Config = {
  ...{ addresses: ["fd00::5"], router: "fe80::1", dns: ["fd00::53"], search: ["v6.example"], lease: undefined },
};

describe("what ip= gives comes before what servers tell", () => {
  test("nothing is given", () => {
    expect(networkValues({ lease, ipv6, ip: parseIpParameter("dhcp") })).toEqual({
      ...{ prefixLength: 24, routes: lease.routes, mtu: 9000, hostName: "by-dhcp" },
      ...{ dns: ["10.7.0.1", "fd00::53"], domain: "site.example", search: ["v6.example"] },
    });
  });

  test("beside DHCP: gateway, mask, host name and DNS servers; the server's other routes and DNS servers stay", () => {
    const ip = parseIpParameter("::10.7.0.9:255.255.0.0:node9:eth0:dhcp:9.9.9.9");
    expect(networkValues({ lease, ipv6: undefined, ip })).toMatchObject({
      prefixLength: 16,
      routes: [lease.routes[0], { destination: "0.0.0.0", prefixLength: 0, gateway: "10.7.0.9" }],
      hostName: "node9",
      dns: ["9.9.9.9", "10.7.0.1"],
    });
    expect(networkValues({ lease, ipv6: undefined, ip: parseIpParameter("eth0:dhcp:1400") }).mtu).toBe(1400);
  });

  test("beside routers of IPv6: MTU, host name and DNS servers", () => {
    const byShort = parseIpParameter("eth0:auto6:1400");
    expect(networkValues({ lease: undefined, ipv6, ip: byShort })).toMatchObject({ mtu: 1400, routes: [] });
    const ip = parseIpParameter("::::node9:eth0:auto6:[fd00::99]");
    expect(networkValues({ lease: undefined, ipv6, ip })).toMatchObject({
      hostName: "node9",
      dns: ["fd00::99", "fd00::53"],
    });
  });
});

test("where a lease leads to", () => {
  const [route] = lease.routes;
  const ways = (to: string, routes = lease.routes.slice(0, 1)) =>
    leadsTo(networkValues({ lease: { ...lease, routes }, ipv6: undefined, ip: undefined }), lease, to);
  expect([ways("10.7.0.1"), ways("10.20.9.9"), ways("127.0.0.1"), ways("10.8.0.1")]).toEqual([true, true, true, false]);
  expect([route !== undefined, ways("10.8.0.1", [...lease.routes])]).toEqual([true, true]);
});
