import { byte, flag, uint8, uint16LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { timerActions, timerExpirations, timerUse } from "../watchdog-timer.ts";

/** Set Watchdog Timer: what it is for and what it does; stops it unless told otherwise. IPMI 2.0 §27.6. */
export const setWatchdogTimer = command({
  name: "Set Watchdog Timer",
  netFn: NetFn.app,
  cmd: 0x24,
  repeatable: true,
  request: {
    timer: byte({ dontLog: flag(7), dontStop: flag(6), use: timerUse }),
    actions: timerActions,
    preTimeoutSeconds: uint8,
    clear: timerExpirations,
    /** In 100 ms. */
    initialCountdown: uint16LE,
  },
  response: {},
});
