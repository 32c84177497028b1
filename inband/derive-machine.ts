import { ownSerial } from "../ipmi/placeholder.ts";
import type { BmcInspection } from "./inspect-bmc.ts";
import { BogusUuidError, type MachineIdentity, refusedUuidText, remedyOfBogusUuid } from "./smbios/identify-machine.ts";
import type { Smbios } from "./smbios/parse-smbios.ts";
import { uuidVersion5 } from "./smbios/uuid-version-5.ts";

/** The name space of derived machine UUIDs. With another one every machine would be another one: it never changes. */
export const machineNamespace = "3c9d7132-79e7-40c2-a9ae-b910018bcff0";

/** What is needed for a UUID may be there, but could not be read: the next boot may read it, so this one must not go without. */
export class UnreadableIdentityError extends Error {
  override readonly name = "UnreadableIdentityError";
  readonly code = "unreadable-identity";

  /**
   * @param uuid as the firmware tells it; undefined if it tells none
   * @param problem what could not be read, and why
   */
  constructor(uuid: string | undefined, problem: string) {
    super(
      `SMBIOS: ${refusedUuidText(uuid)}, and none can be derived from board serial number and BMC MAC address, ` +
        `because ${problem}. Run again; if that does not help, reset the BMC. ${remedyOfBogusUuid}`,
    );
  }
}

/**
 * The machine by a UUID that is made of the serial number of its board and a MAC address of its BMC, because the firmware tells
 * none. Neither changes while the board is the same: it is the lowest-numbered LAN channel that tells a MAC address, not the
 * elected one, which depends on cables. Anybody can make the same UUID: see uuid-version-5.ts; the name is "SERIAL/MAC".
 * @param bmc undefined if the machine has none
 * @throws BogusUuidError if serial number or MAC address are missing; UnreadableIdentityError if the BMC did not tell whether
 */
export function deriveMachine(
  smbios: Smbios,
  bmc: (SeenOfLan & Pick<BmcInspection, "fru">) | undefined,
): MachineIdentity {
  if (bmc === undefined) throw new BogusUuidError(smbios.system.uuid, "the machine has no BMC");
  const mac = lowestMac(smbios, bmc);
  const boardSerial = serialOfBoard(smbios, bmc);
  return { uuid: uuidVersion5(machineNamespace, `${boardSerial}/${mac}`), smbios, derivedFrom: { boardSerial, mac } };
}

type SeenOfLan = Pick<BmcInspection, "channels" | "unansweredChannels">;

function lowestMac(smbios: Smbios, { channels, unansweredChannels = [] }: SeenOfLan): string {
  const inOrder = channels.toSorted((a, b) => a.channel - b.channel);
  const { channel: lowest = Number.POSITIVE_INFINITY, mac } = inOrder.find((each) => each.mac !== undefined) ?? {};
  const unanswered = unansweredChannels.filter((channel) => channel < lowest);
  if (unanswered.length > 0) {
    const problem = `the BMC did not tell the MAC address of channel ${unanswered.join(", ")}`;
    throw new UnreadableIdentityError(smbios.system.uuid, problem);
  }
  if (mac === undefined) throw new BogusUuidError(smbios.system.uuid, "the BMC tells no MAC address");
  return mac;
}

/** Of SMBIOS, else of the FRU: each tells the same at every boot, or an error. */
function serialOfBoard(smbios: Smbios, { fru }: Pick<BmcInspection, "fru">): string {
  if (smbios.boardSerial !== "") return smbios.boardSerial;
  if (fru.state === "unreadable") {
    throw new UnreadableIdentityError(
      smbios.system.uuid,
      `SMBIOS tells no serial number, and FRU 0 cannot be read (${fru.reason})`,
    );
  }
  const board = fru.state === "present" ? fru : undefined;
  const problem = board?.problems.find(({ area }) => area === "header" || area === "board");
  if (problem !== undefined) {
    const what = `${problem.area}: ${problem.detail}`;
    throw new UnreadableIdentityError(
      smbios.system.uuid,
      `SMBIOS tells no serial number, and FRU 0 is not to be trusted (${what})`,
    );
  }
  const serial = ownSerial(board?.board?.serialNumber ?? "");
  if (serial === "") {
    throw new BogusUuidError(smbios.system.uuid, "neither SMBIOS nor the FRU tells a serial number of the board");
  }
  return serial;
}
