import {
  getDeviceGuid,
  getDeviceId,
  getSystemGuid,
  getSystemInfoParameters,
  setSystemInfoParameters,
} from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { operatingSystemName } from "../../../ipmi/system-info-parameters.ts";
import { type Entry, on, refuse, refuseIf } from "./handler.ts";

const parameterNotSupported = 0x80;

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

  on(getSystemInfoParameters, (bmc, { parameterSelector, setSelector }) => {
    const { systemInfo } = bmc.profile.device;
    refuseIf(systemInfo === undefined, CompletionCode.invalidCommand);
    if (systemInfo !== undefined && "refused" in systemInfo) refuse(systemInfo.refused);
    refuseIf(parameterSelector !== operatingSystemName || setSelector !== 0, parameterNotSupported);
    const unset = systemInfo !== undefined && "unset" in systemInfo ? systemInfo.unset : undefined;
    return { parameterRevision: 0x11, parameterData: bmc.operatingSystem ?? refuse(unset ?? parameterNotSupported) };
  }),

  on(setSystemInfoParameters, (bmc, { parameterSelector, parameterData }) => {
    const { systemInfo } = bmc.profile.device;
    refuseIf(systemInfo === undefined, CompletionCode.invalidCommand);
    if (systemInfo !== undefined && "refused" in systemInfo) refuse(systemInfo.refused);
    refuseIf(parameterSelector !== operatingSystemName, parameterNotSupported);
    if (systemInfo === undefined || !("forgotten" in systemInfo)) bmc.operatingSystem = parameterData;
    return {};
  }),

  on(getDeviceGuid, () => refuse(CompletionCode.invalidCommand)),
];
