import { DecodeError } from "../../ipmi/errors.ts";
import { ownSerial } from "../../ipmi/placeholder.ts";
import { parseEntryPoint, type SmbiosVersion } from "./entry-point.ts";
import type { SmbiosTables } from "./read-tables.ts";
import { parseStructures, type Structure } from "./structure.ts";
import { type Bios, parseBios } from "./type-0-bios.ts";
import { parseSystem, type System } from "./type-1-system.ts";
import { type Baseboard, parseBaseboard, serialOfBaseboard } from "./type-2-baseboard.ts";
import { type Chassis, parseChassis } from "./type-3-chassis.ts";
import { type IpmiDeviceInformation, parseIpmiDeviceInformation } from "./type-38-ipmi-device.ts";
import { type HostInterface, parseHostInterface } from "./type-42-host-interface.ts";

/** What the firmware says of the machine. Of types 0 to 3 the first structure counts. */
export interface Smbios {
  readonly version: SmbiosVersion;
  readonly bios?: Bios;
  readonly system: System;
  readonly baseboard?: Baseboard;
  /** Serial number of the first baseboard that tells one of its own; empty if none does. */
  readonly boardSerial: string;
  readonly chassis?: Chassis;
  readonly ipmiDevices: readonly IpmiDeviceInformation[];
  readonly hostInterfaces: readonly HostInterface[];
}

/**
 * Reads both tables.
 * @throws DecodeError naming the structure and the offset, for anything cut short; and if there is no type 1
 */
export function parseSmbios({ entryPoint, table }: SmbiosTables): Smbios {
  const { version, structureCount } = parseEntryPoint(entryPoint);
  const structures = parseStructures(table, structureCount);
  const first = (type: number) => structures.find((each) => each.type === type);
  const all = <T>(type: number, parse: (structure: Structure) => T) =>
    structures.filter((each) => each.type === type).map(parse);
  const system = first(1);
  if (system === undefined) {
    throw new DecodeError("SMBIOS table", table.length, "there is no System Information (type 1)");
  }
  const bios = first(0);
  const baseboard = first(2);
  const chassis = first(3);
  return {
    version,
    ...(bios === undefined ? {} : { bios: parseBios(bios) }),
    system: parseSystem(system, version),
    ...(baseboard === undefined ? {} : { baseboard: parseBaseboard(baseboard) }),
    boardSerial:
      all(2, serialOfBaseboard)
        .map(ownSerial)
        .find((serial) => serial !== "") ?? "",
    ...(chassis === undefined ? {} : { chassis: parseChassis(chassis) }),
    ipmiDevices: all(38, parseIpmiDeviceInformation),
    hostInterfaces: all(42, (structure) => parseHostInterface(structure, version)),
  };
}
