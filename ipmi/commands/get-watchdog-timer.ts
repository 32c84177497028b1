import { byte, flag, uint8, uint16LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { timerActions, timerExpirations, timerUse } from "../watchdog-timer.ts";

/** Get Watchdog Timer: its settings, and what is left. IPMI 2.0 §27.7. */
export const getWatchdogTimer = command({
  name: "Get Watchdog Timer",
  netFn: NetFn.app,
  cmd: 0x25,
  repeatable: true,
  request: {},
  response: {
    timer: byte({ dontLog: flag(7), running: flag(6), use: timerUse }),
    actions: timerActions,
    preTimeoutSeconds: uint8,
    expired: timerExpirations,
    /** Both in 100 ms. */
    initialCountdown: uint16LE,
    presentCountdown: uint16LE,
  },
});
