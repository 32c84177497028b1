import { isBogusUuid } from "../../ipmi/guid.ts";
import type { Smbios } from "./parse-smbios.ts";

/** The firmware tells no UUID, or one that many machines share. */
export class BogusUuidError extends Error {
  override readonly name = "BogusUuidError";
  readonly code = "bogus-uuid";
  /** As the firmware tells it; undefined if it tells none. */
  readonly uuid: string | undefined;

  constructor(uuid: string | undefined) {
    const problem =
      uuid === undefined
        ? "the firmware tells no system UUID"
        : `the system UUID ${uuid} is a filler that many machines share`;
    super(
      `SMBIOS: ${problem}, so this machine cannot be told from others. ` +
        "Set a UUID of its own with the vendor's tool (AMI: AMIDE /SU AUTO; others: firmware setup or a board replacement kit).",
    );
    this.uuid = uuid;
  }
}

/** A machine whose UUID tells it from others. */
export interface MachineIdentity {
  /** RFC 4122 text form in lower case. */
  readonly uuid: string;
  readonly smbios: Smbios;
}

/** @throws BogusUuidError */
export function identifyMachine(smbios: Smbios): MachineIdentity {
  const { uuid } = smbios.system;
  if (uuid === undefined || isBogusUuid(uuid)) throw new BogusUuidError(uuid);
  return { uuid, smbios };
}
