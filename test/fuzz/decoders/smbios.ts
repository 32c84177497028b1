import { machineToProto } from "../../../agent/to-proto.ts";
import { checkSizes } from "../../../bmc-service/rpc/fields.ts";
import { type EntryPoint, parseEntryPoint, type SmbiosVersion } from "../../../inband/smbios/entry-point.ts";
import { identifyMachine } from "../../../inband/smbios/identify-machine.ts";
import { parseSmbios } from "../../../inband/smbios/parse-smbios.ts";
import { parseStructures, type Structure } from "../../../inband/smbios/structure.ts";
import { parseBios } from "../../../inband/smbios/type-0-bios.ts";
import { parseSystem } from "../../../inband/smbios/type-1-system.ts";
import { parseBaseboard } from "../../../inband/smbios/type-2-baseboard.ts";
import { parseChassis } from "../../../inband/smbios/type-3-chassis.ts";
import { parseIpmiDeviceInformation } from "../../../inband/smbios/type-38-ipmi-device.ts";
import { parseHostInterface } from "../../../inband/smbios/type-42-host-interface.ts";
import { DecodeError } from "../../../ipmi/errors.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import { fromHex } from "./corpus.ts";
import { mendChecksum } from "./mend-checksum.ts";

/** A structure as SMBIOS 3.7 §6.1 lays it out. */
function structure(type: number, body: Uint8Array, texts: readonly string[]): Uint8Array {
  const strings = texts.length === 0 ? [0, 0] : [...Buffer.from(`${texts.join("\0")}\0\0`, "utf8")];
  return Uint8Array.of(type, 4 + body.length, type, 0, ...body, ...strings);
}

const texts = ["Acme", " X1 ", "Größe", "0123456789"];

/** Bodies without the header, of several versions and kinds. */
const bodies: ReadonlyMap<number, readonly string[]> = new Map([
  [0, ["0102 0000 03 00 0000000000000000", "0102 00e0 03 ff 908bf95d00000000 0d03 0503 ffff"]],
  [
    1,
    ["01020300", "01020304 78563412bc9af0de1122334455667788 06", "01020304 00020003000400050006000700080009 06 0401"],
  ],
  [2, ["01020304", "0102030404 09 01 0300 0a 00"]],
  [3, ["0197020304", "01 17 02 03 04 03030302 00000000 00 01 00 00 01"]],
  [38, ["01202000 a30c000000000000 08 0a", "0120 20 00 00c0fee000000000 40 00", "04 20 42 ff 4200000000000000"]],
  [42, ["40 02 04aa 01 04 03 010203", "40 05 0203040506 02 02 00 04 02 aabb", "02 ca0c", "40 00 00"]],
]);

const bodiesOf = (type: number): Uint8Array[] => (bodies.get(type) ?? []).map(fromHex);

const tables: readonly Uint8Array[] = [0, 1].map((variant) =>
  Uint8Array.from([
    ...[...bodies.keys()].flatMap((type) => [...structure(type, bodiesOf(type)[variant] ?? new Uint8Array(0), texts)]),
    ...structure(127, new Uint8Array(0), []),
  ]),
);

/** Texts are as long as firmware likes. */
const wordyTable = Uint8Array.from([
  ...structure(1, bodiesOf(1)[1] ?? new Uint8Array(0), ["Ж".repeat(600), "X", "", "serial ".repeat(200)]),
  ...structure(127, new Uint8Array(0), []),
]);

function entryPoint32(tableBytes: number, count: number): Uint8Array {
  const size = [tableBytes & 0xff, tableBytes >> 8];
  const data = Uint8Array.of(
    ...Buffer.from("_SM_\0\x1f\x02\x08"),
    ...[0, 1, 0, 0, 0, 0, 0, 0],
    ...Buffer.from("_DMI_\0"),
    ...[...size, 0, 0, 0x0f, 0, count, 0, 0x28],
  );
  mendBoth(data);
  return data;
}

function entryPoint64(version: SmbiosVersion): Uint8Array {
  const { major, minor } = version;
  const data = Uint8Array.of(...Buffer.from("_SM3_\0\x18"), major, minor, 0, 1, 0, 0, 0x10, 0, 0, ...new Uint8Array(8));
  mendBoth(data);
  return data;
}

/** Sets the checksums where either kind of entry point has them; the intermediate one first, the other covers it. */
function mendBoth(data: Uint8Array): void {
  if (data[3] === "3".charCodeAt(0)) {
    mendChecksum(data, 0x05, 0, data[0x06] ?? 0);
  } else {
    mendChecksum(data, 0x15, 0x10, 0x1f);
    mendChecksum(data, 0x04, 0, data[0x05] ?? 0);
  }
}

const modern = { major: 3, minor: 2 } as const;
const old = { major: 2, minor: 3 } as const;

const entryPoints: readonly Uint8Array[] = [
  entryPoint32(tables[0]?.length ?? 0, 7),
  entryPoint64(modern),
  entryPoint64({ major: 3, minor: 0 }),
];

const entryPoint: FuzzedDecoder = {
  name: "SMBIOS entry point",
  decode: parseEntryPoint,
  refusals: [DecodeError],
  corpus: () => entryPoints,
  share: 2,
};

const entryPointMended: FuzzedDecoder = {
  name: "SMBIOS entry point with right checksums",
  decode(input): EntryPoint {
    const data = input.slice();
    mendBoth(data);
    return parseEntryPoint(data);
  },
  refusals: [DecodeError],
  corpus: () => entryPoints,
  share: 2,
};

/** The first byte chooses the entry point, the table follows. */
const wholeTables: FuzzedDecoder = {
  name: "SMBIOS tables",
  decode(input) {
    const table = input.subarray(1);
    const choice = (input[0] ?? 0) & 3;
    const entryPoint =
      choice === 0 ? entryPoint32(table.length, input[0] ?? 0) : entryPoint64(choice === 1 ? old : modern);
    const smbios = parseSmbios({ entryPoint, table });
    const machine = machineToProto(identifyMachine(smbios) ?? { uuid: "", smbios });
    // The service must take what the firmware says, else the machine is never linked.
    checkSizes(machine);
    return machine;
  },
  refusals: [DecodeError],
  corpus: (random) => [...tables, wordyTable].map((table) => Uint8Array.of(random.byte(), ...table)),
  maxBytes: 4096,
  share: 10,
};

/** One structure whose texts are good and whose formatted area is the input. */
function structureDecoder(
  type: number,
  parse: (structure: Structure, version: SmbiosVersion) => unknown,
): FuzzedDecoder {
  return {
    name: `SMBIOS type ${type}`,
    decode(input) {
      const [parsed] = parseStructures(structure(type, input.subarray(0, 251), texts), 1);
      if (parsed === undefined) throw new Error("a good structure was not found");
      return [old, modern].map((version) => parse(parsed, version));
    },
    refusals: [DecodeError],
    corpus: () => bodiesOf(type),
    share: 2,
  };
}

export const smbiosDecoders: readonly FuzzedDecoder[] = [
  entryPoint,
  entryPointMended,
  wholeTables,
  structureDecoder(0, parseBios),
  structureDecoder(1, parseSystem),
  structureDecoder(2, parseBaseboard),
  structureDecoder(3, parseChassis),
  structureDecoder(38, parseIpmiDeviceInformation),
  structureDecoder(42, parseHostInterface),
];
