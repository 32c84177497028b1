import { setInProgress } from "../../../ipmi/boot-options.ts";
import {
  chassisControl,
  chassisIdentify,
  getChassisStatus,
  getSystemBootOptions,
  setSystemBootOptions,
} from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { type Entry, on, refuse } from "./handler.ts";

/** Power, identify and boot options. IPMI 2.0 §28. */
export const chassisCommands: readonly Entry[] = [
  on(getChassisStatus, (bmc, _, { nowMs }) => ({
    currentPowerState: {
      powerRestorePolicy: "restored" as const,
      powerControlFault: false,
      powerFault: false,
      interlock: false,
      powerOverload: false,
      powerOn: bmc.chassis.powerOn,
    },
    lastPowerEvent: {
      onByIpmiCommand: bmc.chassis.onByCommand,
      downByPowerFault: false,
      downByInterlock: false,
      downByOverload: false,
      acFailed: false,
    },
    miscChassisState: {
      identifySupported: true,
      identifyState: bmc.chassis.identify(nowMs),
      coolingFanFault: false,
      driveFault: false,
      frontPanelLockout: false,
      chassisIntrusion: false,
    },
  })),

  on(chassisControl, (bmc, { control }) => {
    if (!bmc.chassis.control(control.operation)) refuse(CompletionCode.notSupportedInPresentState);
    return {};
  }),

  on(chassisIdentify, (bmc, { identifyIntervalSeconds = 15, force }, { nowMs }) => {
    bmc.chassis.identifyUntilMs = force?.forceOn === true ? "always" : nowMs + 1000 * identifyIntervalSeconds;
    return {};
  }),

  on(getSystemBootOptions, (bmc, { parameterSelector }) => {
    const option = bmc.chassis.bootOptions.get(parameterSelector) ?? refuse(0x80);
    return {
      parameterVersion: 1,
      parameter: { invalidOrLocked: option.invalid, selector: parameterSelector },
      parameterData: option.data,
    };
  }),

  on(setSystemBootOptions, (bmc, { parameter, parameterData }) => {
    const { selector, markInvalid: invalid } = parameter;
    const { bootOptions } = bmc.chassis;
    const option = bootOptions.get(selector) ?? refuse(0x80);
    if (parameterData.length > 0 && parameterData.length !== option.data.length) {
      refuse(CompletionCode.requestLengthInvalid);
    }
    const busy = ((bootOptions.get(setInProgress.selector)?.data[0] ?? 0) & 0x03) === 1;
    if (selector === setInProgress.selector && busy && parameterData[0] === 1) refuse(0x81);
    bootOptions.set(selector, { invalid, data: parameterData.length === 0 ? option.data : parameterData });
    return {};
  }),
];
