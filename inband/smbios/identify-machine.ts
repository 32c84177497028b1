import { isBogusUuid } from "../../ipmi/guid.ts";
import type { Smbios } from "./parse-smbios.ts";

/** A machine whose UUID tells it from others. */
export interface MachineIdentity {
  /** RFC 4122 text form in lower case. */
  readonly uuid: string;
  readonly smbios: Smbios;
  /** What the UUID is derived from, if it is not the firmware's: see derive-machine.ts. */
  readonly derivedFrom?: { readonly boardSerial: string; readonly mac: string };
}

/** The machine, if the firmware tells a UUID of its own; else undefined. */
export function identifyMachine(smbios: Smbios): MachineIdentity | undefined {
  const { uuid } = smbios.system;
  return uuid === undefined || isBogusUuid(uuid) ? undefined : { uuid, smbios };
}

/** Why the firmware's UUID is not taken: "the system UUID ... is a filler that many machines share". */
export function refusedUuidText(uuid: string | undefined): string {
  return uuid === undefined
    ? "the firmware tells no system UUID"
    : `the system UUID ${uuid} is a filler that many machines share`;
}

/** What a person can do so that the firmware tells a UUID of the machine's own. */
export const remedyOfBogusUuid =
  "Set a UUID of its own with the vendor's tool (AMI: AMIDE /SU AUTO; others: firmware setup or a board replacement kit).";

/** The firmware tells no UUID, or one that many machines share, and there is nothing to derive one from. */
export class BogusUuidError extends Error {
  override readonly name = "BogusUuidError";
  readonly code = "bogus-uuid";

  /**
   * @param uuid as the firmware tells it; undefined if it tells none
   * @param missing what a UUID cannot be derived without: "the machine has no BMC"
   */
  constructor(uuid: string | undefined, missing: string) {
    super(
      `SMBIOS: ${refusedUuidText(uuid)}, and none can be derived from board serial number and BMC MAC address, ` +
        `because ${missing}; so this machine cannot be told from others. ${remedyOfBogusUuid}`,
    );
  }
}
