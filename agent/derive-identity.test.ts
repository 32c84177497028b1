import { expect, test } from "vitest";
import { derivedText } from "./derive-identity.ts";

test.each([
  [undefined, "The firmware tells no system UUID."],
  [
    "00000000-0000-0000-0000-000000000000",
    "Refused: the system UUID 00000000-0000-0000-0000-000000000000 is a filler that many machines share.",
  ],
])("what the console says where the firmware tells %s", (uuid, refused) => {
  const texts = { manufacturer: "", productName: "", version: "", serialNumber: "", skuNumber: "", family: "" };
  const system = { ...texts, ...(uuid === undefined ? {} : { uuid }) };
  const smbios = { version: { major: 2, minor: 0 }, system, boardSerial: "S-1", ipmiDevices: [], hostInterfaces: [] };
  const machine = { uuid: "U", smbios, derivedFrom: { boardSerial: "S-1", mac: "52:54:00:b1:00:01" } };
  expect(derivedText(machine)).toBe(
    `${refused} Used instead: U, derived from board serial number S-1 and BMC MAC address 52:54:00:b1:00:01.`,
  );
});
