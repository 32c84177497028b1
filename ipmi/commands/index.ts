import type { Command } from "../command.ts";
import { chassisControl } from "./chassis-control.ts";
import { chassisIdentify } from "./chassis-identify.ts";
import { closeSession } from "./close-session.ts";
import { getChannelAccess } from "./get-channel-access.ts";
import { getChannelAuthenticationCapabilities } from "./get-channel-authentication-capabilities.ts";
import { getChannelCipherSuites } from "./get-channel-cipher-suites.ts";
import { getChannelInfo } from "./get-channel-info.ts";
import { getChassisStatus } from "./get-chassis-status.ts";
import { getDeviceGuid } from "./get-device-guid.ts";
import { getDeviceId } from "./get-device-id.ts";
import { getFruInventoryAreaInfo } from "./get-fru-inventory-area-info.ts";
import { getLanConfigurationParameters } from "./get-lan-configuration-parameters.ts";
import { getSdr } from "./get-sdr.ts";
import { getSdrRepositoryInfo } from "./get-sdr-repository-info.ts";
import { getSystemBootOptions } from "./get-system-boot-options.ts";
import { getSystemGuid } from "./get-system-guid.ts";
import { getSystemInfoParameters } from "./get-system-info-parameters.ts";
import { getUserAccess } from "./get-user-access.ts";
import { getUserName } from "./get-user-name.ts";
import { getWatchdogTimer } from "./get-watchdog-timer.ts";
import { readFruData } from "./read-fru-data.ts";
import { reserveSdrRepository } from "./reserve-sdr-repository.ts";
import { resetWatchdogTimer } from "./reset-watchdog-timer.ts";
import { setChannelAccess } from "./set-channel-access.ts";
import { setLanConfigurationParameters } from "./set-lan-configuration-parameters.ts";
import { setSessionPrivilegeLevel } from "./set-session-privilege-level.ts";
import { setSystemBootOptions } from "./set-system-boot-options.ts";
import { setSystemInfoParameters } from "./set-system-info-parameters.ts";
import { setUserAccess } from "./set-user-access.ts";
import { setUserName } from "./set-user-name.ts";
import { setUserPassword } from "./set-user-password.ts";
import { setUserPayloadAccess } from "./set-user-payload-access.ts";
import { setWatchdogTimer } from "./set-watchdog-timer.ts";

export * from "./get-channel-cipher-suites.ts";
export {
  chassisControl,
  chassisIdentify,
  closeSession,
  getChannelAccess,
  getChannelAuthenticationCapabilities,
  getChannelInfo,
  getChassisStatus,
  getDeviceGuid,
  getDeviceId,
  getFruInventoryAreaInfo,
  getLanConfigurationParameters,
  getSdr,
  getSdrRepositoryInfo,
  getSystemBootOptions,
  getSystemGuid,
  getSystemInfoParameters,
  getUserAccess,
  getUserName,
  getWatchdogTimer,
  readFruData,
  reserveSdrRepository,
  resetWatchdogTimer,
  setChannelAccess,
  setLanConfigurationParameters,
  setSessionPrivilegeLevel,
  setSystemBootOptions,
  setSystemInfoParameters,
  setUserAccess,
  setUserName,
  setUserPassword,
  setUserPayloadAccess,
  setWatchdogTimer,
};

/** Every command of this folder, for a simulated BMC and for the laws that hold for all of them. */
export const allCommands: readonly Command<unknown, unknown>[] = [
  chassisControl,
  chassisIdentify,
  closeSession,
  getChannelAccess,
  getChannelAuthenticationCapabilities,
  getChannelCipherSuites,
  getChannelInfo,
  getChassisStatus,
  getDeviceGuid,
  getDeviceId,
  getFruInventoryAreaInfo,
  getLanConfigurationParameters,
  getSdr,
  getSdrRepositoryInfo,
  getSystemBootOptions,
  getSystemGuid,
  getSystemInfoParameters,
  getUserAccess,
  getUserName,
  getWatchdogTimer,
  readFruData,
  reserveSdrRepository,
  resetWatchdogTimer,
  setChannelAccess,
  setLanConfigurationParameters,
  setSessionPrivilegeLevel,
  setSystemBootOptions,
  setSystemInfoParameters,
  setUserAccess,
  setUserName,
  setUserPassword,
  setUserPayloadAccess,
  setWatchdogTimer,
];
