import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  guidOrders,
  guidToUuid,
  isBogusUuid,
  parseUuid,
  sameGuid,
  uuidForms,
  uuidToGuid,
  uuidVersion,
} from "./guid.ts";

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

// The same 16 bytes of one BMC, read in two orders by two versions of go-hal.
test.each([
  ["bdc26000-8930-11eb-8000-7cc255106b08", "0060c2bd-3089-eb11-8000-7cc255106b08"],
  ["0060c2bd-3089-eb11-8000-7cc255106b08", "bdc26000-8930-11eb-8000-7cc255106b08"],
])("%s is the machine whose BMC sends the bytes of %s, in any of the three orders", (wanted, sent) => {
  const bytes = parseUuid(sent) ?? new Uint8Array(0);
  expect(sameGuid(wanted, bytes)).toBe(true);
  for (const order of guidOrders) expect(sameGuid(wanted, uuidToGuid(wanted, order) ?? new Uint8Array(0))).toBe(true);
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
  ["2ed6657d-e927-568b-95e1-2665a8aea6a2", 5],
  ["919108F7-52D1-4320-9BAC-F847DB4148A8", 4],
  ["4c4c4544-0042-5a10-c052-b7c04f354c32", undefined],
  ["no UUID", undefined],
])("%s is of version %s", (uuid, version) => {
  expect(uuidVersion(uuid)).toBe(version);
});

/** Every text that the bytes of a UUID can become: stored in one order, read in another. */
function allForms(uuid: string): string[] {
  return guidOrders.flatMap((stored) => Object.values(uuidForms(uuidToGuid(uuid, stored) ?? new Uint8Array(0))));
}

describe.each([
  ["zeros", "00000000-0000-0000-0000-000000000000"],
  ["ones, as erased flash has them", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"],
  ["AMI's default", "03000200-0400-0500-0006-000700080009"],
  ["the same with each word turned round", "00020003-0004-0005-0006-000700080009"],
  ["one byte again and again", "01010101-0101-0101-0101-010101010101"],
  ["counted up from 0", "00010203-0405-0607-0809-0a0b0c0d0e0f"],
  ["counted up from 1: systemd #11137, OpenBMC #3170", "01020304-0506-0708-090a-0b0c0d0e0f10"],
  ["GLPI: two machines of HP", "6ab5b300-538d-1014-9fb5-b0684d007b53"],
  ["counted down", "00000000-0000-0000-0807-060504030201"],
  ["FEh again and again", "fefefefe-fefe-fefe-fefe-fefefefefefe"],
  ["dead beef", "deadbeef-dead-beef-dead-beefdeadbeef"],
  ["SolidRun LX2160A #4", "8a95d198-7f46-11e5-bf8b-08002704d48e"],
])("a UUID that identifies nothing: %s", (_what, bogus) => {
  test(`${bogus}, in any byte order`, () => {
    const forms = allForms(bogus);
    expect(forms).toContain(bogus.toLowerCase());
    expect(forms.filter((form) => !isBogusUuid(form) || !isBogusUuid(form.toUpperCase()))).toEqual([]);
  });
});

test.each([
  ["AMI's default, reversed", "09000800-0700-0600-0005-000400020003"],
  ["counted up, mixed-endian", "03020100-0504-0706-0809-0a0b0c0d0e0f"],
  ["counted up, reversed", "0f0e0d0c-0b0a-0908-0706-050403020100"],
  ["counted up, reversed and mixed", "0c0d0e0f-0a0b-0809-0706-050403020100"],
  ["dead beef, mixed-endian", "efbeadde-adde-efbe-dead-beefdeadbeef"],
])("written by hand: %s", (_what, bogus) => {
  expect(isBogusUuid(bogus)).toBe(true);
});

// What looks odd and is a machine's own all the same; systems that refused one of these had to take it back.
test.each([
  ["Dell: the same in the other byte order", "44454c4c-4200-104a-8052-b7c04f354c32"],
  ["Dell: DELL and the service tag", "4c4c4544-0042-4a10-8052-b7c04f354c32"],
  ["Supermicro: zeros and the MAC address", "00000000-0000-0000-0000-ac1f6b123456"],
  ["HP: SKU and serial number as ASCII", "31393138-3538-5a43-3132-333435363738"],
  ["suspicious, but no filler: its end looks like dead beef (go-hal)", "30313436-3631-5553-4539-efbeaddeefbe"],
  ["metal-stack's mini-lab: zeros and a number", "00000000-0000-0000-0000-000000000001"],
  ["mini-lab, a later machine", "00000000-0000-0000-0000-00000000000b"],
  ["HPE: another SKU as ASCII", "37363530-3739-4d32-3234-313430374436"],
  ["version 1", "bdc26000-8930-11eb-8000-7cc255106b08"],
  ["an example of the SMBIOS specification", uuid],
])("a good one: %s", (_what, good) => {
  expect(allForms(good).filter(isBogusUuid)).toEqual([]);
});
