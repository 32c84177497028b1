import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIpv4, formatIpv6, ipKind, parseIpv4, parseIpv6 } from "./ip.ts";
import { formatMac, macProblem, parseMac } from "./mac.ts";
import { manufacturerName } from "./manufacturer.ts";

const bytesOf = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });

test("addresses survive text and back, and node:net takes the text (property)", () => {
  fc.assert(
    fc.property(bytesOf(6), (data) => {
      expect(parseMac(formatMac(data))).toEqual(data);
    }),
  );
  fc.assert(
    fc.property(bytesOf(4), (data) => {
      expect(parseIpv4(formatIpv4(data))).toEqual(data);
      expect(isIPv4(formatIpv4(data))).toBe(true);
    }),
  );
  // Many zeros, so that "::" is met in all places.
  const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 0x20, 0xff), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(
      fc.oneof(
        bytesOf(16),
        sparse.map((list) => Uint8Array.from(list)),
      ),
      (data) => {
        expect(parseIpv6(formatIpv6(data))).toEqual(data);
        expect(isIPv6(formatIpv6(data))).toBe(true);
        expect(formatIpv6(data)).toBe(new URL(`http://[${formatIpv6(data)}]/`).hostname.slice(1, -1));
      },
    ),
  );
});

test("any text is read exactly if node:net takes it (property)", () => {
  const letters = fc.string({
    unit: fc.constantFrom("0", "1", "f", "25", "255", "256", ".", ":", "::"),
    maxLength: 14,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), letters), (text) => {
      expect(parseIpv4(text) !== undefined).toBe(isIPv4(text));
      expect(parseIpv6(text) !== undefined).toBe(isIPv6(text) && !text.includes("%"));
    }),
    { numRuns: 3000 },
  );
});

test("canonical IPv6 text (RFC 5952 §4)", () => {
  const canonical = (text: string) => formatIpv6(parseIpv6(text) ?? new Uint8Array(0));
  expect(canonical("2001:DB8:0:0:1:0:0:1")).toBe("2001:db8::1:0:0:1");
  expect(canonical("2001:db8:0:1:1:1:1:1")).toBe("2001:db8:0:1:1:1:1:1");
  expect(canonical("::ffff:10.0.0.7")).toBe("::ffff:a00:7");
  expect(canonical("0:0:0:0:0:0:0:0")).toBe("::");
  expect(canonical("fe80:0:0:0:0:0:0:1")).toBe("fe80::1");
});

test("kinds of addresses", () => {
  const kind = (text: string) => ipKind(parseIpv4(text) ?? parseIpv6(text) ?? new Uint8Array(0));
  expect(["0.0.0.0", "127.0.0.1", "169.254.3.4", "239.1.1.1", "255.255.255.255", "10.0.0.7"].map(kind)).toEqual([
    "unspecified",
    "loopback",
    "link-local",
    "multicast",
    "broadcast",
    "unicast",
  ]);
  expect(["::", "::1", "fe80::1", "ff02::1", "2001:db8::1", "fd00::1"].map(kind)).toEqual([
    "unspecified",
    "loopback",
    "link-local",
    "multicast",
    "unicast",
    "unicast",
  ]);
  expect(() => ipKind(new Uint8Array(5))).toThrow(RangeError);
});

test("MAC addresses: forms that are read, and those no BMC has", () => {
  expect(parseMac("52-54-00-B1-00-01")).toEqual(parseMac("52:54:00:b1:00:01"));
  for (const bad of [
    "",
    "52:54:00:b1:00",
    "52:54:00:b1:00:01:02",
    "52:54-00:b1:00:01",
    "525400b10001",
    "5:54:00:b1:00:01",
  ]) {
    expect(parseMac(bad)).toBeUndefined();
  }
  const problem = (text: string) => macProblem(parseMac(text) ?? new Uint8Array(0));
  expect(problem("00:00:00:00:00:00")).toBe("it is all zero");
  expect(problem("ff:ff:ff:ff:ff:ff")).toBe("it is the broadcast address");
  expect(problem("27:53:00:00:00:01")).toBe("it is a multicast address");
  expect(problem("52:54:00:b1:00:01")).toBeUndefined();
  expect(macProblem(new Uint8Array(5))).toBe("it has 5 bytes, not 6");
});

test("names of makers, and none for others", () => {
  expect([674, 10876, 47196, 11, 19046].map(manufacturerName)).toEqual(["Dell", "Supermicro", "HPE", "HP", "Lenovo"]);
  expect(manufacturerName(0)).toBeUndefined();
  expect(manufacturerName(0xfffff)).toBeUndefined();
});
