import { parseFatLabel } from "../../../agent/stick/fat-label.ts";
import { Report } from "../../../proto/gen/metalstack/bmc/v1/report.ts";
import { ReportError, readReport, writeReport } from "../../../proto/report-json.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import type { Random } from "../random.ts";

const report: FuzzedDecoder = {
  name: "report of a stick",
  decode: readReport,
  refusals: [ReportError],
  corpus: () =>
    [
      Report.fromPartial({ version: 1 }),
      Report.fromPartial({ version: 1, machine: { uuid: "u", board: { serialNumber: "S" } }, writtenAt: new Date(0) }),
      Report.fromPartial({ version: 1, bmc: { mac: "m", channels: [{ channel: 1 }], findings: ["f"], fru: {} } }),
      Report.fromPartial({ version: 1, inventory: { memoryBytes: 5n }, endedEarly: { inbandLocked: true } }),
      Report.fromPartial({
        version: 1,
        accounts: [{ id: "1", proof: 1, sealedPassword: { ciphertext: Buffer.from("x") } }],
      }),
    ].map(writeReport),
  maxBytes: 1024,
  share: 2,
};

/** The boot sector of a FAT file system; nothing else of a disk is looked at. */
function bootSector(random: Random, isFat32: boolean): Uint8Array {
  const sector = Buffer.from(random.bytes(512));
  sector.writeUInt16LE(512, 11);
  sector.writeUInt8(1, 16);
  sector.writeUInt16LE(isFat32 ? 0 : 100, 22);
  const extended = isFat32 ? 66 : 38;
  sector.writeUInt8(0x29, extended);
  sector.write("RIVET      FAT", extended + 5, "latin1");
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

const label: FuzzedDecoder = {
  name: "label of a FAT file system",
  decode: parseFatLabel,
  refusals: [],
  corpus: (random) => [bootSector(random, false), bootSector(random, true)],
  maxBytes: 600,
  share: 1,
};

export const reportDecoders: readonly FuzzedDecoder[] = [report, label];
