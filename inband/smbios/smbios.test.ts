import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../../ipmi/errors.ts";
import { uuidToGuid } from "../../ipmi/guid.ts";
import { parseEntryPoint } from "./entry-point.ts";
import { identifyMachine, refusedUuidText } from "./identify-machine.ts";
import { parseSmbios } from "./parse-smbios.ts";
import { readSmbiosTables, SmbiosUnavailableError } from "./read-tables.ts";
import { uuidVersion5 } from "./uuid-version-5.ts";

const uuidBytes = [0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];

function structure(type: number, handle: number, body: readonly number[], texts: readonly string[] = []): number[] {
  const area = texts.flatMap((text) => [...Array.from(text, (each) => each.charCodeAt(0)), 0]);
  return [type, 4 + body.length, handle & 0xff, handle >> 8, ...body, ...(texts.length === 0 ? [0, 0] : [...area, 0])];
}

const bios = structure(
  0,
  0,
  [1, 2, 0, 0, 3, 0, ...new Array<number>(8).fill(0)],
  ["SeaBIOS", " 1.16.2 ", "04/01/2014"],
);
const system = (uuid = uuidBytes) =>
  structure(1, 0x100, [1, 2, 0, 3, ...uuid, 6, 4, 9], ["QEMU", "Standard PC", "Default string", "SKU-7"]);
const board = structure(2, 0x200, [1, 2, 0, 0, 3], ["Acme", "X1", "tag"]);
const chassis = structure(3, 0x300, [1, 0x97, 0, 2, 0, 3, 3, 3, 2], ["Acme", "C-1"]);
const ipmiDevice = structure(38, 0x2600, [1, 0x20, 0x20, 0, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x08, 10]);
const hostInterface = structure(42, 0x2a00, [0x40, 2, 0x04, 0xaa, 1, 4, 3, 1, 2, 3]);
const end = structure(127, 0x7f00, []);

const structures = [bios, system(), board, chassis, ipmiDevice, hostInterface, end];
const table = Uint8Array.from(structures.flat());

function checksum(data: number[], at: number, from: number, to: number): void {
  data[at] = 0;
  data[at] = (256 - (data.slice(from, to).reduce((sum, each) => sum + each, 0) & 0xff)) & 0xff;
}

function entryPoint32(version: [number, number], tableBytes: number, count: number): Uint8Array {
  const data = [..."_SM_"].map((each) => each.charCodeAt(0));
  data.push(0, 0x1f, ...version, 0, 1, 0, 0, 0, 0, 0, 0);
  data.push(...[..."_DMI_"].map((each) => each.charCodeAt(0)), 0);
  data.push(tableBytes & 0xff, tableBytes >> 8, 0, 0, 0x0f, 0, count & 0xff, count >> 8, 0x28);
  checksum(data, 0x15, 0x10, 0x1f);
  checksum(data, 0x04, 0, 0x1f);
  return Uint8Array.from(data);
}

function entryPoint64(version: [number, number]): Uint8Array {
  const data = [..."_SM3_"].map((each) => each.charCodeAt(0));
  data.push(0, 0x18, ...version, 0, 1, 0, 0, 0x10, 0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0);
  checksum(data, 0x05, 0, 0x18);
  return Uint8Array.from(data);
}

const modern = { entryPoint: entryPoint64([3, 2]), table };

describe("SMBIOS", () => {
  test.each([
    ["UTF-8", "47 72 c3 b6 c3 9f 65"],
    ["Latin-1", "47 72 f6 df 65"],
  ])("texts beyond ASCII: %s", (_code, bytes) => {
    const name = String.fromCharCode(...bytes.split(" ").map((each) => Number.parseInt(each, 16)));
    const named = [structure(2, 0x200, [1, 2, 0, 0, 3], [name, "X1", "tag"]), system(), end].flat();
    const { baseboard } = parseSmbios({ entryPoint: entryPoint64([3, 2]), table: Uint8Array.from(named) });
    expect(baseboard).toMatchObject({ manufacturer: "Größe", productName: "X1" });
  });

  test("a text without end is cut: a report with all of it would be refused", () => {
    const endless = "Rack ".repeat(1000);
    const data = Uint8Array.from([...structure(1, 0x100, [1, 2, 0, 3, ...uuidBytes, 6], [endless, "X"]), ...end]);
    const { manufacturer, productName } = parseSmbios({ ...modern, table: data }).system;
    expect([manufacturer, productName]).toEqual([endless.slice(0, 256), "X"]);
  });

  test("reads types 0, 1, 2, 3, 38 and 42", () => {
    expect(parseSmbios(modern)).toEqual({
      version: { major: 3, minor: 2 },
      bios: { vendor: "SeaBIOS", version: "1.16.2", releaseDate: "04/01/2014" },
      system: {
        manufacturer: "QEMU",
        productName: "Standard PC",
        version: "",
        serialNumber: "",
        uuid: "12345678-9abc-def0-1122-334455667788",
        skuNumber: "SKU-7",
        family: "",
      },
      baseboard: { manufacturer: "Acme", productName: "X1", version: "", serialNumber: "", assetTag: "tag" },
      boardSerial: "",
      chassis: { manufacturer: "Acme", chassisType: 0x17, version: "", serialNumber: "C-1", assetTag: "" },
      ipmiDevices: [
        {
          interfaceType: "KCS",
          ipmiVersion: "2.0",
          i2cSlaveAddress: 0x20,
          base: { space: "io", address: 0xca2n },
          registerSpacingBytes: 1,
          interrupt: 10,
        },
      ],
      hostInterfaces: [
        {
          interfaceType: 0x40,
          interfaceData: Uint8Array.of(0x04, 0xaa),
          protocols: [{ protocol: "Redfish over IP", data: Uint8Array.of(1, 2, 3) }],
        },
      ],
    });
  });

  test("a table that lies within a larger buffer, as a file's does, reads the same", () => {
    const buffer = Buffer.concat([Buffer.alloc(24, 0xee), table]).subarray(24);
    expect(parseSmbios({ ...modern, table: buffer }).ipmiDevices).toEqual(parseSmbios(modern).ipmiDevices);
  });

  test.each([
    [[2, 8], "12345678-9abc-def0-1122-334455667788"],
    [[2, 6], "12345678-9abc-def0-1122-334455667788"],
    [[2, 51], "12345678-9abc-def0-1122-334455667788"],
    [[2, 5], "78563412-bc9a-f0de-1122-334455667788"],
    [[2, 33], "78563412-bc9a-f0de-1122-334455667788"],
  ] as [[number, number], string][])("version %j decides the byte order of the UUID", (version, uuid) => {
    const parsed = parseSmbios({ entryPoint: entryPoint32(version, table.length, structures.length), table });
    expect(parsed.system.uuid).toBe(uuid);
  });

  test("a 32-bit entry point may count more structures than there are before the end-of-table structure", () => {
    expect(parseSmbios({ entryPoint: entryPoint32([2, 8], table.length, 40), table }).system.manufacturer).toBe("QEMU");
  });

  test("without end-of-table structure the count of the 32-bit entry point ends the table", () => {
    const short = table.subarray(0, table.length - end.length);
    const entryPoint = entryPoint32([2, 1], short.length, structures.length - 1);
    expect(parseSmbios({ entryPoint, table: short }).bios?.vendor).toBe("SeaBIOS");
  });

  test.each([
    ["64-bit", modern.entryPoint],
    ["32-bit", entryPoint32([2, 8], table.length, structures.length)],
  ])("every table cut short is a DecodeError (%s)", (_kind, entryPoint) => {
    for (let size = 0; size < table.length; size += 1) {
      expect(() => parseSmbios({ entryPoint, table: table.subarray(0, size) }), `${size} bytes`).toThrow(DecodeError);
    }
  });

  test("a table cut in the middle of a structure names it and where it began", () => {
    const cut = table.subarray(0, bios.length + 10);
    const expected = `SMBIOS structure of type 1: cut short: 10 of 27 bytes (at byte ${bios.length})`;
    expect(() => parseSmbios({ ...modern, table: cut })).toThrow(expected);
  });

  test.each([
    ["64-bit", modern.entryPoint],
    ["32-bit", entryPoint32([2, 8], 0x1234, 7)],
  ])("an entry point cut short or with any bit turned is a DecodeError (%s)", (_kind, entryPoint) => {
    for (let size = 0; size < entryPoint.length; size += 1) {
      expect(() => parseEntryPoint(entryPoint.subarray(0, size)), `${size} bytes`).toThrow(DecodeError);
    }
    for (let bit = 0; bit < 8 * entryPoint.length; bit += 1) {
      const turned = entryPoint.slice();
      turned[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => parseEntryPoint(turned), `bit ${bit}`).toThrow(DecodeError);
    }
  });

  test("random bytes fail in one way only", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 60 }), (random, front) => {
        for (const data of [random, Uint8Array.from([...table.subarray(0, front.length * 5), ...random])]) {
          try {
            parseSmbios({ ...modern, table: data });
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
        }
        try {
          parseEntryPoint(random);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });

  test("any byte of the table changed never fails in another way", () => {
    fc.assert(
      fc.property(fc.nat(table.length - 1), fc.nat(255), (at, value) => {
        const changed = table.slice();
        changed[at] = value;
        try {
          parseSmbios({ ...modern, table: changed });
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });

  test("a table without type 1 is refused", () => {
    expect(() => parseSmbios({ ...modern, table: Uint8Array.from([...bios, ...end]) })).toThrow(
      "there is no System Information (type 1)",
    );
  });

  test("a protocol record that runs over its structure is a DecodeError naming type 42", () => {
    const broken = structure(42, 0x2a00, [0x40, 2, 0x04, 0xaa, 1, 4, 30, 1, 2, 3]);
    const data = Uint8Array.from([...system(), ...broken, ...end]);
    expect(() => parseSmbios({ ...modern, table: data })).toThrow(/structure of type 42: 30 bytes needed at 0Bh/);
  });
});

describe("identifyMachine", () => {
  const identified = (uuid: number[]) =>
    identifyMachine(parseSmbios({ ...modern, table: Uint8Array.from([...system(uuid), ...end]) }));

  test("takes a UUID of its own", () => {
    expect(identifyMachine(parseSmbios(modern))?.uuid).toBe("12345678-9abc-def0-1122-334455667788");
  });

  test.each([
    ["all zero", new Array<number>(16).fill(0)],
    ["all ones", new Array<number>(16).fill(0xff)],
    ["AMI's default", [0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9]],
    ["AMI's default, written in the order of the text", [3, 0, 2, 0, 4, 0, 5, 0, 0, 6, 0, 7, 0, 8, 0, 9]],
  ])("takes no filler: %s", (_name, uuid) => {
    expect(identified(uuid)).toBeUndefined();
  });

  test.each([
    ["Dell", "44454c4c-4200-1042-8052-b4c04f4d4d32"],
    ["Supermicro", "00000000-0000-0000-0000-ac1f6b123456"],
    ["HPE", "31393138-3538-5a43-3132-333435363738"],
    ["metal-stack's mini-lab", "00000000-0000-0000-0000-000000000001"],
  ])("takes what merely looks odd: %s", (_maker, uuid) => {
    expect(identified([...(uuidToGuid(uuid, "smbios") ?? [])])?.uuid).toBe(uuid);
  });

  test("takes no UUID for none, before SMBIOS 2.1", () => {
    const old = structure(1, 0x100, [1, 2, 0, 0], ["Old", "Box"]);
    const smbios = parseSmbios({ ...modern, table: Uint8Array.from([...old, ...end]) });
    expect(identifyMachine(smbios)).toBeUndefined();
    expect(refusedUuidText(smbios.system.uuid)).toBe("the firmware tells no system UUID");
  });
});

describe("the serial number of the board", () => {
  const serialOf = (...boards: readonly (readonly number[])[]) =>
    parseSmbios({ ...modern, table: Uint8Array.from([...system(), ...boards.flat(), ...end]) }).boardSerial;
  const boardOf = (serial: string) => structure(2, 0x200, [1, 1, 1, 2, 1], ["Acme", serial]);

  test("is that of the first board that has one of its own", () => {
    expect(serialOf(boardOf("Default string"), boardOf("00000000"), boardOf(" B-7 "), boardOf("B-8"))).toBe("B-7");
  });

  test("is empty if none has, also in a structure that is cut short", () => {
    expect(serialOf(boardOf("None"), structure(2, 0x201, [1], ["Acme"]))).toBe("");
    expect(serialOf()).toBe("");
  });
});

test.each([
  // RFC 9562 appendix A.4, in the name space of DNS (§6.6)
  ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com", "2ed6657d-e927-568b-95e1-2665a8aea6a2"],
  // by Python's uuid.uuid5
  ["3c9d7132-79e7-40c2-a9ae-b910018bcff0", "S-1/52:54:00:b1:00:01", "988d6c78-1047-5bfa-b1bb-a463cbd8e412"],
  ["3c9d7132-79e7-40c2-a9ae-b910018bcff0", "Größe-7/52:54:00:b1:00:01", "4628b8fc-b023-5621-98aa-35630914ec85"],
])("UUID version 5 in %s of %s", (namespace, name, uuid) => {
  expect(uuidVersion5(namespace, name)).toBe(uuid);
});

describe("readSmbiosTables", () => {
  test("reads both files of a directory", async () => {
    const directory = await mkdtemp(join(tmpdir(), "smbios-"));
    try {
      await writeFile(join(directory, "smbios_entry_point"), modern.entryPoint);
      await writeFile(join(directory, "DMI"), table);
      expect(parseSmbios(await readSmbiosTables(directory)).system.manufacturer).toBe("QEMU");
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("says which file is missing", async () => {
    await expect(readSmbiosTables("/nowhere")).rejects.toThrow(SmbiosUnavailableError);
    await expect(readSmbiosTables("/nowhere")).rejects.toThrow("/nowhere/smbios_entry_point");
  });
});
