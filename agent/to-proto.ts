import type { BmcInspection } from "../inband/inspect-bmc.ts";
import type { FruRead } from "../inband/read-fru.ts";
import type { MachineIdentity } from "../inband/smbios/identify-machine.ts";
import { AddressSource, type BmcFacts, type Fru } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Machine } from "../proto/gen/metalstack/bmc/v1/machine.ts";
import type { Latencies } from "./latencies.ts";

/** What the machine says of itself, as the contract names it, and where it stands. */
export function machineToProto({ uuid, smbios, derivedFrom }: MachineIdentity, site = ""): Machine {
  const { bios, system, baseboard, chassis, version } = smbios;
  return {
    uuid,
    bios: bios && { vendor: bios.vendor, version: bios.version, date: bios.releaseDate },
    system: {
      manufacturer: system.manufacturer,
      productName: system.productName,
      version: system.version,
      serialNumber: system.serialNumber,
      skuNumber: system.skuNumber,
      family: system.family,
    },
    board: baseboard && { ...baseboard },
    chassis: chassis && {
      manufacturer: chassis.manufacturer,
      version: chassis.version,
      serialNumber: chassis.serialNumber,
      assetTag: chassis.assetTag,
    },
    smbiosVersion: `${version.major}.${version.minor}`,
    uuidDerived: derivedFrom !== undefined,
    firmwareUuid: derivedFrom === undefined ? "" : (system.uuid ?? ""),
    site,
  };
}

/** Facts of which nothing is known. Without channels a report is a short look: what it leaves out stays as it was. */
export const noFacts: BmcFacts = {
  mac: "",
  channel: 0,
  ipv4Address: "",
  ipv4Source: AddressSource.ADDRESS_SOURCE_UNSPECIFIED,
  ipv4Mask: "",
  ipv4Gateway: "",
  vlanId: 0,
  ipv6Addresses: [],
  rmcpPort: 0,
  manufacturerId: 0,
  productId: 0,
  firmwareVersion: "",
  ipmiVersion: "",
  guid: "",
  fru: undefined,
  channels: [],
  transport: "",
  findings: [],
  commandLatencies: undefined,
};

/** What the BMC told, as the contract names it. */
export function factsToProto(bmc: BmcInspection, latencies?: Latencies): BmcFacts {
  return {
    mac: bmc.mac,
    channel: bmc.channel,
    ipv4Address: bmc.ipv4Address ?? "",
    ipv4Source: sourceToProto(bmc.ipv4Source),
    ipv4Mask: bmc.ipv4Mask ?? "",
    ipv4Gateway: bmc.ipv4Gateway ?? "",
    vlanId: bmc.vlanId ?? 0,
    ipv6Addresses: [...bmc.ipv6Addresses],
    rmcpPort: bmc.rmcpPort,
    manufacturerId: bmc.manufacturerId,
    productId: bmc.productId,
    firmwareVersion: bmc.firmwareVersion,
    ipmiVersion: bmc.ipmiVersion,
    guid: bmc.guid ?? "",
    fru: fruToProto(bmc.fru),
    channels: bmc.channels.map(({ channel, mac = "", ipv4Address = "", remark }) => ({
      channel,
      mac,
      ipv4Address,
      remark,
    })),
    transport: bmc.transport,
    findings: [...bmc.findings],
    commandLatencies: latencies && { ...latencies, buckets: [...latencies.buckets] },
  };
}

function sourceToProto(source: BmcInspection["ipv4Source"]): AddressSource {
  switch (source) {
    case "static":
      return AddressSource.ADDRESS_SOURCE_STATIC;
    case "dhcp":
      return AddressSource.ADDRESS_SOURCE_DHCP;
    case "bios":
      return AddressSource.ADDRESS_SOURCE_BIOS;
    case "other":
      return AddressSource.ADDRESS_SOURCE_OTHER;
    case undefined:
      return AddressSource.ADDRESS_SOURCE_UNSPECIFIED;
    default:
      return source satisfies never;
  }
}

function fruToProto(fru: FruRead): Fru | undefined {
  if (fru.state !== "present") return undefined;
  const { chassis, board, product } = fru;
  return {
    chassisPartNumber: chassis?.partNumber ?? "",
    chassisSerial: chassis?.serialNumber ?? "",
    boardManufacturer: board?.manufacturer ?? "",
    boardProductName: board?.productName ?? "",
    boardSerial: board?.serialNumber ?? "",
    boardPartNumber: board?.partNumber ?? "",
    productManufacturer: product?.manufacturer ?? "",
    productName: product?.productName ?? "",
    productPartNumber: product?.partNumber ?? "",
    productVersion: product?.version ?? "",
    productSerial: product?.serialNumber ?? "",
    productAssetTag: product?.assetTag ?? "",
    boardManufacturedAt: board?.manufacturingDate,
    defects: fru.problems.map(({ area, detail }) => `${area}: ${detail}`),
  };
}
