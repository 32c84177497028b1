import { describe, expect, test } from "vitest";
import { parseFru } from "../../ipmi/fru/parse.ts";
import { Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { differences, fruImage, type MadeUpTruth, makeUpTruth } from "./truth.ts";

/** The row as it has to be. */
function rowOf(truth: MadeUpTruth): Bmc {
  const { 0: bios, 1: system, 2: board, 3: chassis } = truth.smbios;
  const { boardManufacturedAt, ...texts } = truth.fru;
  return Bmc.fromPartial({
    mac: truth.bmcMac,
    machineUuid: truth.uuid,
    facts: {
      mac: truth.bmcMac,
      channel: 1,
      ipv4Address: truth.bmcIp,
      ipv4Source: 1,
      ipv4Mask: truth.bmcMask,
      ipv4Gateway: truth.bmcGateway,
      fru: { ...texts, boardManufacturedAt },
    },
    machine: {
      uuid: truth.uuid,
      bios: { vendor: bios.vendor ?? "", version: bios.version ?? "", date: bios.date ?? "" },
      system: {
        manufacturer: system.manufacturer ?? "",
        productName: system.product ?? "",
        version: system.version ?? "",
        serialNumber: system.serial ?? "",
        skuNumber: system.sku ?? "",
        family: system.family ?? "",
      },
      board: {
        manufacturer: board.manufacturer ?? "",
        productName: board.product ?? "",
        version: board.version ?? "",
        serialNumber: board.serial ?? "",
        assetTag: board.asset ?? "",
      },
      chassis: {
        manufacturer: chassis.manufacturer ?? "",
        version: chassis.version ?? "",
        serialNumber: chassis.serial ?? "",
        assetTag: chassis.asset ?? "",
      },
    },
  });
}

describe("a row held against the truth", () => {
  test("the right row differs in nothing", () => {
    const truth = makeUpTruth();
    expect(differences(truth, rowOf(truth))).toEqual([]);
  });

  test("one wrong field is told by its name, with both values", () => {
    const truth = makeUpTruth();
    const row = rowOf(truth);
    if (row.facts?.fru) row.facts.fru.boardSerial = "WRONG";
    expect(differences(truth, row)).toEqual([
      { field: "facts.fru.board_serial", expected: truth.fru.boardSerial, found: "WRONG" },
    ]);
  });

  test("an empty row differs in every field", () => {
    const fields = differences(makeUpTruth(), Bmc.fromPartial({})).map(({ field }) => field);
    expect(fields).toContain("machine_uuid");
    expect(fields).toContain("machine.chassis.asset_tag");
    expect(fields.length).toBeGreaterThan(35);
  });
});

test("two made-up machines share no identity", () => {
  const [one, two] = [makeUpTruth(), makeUpTruth()];
  expect(one.uuid).not.toBe(two.uuid);
  expect(one.bmcMac).not.toBe(two.bmcMac);
  expect(one.fru.boardSerial).not.toBe(two.fru.boardSerial);
});

test("the FRU image given to the simulator holds what it should", () => {
  const { fru } = makeUpTruth();
  expect(JSON.stringify(parseFru(fruImage(fru)))).toContain(fru.productAssetTag);
});
