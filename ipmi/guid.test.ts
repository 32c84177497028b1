import fc from "fast-check";
import { expect, test } from "vitest";
import { guidOrders, guidToUuid, isBogusUuid, parseUuid, sameGuid, uuidForms, uuidToGuid } from "./guid.ts";

// The example UUID of RFC 4122 style used in the SMBIOS specification (DSP0134 §7.2.1).
const uuid = "00112233-4455-6677-8899-aabbccddeeff";

test("the three byte orders (SMBIOS order: DSP0134 §7.2.1; IPMI order: the whole reversed, §20.8)", () => {
  const hexOf = (order: (typeof guidOrders)[number]) =>
    Array.from(uuidToGuid(uuid, order) ?? [], (each) => each.toString(16).padStart(2, "0")).join(" ");
  expect(hexOf("smbios")).toBe("33 22 11 00 55 44 77 66 88 99 aa bb cc dd ee ff");
  expect(hexOf("ipmi")).toBe("ff ee dd cc bb aa 99 88 77 66 55 44 33 22 11 00");
  expect(hexOf("rfc4122")).toBe("00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff");
});

test("a UUID and the bytes a BMC answers are the same in each order, and only then (property)", () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(bytes, bytes, (data, other) => {
      const text = guidToUuid(data, "rfc4122");
      for (const order of guidOrders) {
        const sent = uuidToGuid(text, order);
        if (sent === undefined) throw new Error("a UUID that we wrote is not read");
        expect(guidToUuid(sent, order)).toBe(text);
        expect(sameGuid(text.toUpperCase(), sent)).toBe(true);
        expect(Object.values(uuidForms(sent))).toContain(text);
      }
      expect(sameGuid(text, other)).toBe(Object.values(uuidForms(other)).includes(text));
    }),
  );
});

test("a version 1 UUID in two orders, as seen in go-hal", () => {
  const guid = parseUuid("0060c2bd-3089-eb11-8000-7cc255106b08");
  expect(guid && sameGuid("bdc26000-8930-11eb-8000-7cc255106b08", guid)).toBe(true);
});

test("what is no UUID is not read, and 15 bytes are no GUID", () => {
  for (const bad of [
    "",
    "x",
    uuid.slice(1),
    `${uuid}0`,
    uuid.replaceAll("-", ""),
    `{${uuid}}`,
    uuid.replace("0", "g"),
  ]) {
    expect(parseUuid(bad)).toBeUndefined();
  }
  expect(sameGuid(uuid, new Uint8Array(15))).toBe(false);
  expect(() => guidToUuid(new Uint8Array(15), "ipmi")).toThrow(RangeError);
});

test.each([
  "00000000-0000-0000-0000-000000000000",
  "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
  "03000200-0400-0500-0006-000700080009",
  "00020003-0004-0005-0006-000700080009",
  "09000800-0700-0600-0005-000400020003", // AMI's default, reversed
  "00010203-0405-0607-0809-0a0b0c0d0e0f",
  "03020100-0504-0706-0809-0a0b0c0d0e0f", // mixed-endian
  "0f0e0d0c-0b0a-0908-0706-050403020100", // reversed
  "0c0d0e0f-0a0b-0809-0706-050403020100", // reversed and mixed
  "efbeadde-adde-efbe-dead-beefdeadbeef",
  "8a95d198-7f46-11e5-bf8b-08002704d48e",
])("%s identifies nothing", (bogus) => {
  expect(isBogusUuid(bogus)).toBe(true);
});

test.each([
  "4c4c4544-0042-4a10-8052-b7c04f354c32", // Dell service tag
  "00000000-0000-0000-0000-ac1f6b123456", // Supermicro, from the MAC
  "31393138-3538-5a43-3132-333435363738", // HP, SKU and serial number
  "00000000-0000-0000-0000-000000000001",
  uuid,
])("%s is a good one", (good) => {
  expect(isBogusUuid(good)).toBe(false);
});
