import type { getDeviceId } from "./commands/get-device-id.ts";

/** What Get Device ID tells of a BMC. */
export interface DeviceIdentity {
  /** For example "9.08". */
  readonly firmwareVersion: string;
  /** For example "2.0". */
  readonly ipmiVersion: string;
  /** IANA enterprise number; 0 is unspecified. */
  readonly manufacturerId: number;
  readonly productId: number;
}

/** IPMI 2.0 §20.1. */
export function deviceIdentity(id: ReturnType<typeof getDeviceId.decodeResponse>): DeviceIdentity {
  return {
    firmwareVersion: `${id.firmware.majorRevision}.${id.firmwareMinorRevisionBcd.toString(16).padStart(2, "0")}`,
    ipmiVersion: `${id.ipmiVersion.major}.${id.ipmiVersion.minor}`,
    manufacturerId: id.manufacturerId,
    productId: id.productId,
  };
}
