import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { encodeFru } from "../../ipmi/fru/encode.ts";
import type { Bmc, BmcFacts, Fru } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { SmbiosStrings } from "./qemu.ts";

/** What QEMU and the simulated BMC are told: the service's row has to say the same in the end. */
export interface Truth {
  /** SMBIOS system UUID, and System GUID of the BMC. */
  readonly uuid: string;
  readonly bmcMac: string;
  /** LAN channel of that MAC; 1 by default. */
  readonly bmcChannel?: number;
  /** "0.0.0.0": the BMC has no IPv4 address, and nothing of IPv4 is compared. */
  readonly bmcIp: string;
  readonly bmcMask: string;
  readonly bmcGateway: string;
  readonly bmcIpSource: "static" | "dhcp";
  /** MAC of the machine's own NIC. */
  readonly nicMac: string;
  readonly smbios: Required<SmbiosStrings>;
  /** "unknown": the BMC tells another one or none, and it is not compared. */
  readonly fru: FruTruth | "unknown";
}

/** A truth whose BMC tells the FRU that was made up for it. */
export type MadeUpTruth = Omit<Truth, "fru"> & { readonly fru: FruTruth };

export interface FruTruth {
  readonly chassisPartNumber: string;
  readonly chassisSerial: string;
  readonly boardManufacturer: string;
  readonly boardProductName: string;
  readonly boardSerial: string;
  readonly boardPartNumber: string;
  /** Whole minutes: a FRU knows no finer time. */
  readonly boardManufacturedAt: Date;
  readonly productManufacturer: string;
  readonly productName: string;
  readonly productPartNumber: string;
  readonly productVersion: string;
  readonly productSerial: string;
  readonly productAssetTag: string;
}

/** Makes up a machine. Everything that can be random is: what a row says of it can only have been read from it. */
export function makeUpTruth(): MadeUpTruth {
  const serial = (prefix: string) => `${prefix}${randomBytes(4).toString("hex").toUpperCase()}`;
  return {
    uuid: randomUUID(),
    bmcMac: randomMac(),
    // TEST-NET-1: an address that no route leads to, so that only the service's address map can reach the BMC.
    bmcIp: `192.0.2.${randomInt(10, 250)}`,
    bmcMask: "255.255.255.0",
    bmcGateway: "192.0.2.1",
    bmcIpSource: "static",
    nicMac: randomMac(),
    smbios: {
      0: { vendor: "Rivet Firmware Works", version: `2.${randomInt(100)}`, date: "04/01/2025" },
      1: {
        manufacturer: "Rivet Machines, Inc.",
        product: "RM-200",
        version: "B",
        serial: serial("SYS"),
        sku: serial("SKU"),
        family: "RM",
      },
      2: {
        manufacturer: "Rivet Boards",
        product: "RB-2",
        version: "1.01",
        serial: serial("BRD"),
        asset: serial("AST"),
      },
      3: { manufacturer: "Rivet Chassis", version: "1U", serial: serial("CHS"), asset: serial("AST") },
    },
    fru: {
      chassisPartNumber: serial("CP"),
      chassisSerial: serial("CS"),
      boardManufacturer: "Rivet Boards",
      boardProductName: "RB-2",
      boardSerial: serial("BS"),
      boardPartNumber: serial("BP"),
      boardManufacturedAt: new Date(Date.UTC(2025, randomInt(12), randomInt(1, 28), randomInt(24), randomInt(60))),
      productManufacturer: "Rivet Machines",
      productName: "RM-200",
      productPartNumber: serial("PP"),
      productVersion: "B",
      productSerial: serial("PS"),
      productAssetTag: serial("AT"),
    },
  };
}

/** Unicast and locally administered. */
export function randomMac(): string {
  return ["02", ...[...randomBytes(5)].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** FRU data for a simulated BMC. */
export function fruImage(fru: FruTruth): Uint8Array {
  return encodeFru({
    chassis: { chassisType: 0x17, partNumber: fru.chassisPartNumber, serialNumber: fru.chassisSerial },
    board: {
      manufacturer: fru.boardManufacturer,
      productName: fru.boardProductName,
      serialNumber: fru.boardSerial,
      partNumber: fru.boardPartNumber,
      manufacturingDate: fru.boardManufacturedAt,
    },
    product: {
      manufacturer: fru.productManufacturer,
      productName: fru.productName,
      partNumber: fru.productPartNumber,
      version: fru.productVersion,
      serialNumber: fru.productSerial,
      assetTag: fru.productAssetTag,
    },
  });
}

/** A field of the row that is not what it should be. */
export interface Difference {
  /** Name of the field in the contract, for example "facts.fru.board_serial". */
  readonly field: string;
  readonly expected: string;
  readonly found: string;
}

/** Holds a row of the service against what the machine and its BMC were told. */
export function differences(truth: Truth, row: Bmc): Difference[] {
  const { facts, machine } = row;
  const { 0: bios, 1: system, 2: board, 3: chassis } = truth.smbios;
  const pairs: readonly Pair[] = [
    ["mac", truth.bmcMac, row.mac],
    ["machine_uuid", truth.uuid, row.machineUuid],
    ["facts.mac", truth.bmcMac, facts?.mac],
    ["facts.channel", (truth.bmcChannel ?? 1).toString(), facts?.channel.toString()],
    ...ipv4Pairs(truth, facts),
    ...(truth.fru === "unknown" ? [] : fruPairs(truth.fru, facts?.fru)),
    ["machine.uuid", truth.uuid, machine?.uuid],
    ["machine.bios.vendor", bios.vendor, machine?.bios?.vendor],
    ["machine.bios.version", bios.version, machine?.bios?.version],
    ["machine.bios.date", bios.date, machine?.bios?.date],
    ["machine.system.manufacturer", system.manufacturer, machine?.system?.manufacturer],
    ["machine.system.product_name", system.product, machine?.system?.productName],
    ["machine.system.version", system.version, machine?.system?.version],
    ["machine.system.serial_number", system.serial, machine?.system?.serialNumber],
    ["machine.system.sku_number", system.sku, machine?.system?.skuNumber],
    ["machine.system.family", system.family, machine?.system?.family],
    ["machine.board.manufacturer", board.manufacturer, machine?.board?.manufacturer],
    ["machine.board.product_name", board.product, machine?.board?.productName],
    ["machine.board.version", board.version, machine?.board?.version],
    ["machine.board.serial_number", board.serial, machine?.board?.serialNumber],
    ["machine.board.asset_tag", board.asset, machine?.board?.assetTag],
    ["machine.chassis.manufacturer", chassis.manufacturer, machine?.chassis?.manufacturer],
    ["machine.chassis.version", chassis.version, machine?.chassis?.version],
    ["machine.chassis.serial_number", chassis.serial, machine?.chassis?.serialNumber],
    ["machine.chassis.asset_tag", chassis.asset, machine?.chassis?.assetTag],
  ];
  return pairs
    .filter(([, expected, found]) => expected !== found)
    .map(([field, expected = "(nothing)", found = "(absent)"]) => ({ field, expected, found }));
}

type Pair = readonly [field: string, expected: string | undefined, found: string | undefined];

function ipv4Pairs({ bmcIp, bmcIpSource, bmcMask, bmcGateway }: Truth, facts: BmcFacts | undefined): readonly Pair[] {
  if (bmcIp === "0.0.0.0") return [];
  return [
    ["facts.ipv4_address", bmcIp, facts?.ipv4Address],
    ["facts.ipv4_source", bmcIpSource === "static" ? "1" : "2", facts?.ipv4Source.toString()],
    ["facts.ipv4_mask", bmcMask, facts?.ipv4Mask],
    ["facts.ipv4_gateway", bmcGateway, facts?.ipv4Gateway],
  ];
}

function fruPairs(truth: FruTruth, fru: Fru | undefined): readonly Pair[] {
  return [
    ["facts.fru.chassis_part_number", truth.chassisPartNumber, fru?.chassisPartNumber],
    ["facts.fru.chassis_serial", truth.chassisSerial, fru?.chassisSerial],
    ["facts.fru.board_manufacturer", truth.boardManufacturer, fru?.boardManufacturer],
    ["facts.fru.board_product_name", truth.boardProductName, fru?.boardProductName],
    ["facts.fru.board_serial", truth.boardSerial, fru?.boardSerial],
    ["facts.fru.board_part_number", truth.boardPartNumber, fru?.boardPartNumber],
    [
      "facts.fru.board_manufactured_at",
      truth.boardManufacturedAt.toISOString(),
      fru?.boardManufacturedAt?.toISOString(),
    ],
    ["facts.fru.product_manufacturer", truth.productManufacturer, fru?.productManufacturer],
    ["facts.fru.product_name", truth.productName, fru?.productName],
    ["facts.fru.product_part_number", truth.productPartNumber, fru?.productPartNumber],
    ["facts.fru.product_version", truth.productVersion, fru?.productVersion],
    ["facts.fru.product_serial", truth.productSerial, fru?.productSerial],
    ["facts.fru.product_asset_tag", truth.productAssetTag, fru?.productAssetTag],
  ];
}
