import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/** Reset Watchdog Timer: starts it, from its initial countdown. IPMI 2.0 §27.5. */
export const resetWatchdogTimer = command({
  name: "Reset Watchdog Timer",
  netFn: NetFn.app,
  cmd: 0x22,
  repeatable: true,
  request: {},
  response: {},
  codes: { 128: "it was never set since the BMC was reset" },
});
