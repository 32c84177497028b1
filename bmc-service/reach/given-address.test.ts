import { describe, expect, test } from "vitest";
import { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { parseGivenAddress, reachableAt } from "./bmc-address.ts";

describe("an address that an operator gives", () => {
  test.each([
    ["10.0.0.8", "10.0.0.8", 623],
    ["10.0.0.8:9001", "10.0.0.8", 9001],
    ["2001:db8::7", "2001:db8::7", 623],
    ["[2001:db8::7]", "2001:db8::7", 623],
    ["[2001:db8::7]:9001", "2001:db8::7", 9001],
    ["bmc7", "bmc7", 623],
    ["bmc-7.Example.org:623", "bmc-7.Example.org", 623],
    ["127.0.0.1:6230", "127.0.0.1", 6230],
  ])("%s", (text, host, port) => {
    expect(parseGivenAddress(text)).toEqual({ host, port });
  });

  test.each([
    ["", "host name"],
    [" 10.0.0.8", "host name"],
    ["10.0.0", "host name"],
    ["10.0.0.256", "host name"],
    ["10.0.0.8:0", "port 1 to 65535"],
    ["10.0.0.8:65536", "port 1 to 65535"],
    ["10.0.0.8:", "port 1 to 65535"],
    ["[10.0.0.8]x", "host name"],
    ["http://bmc7", "HOST:PORT"],
    ["bmc_7", "host name"],
    ["-bmc", "host name"],
    ["a".repeat(64), "host name"],
    ["0.0.0.0", "unspecified"],
    ["::", "unspecified"],
    ["224.0.0.1", "multicast"],
    ["[ff02::1]:623", "multicast"],
    ["255.255.255.255", "broadcast"],
  ])("%j is none", (text, problem) => {
    expect(() => parseGivenAddress(text)).toThrow(RangeError);
    expect(() => parseGivenAddress(text)).toThrow(problem);
  });
});

test("a BMC is where the map says, else where an operator said, else where it says itself", () => {
  const mac = "52:54:00:b1:00:01";
  const facts = BmcFacts.fromPartial({
    mac,
    ipv4Address: "10.0.0.8",
    ipv6Addresses: ["2001:db8::7/64"],
    rmcpPort: 664,
  });
  const row = { mac, givenAddress: "bmc7:9001", facts };
  const map = new Map([[mac, { host: "127.0.0.1", port: 6230 }]]);
  expect(reachableAt(row, map)).toEqual({ host: "127.0.0.1", port: 6230 });
  expect(reachableAt(row, new Map())).toEqual({ host: "bmc7", port: 9001 });
  expect(reachableAt({ ...row, givenAddress: "" }, new Map())).toEqual({ host: "10.0.0.8", port: 664 });
  expect(reachableAt({ ...row, givenAddress: "", facts: undefined }, new Map())).toBeUndefined();
  const reported = (ipv4Address: string, ...ipv6Addresses: string[]) =>
    reachableAt({ ...row, givenAddress: "", facts: { ...facts, ipv4Address, ipv6Addresses } }, new Map())?.host;
  expect(reported("169.254.3.4", "fe80::1/64", "2001:db8::7/64")).toBe("2001:db8::7");
  expect(reported("169.254.3.4")).toBe("169.254.3.4");
  expect(reported("", "2001:db8::7/64")).toBe("2001:db8::7");
  expect(reported("")).toBeUndefined();
});
