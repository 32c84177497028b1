import fc from "fast-check";
import { expect, test } from "vitest";
import { qrLines, qrModules, qrText } from "./qr.ts";
import { pictureOf, readQr } from "./read-qr.fixture.ts";

const uuid = "4c4c4544-0042-3510-8052-b4c04f4d4d32";
const mac = "52:54:00:12:34:56";
const longest = "fd00:1234:5678:9abc:def0:1234:5678:9abc";

test("a phone reads state, UUID, MAC and address", () => {
  const lines = qrLines({ state: "LINKED", uuid, mac, address: "192.168.100.200" });
  expect(readQr(pictureOf(lines, qrModules))).toBe(`LINKED\nUUID ${uuid}\nMAC ${mac}\nIP 192.168.100.200`);
});

test("what is not known is left out", () => {
  expect(qrText({ state: "NO BMC", uuid, mac: "", address: "" })).toBe(`NO BMC\nUUID ${uuid}`);
});

test("the longest text fits, in capitals", () => {
  const lines = qrLines({ state: "NEEDS OPERATOR", uuid, mac, address: longest });
  expect(readQr(pictureOf(lines, qrModules))).toBe(
    `NEEDS OPERATOR UUID ${uuid} MAC ${mac} IP ${longest}`.toUpperCase(),
  );
});

test("all sizes are read, with a light border of two modules at least", () => {
  const address = fc.constantFrom("", "10.0.0.1", "10.20.30.40", "fe80::1", "2001:db8::1:2:3", longest);
  const content = fc.record({ state: fc.constantFrom("LINKED", "NO BMC", "NEEDS OPERATOR"), address });
  fc.assert(
    fc.property(content, ({ state, address }) => {
      const lines = qrLines({ state, uuid, mac, address });
      expect(lines).toHaveLength(21);
      expect(lines[0]).toBe("\u2588".repeat(qrModules));
      for (const line of lines.slice(0, -1)) expect(line).toMatch(/^\u2588\u2588.{37}\u2588\u2588$/u);
      expect(readQr(pictureOf(lines, qrModules))).toMatch(new RegExp(`^${state}`));
    }),
    { numRuns: 5 },
  );
});
