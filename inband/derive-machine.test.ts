import { describe, expect, test } from "vitest";
import { encodeFru } from "../ipmi/fru/encode.ts";
import { parseFru } from "../ipmi/fru/parse.ts";
import { deriveMachine, machineNamespace, UnreadableIdentityError } from "./derive-machine.ts";
import { BogusUuidError } from "./smbios/identify-machine.ts";
import type { Smbios } from "./smbios/parse-smbios.ts";

const texts = { manufacturer: "", productName: "", version: "", serialNumber: "", skuNumber: "", family: "" };

function firmware(boardSerial: string): Smbios {
  return { version: { major: 3, minor: 0 }, system: texts, boardSerial, ipmiDevices: [], hostInterfaces: [] };
}

const channel = (number: number, mac?: string) => ({
  channel: number,
  remark: "",
  ...(mac === undefined ? {} : { mac }),
});
const [mac1, mac2] = ["52:54:00:b1:00:01", "52:54:00:b1:00:02"];
const fru = parseFru(encodeFru({ board: { serialNumber: " BS-0123456789 " } }));
const both = [channel(2, mac2), channel(1, mac1)];

test("the documented name space: a machine's UUID would change with it", () => {
  expect(machineNamespace).toBe("3c9d7132-79e7-40c2-a9ae-b910018bcff0");
});

// Made by Python's uuid.uuid5 in that name space.
test.each([
  ["serial number of SMBIOS, MAC address of the lowest channel", "S-1", both, "988d6c78-1047-5bfa-b1bb-a463cbd8e412"],
  [
    "a lower channel without MAC address",
    "S-1",
    [channel(1), channel(2, mac2)],
    "851e9175-17ef-55ca-b7ad-92d9e9fd9cb7",
  ],
  ["serial number of the FRU, without blanks", "", both, "07e3217a-a9df-5d47-a7a2-ebb5966f0d69"],
])("%s", (_what, boardSerial, channels, uuid) => {
  expect(deriveMachine(firmware(boardSerial), { channels, fru }).uuid).toBe(uuid);
});

describe("an error is not an answer", () => {
  const unreadable = { state: "unreadable", reason: "Read FRU Data: completion code FFh" } as const;

  test("a channel that did not answer counts if it is the lowest", () => {
    const derive = (...unansweredChannels: number[]) =>
      deriveMachine(firmware("S-1"), { channels: [channel(2, mac2)], unansweredChannels, fru });
    expect(() => derive(1)).toThrow(UnreadableIdentityError);
    expect(() => derive(1, 3)).toThrow(/MAC address of channel 1\./);
    expect(derive(3).derivedFrom).toEqual({ boardSerial: "S-1", mac: mac2 });
    const none = { channels: [], unansweredChannels: [1, 3], fru };
    expect(() => deriveMachine(firmware("S-1"), none)).toThrow(/MAC address of channel 1, 3\./);
  });

  test("a FRU that cannot be read counts if SMBIOS tells no serial number", () => {
    expect(() => deriveMachine(firmware(""), { channels: both, fru: unreadable })).toThrow(UnreadableIdentityError);
    expect(deriveMachine(firmware("S-1"), { channels: both, fru: unreadable }).derivedFrom?.boardSerial).toBe("S-1");
  });

  test("a FRU with a fault counts if the fault is where the serial number is", () => {
    const problem = (area: "header" | "board" | "product") => ({
      ...fru,
      problems: [{ area, kind: "length" as const, detail: "16 bytes long, 8 of them there" }],
    });
    const derive = (area: "header" | "board" | "product") =>
      deriveMachine(firmware(""), { channels: both, fru: problem(area) as typeof fru });
    expect(() => derive("header")).toThrow(UnreadableIdentityError);
    expect(() => derive("board")).toThrow(/FRU 0 is not to be trusted \(board: 16 bytes long, 8 of them there\)/);
    expect(derive("product").derivedFrom?.boardSerial).toBe("BS-0123456789");
  });
});

test.each([
  ["no BMC", "S-1", undefined, /the firmware tells no system UUID.*because the machine has no BMC/],
  ["no MAC address", "S-1", { channels: [channel(1)], fru }, /because the BMC tells no MAC address/],
  ["no FRU", "", { channels: both, fru: { state: "absent", reason: "size 0" } as const }, /neither SMBIOS nor the FRU/],
  [
    "zeros in the FRU",
    "",
    { channels: both, fru: parseFru(encodeFru({ board: { serialNumber: "00000" } })) },
    /neither/,
  ],
])("nothing to derive from: %s", (_what, boardSerial, bmc, text) => {
  const derive = () => deriveMachine(firmware(boardSerial), bmc);
  expect(derive).toThrow(BogusUuidError);
  expect(derive).toThrow(text);
});
