import { byte, oneOf } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Chassis Control: power on, off, cycle, reset.
 * IPMI 2.0 §28.3.
 *
 * Never sent twice: a second cycle would hit the machine that the first one has just started. `powerCycle` of a machine
 * that is off is D5h on many BMCs and nothing at all on others. `softShutdown` asks the OS by ACPI.
 */
export const chassisControl = command({
  name: "Chassis Control",
  netFn: NetFn.chassis,
  cmd: 0x02,
  repeatable: false,
  request: {
    control: byte({
      operation: oneOf(
        { powerDown: 0, powerUp: 1, powerCycle: 2, hardReset: 3, pulseDiagnosticInterrupt: 4, softShutdown: 5 },
        3,
        0,
      ),
    }),
  },
  response: {},
});
