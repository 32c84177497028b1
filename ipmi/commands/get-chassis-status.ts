import { byte, flag, nameOrNumber, optional } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get Chassis Status: power, last power event, faults.
 * IPMI 2.0 §28.2. ipmi_sim appends garbage after the data.
 */
export const getChassisStatus = command({
  name: "Get Chassis Status",
  netFn: NetFn.chassis,
  cmd: 0x01,
  repeatable: true,
  request: {},
  response: {
    currentPowerState: byte({
      powerRestorePolicy: nameOrNumber({ staysOff: 0, restored: 1, powersUp: 2, unknown: 3 }, 6, 5),
      powerControlFault: flag(4),
      powerFault: flag(3),
      interlock: flag(2),
      powerOverload: flag(1),
      powerOn: flag(0),
    }),
    lastPowerEvent: byte({
      onByIpmiCommand: flag(4),
      downByPowerFault: flag(3),
      downByInterlock: flag(2),
      downByOverload: flag(1),
      acFailed: flag(0),
    }),
    miscChassisState: byte({
      identifySupported: flag(6),
      /** Only if `identifySupported`. */
      identifyState: nameOrNumber({ off: 0, timedOn: 1, indefiniteOn: 2, reserved: 3 }, 5, 4),
      coolingFanFault: flag(3),
      driveFault: flag(2),
      frontPanelLockout: flag(1),
      chassisIntrusion: flag(0),
    }),
    frontPanelButtons: optional(
      byte({
        standbyDisableAllowed: flag(7),
        diagnosticInterruptDisableAllowed: flag(6),
        resetDisableAllowed: flag(5),
        powerOffDisableAllowed: flag(4),
        standbyDisabled: flag(3),
        diagnosticInterruptDisabled: flag(2),
        resetDisabled: flag(1),
        powerOffDisabled: flag(0),
      }),
    ),
  },
});
