import { byte, bytes, flag, flagInverted, optional, uint, uint8, uint16LE, uint24LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get Device ID: who the BMC is. The gate of everything else.
 * IPMI 2.0 §20.1.
 *
 * A booting BMC answers C1h, C3h, CEh, D2h or FFh for a while, or 00h with `deviceAvailable` false.
 * `auxiliaryFirmwareRevision` is missing on some (11 bytes instead of 15).
 */
export const getDeviceId = command({
  name: "Get Device ID",
  netFn: NetFn.app,
  cmd: 0x01,
  repeatable: true,
  request: {},
  response: {
    deviceId: uint8,
    device: byte({ providesSdrs: flag(7), revision: uint(3, 0) }),
    /** 0b = normal operation, 1b = firmware update or initialization in progress. */
    firmware: byte({ deviceAvailable: flagInverted(7), majorRevision: uint(6, 0) }),
    /** BCD: 23h is ".23". */
    firmwareMinorRevisionBcd: uint8,
    /** The minor digit stands in the high nibble: 02h is IPMI 2.0, 51h is 1.5. */
    ipmiVersion: byte({ minor: uint(7, 4), major: uint(3, 0) }),
    additionalDeviceSupport: byte({
      chassis: flag(7),
      bridge: flag(6),
      ipmbEventGenerator: flag(5),
      ipmbEventReceiver: flag(4),
      fruInventory: flag(3),
      sel: flag(2),
      sdrRepository: flag(1),
      sensor: flag(0),
    }),
    /** IANA enterprise number, 20 bits; 0 is unspecified. See manufacturer.ts. */
    manufacturerId: uint24LE,
    productId: uint16LE,
    auxiliaryFirmwareRevision: optional(bytes(4)),
  },
});
