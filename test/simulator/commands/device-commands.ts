import { getDeviceGuid, getDeviceId, getSystemGuid } from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { type Entry, on, refuse } from "./handler.ts";

/** Who the BMC is. IPMI 2.0 §20, §22.14. */
export const deviceCommands: readonly Entry[] = [
  on(getDeviceId, (bmc) => {
    const { manufacturerId, productId, firmware } = bmc.profile.device;
    return {
      deviceId: 0x20,
      device: { providesSdrs: false, revision: 1 },
      firmware: { deviceAvailable: !bmc.saysInitializing, majorRevision: firmware[0] },
      firmwareMinorRevisionBcd: firmware[1],
      ipmiVersion: { minor: 0, major: 2 },
      additionalDeviceSupport: {
        chassis: true,
        bridge: false,
        ipmbEventGenerator: false,
        ipmbEventReceiver: false,
        fruInventory: true,
        sel: false,
        sdrRepository: true,
        sensor: false,
      },
      manufacturerId,
      productId,
    };
  }),

  on(getSystemGuid, (bmc) => ({ guid: bmc.guid ?? refuse(bmc.guidRefused) })),

  on(getDeviceGuid, () => refuse(CompletionCode.invalidCommand)),
];
