import { isBogusUuid, sameGuid, uuidForms } from "../../ipmi/guid.ts";
import { GuidComparison } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

/** What is known in-band. */
export interface InbandIdentity {
  /** As on the wire, hexadecimal; empty if the BMC told none in-band. */
  readonly guid: string;
  readonly machineUuid: string;
}

/**
 * Compares the GUID read from remote with what is known in-band. BMCs send the same GUID in three byte orders, and
 * not always the same one on every channel.
 * @param remote 16 bytes as on the wire; undefined if the BMC tells none
 * @returns "another BMC" if it contradicts the GUID read in-band
 */
export function compareGuid(remote: Uint8Array | undefined, known: InbandIdentity): GuidComparison | "another BMC" {
  if (remote === undefined || isBogusUuid(uuidForms(remote).rfc4122)) {
    return GuidComparison.GUID_COMPARISON_NONE_FROM_REMOTE;
  }
  const inband = known.guid === "" ? undefined : Buffer.from(known.guid, "hex");
  if (inband !== undefined && !isBogusUuid(uuidForms(inband).rfc4122)) {
    const same = Object.values(uuidForms(inband)).some((form) => sameGuid(form, remote));
    return same ? GuidComparison.GUID_COMPARISON_SAME_AS_INBAND : "another BMC";
  }
  return sameGuid(known.machineUuid, remote)
    ? GuidComparison.GUID_COMPARISON_SAME_AS_MACHINE_UUID
    : GuidComparison.GUID_COMPARISON_NOT_COMPARABLE;
}
