import { getWatchdogTimer, resetWatchdogTimer, setWatchdogTimer } from "../../../ipmi/commands/index.ts";
import { type Entry, on, refuse } from "./handler.ts";

/** IPMI 2.0 §27. It counts; what it does to the machine when it is over is left to whoever looks at it. */
export const watchdogCommands: readonly Entry[] = [
  on(getWatchdogTimer, ({ watchdog }, _, { nowMs }) => {
    const { dontLog = false, use = 0, preTimeoutSeconds = 0, initialCountdown = 0 } = watchdog.settings ?? {};
    const { preTimeoutInterrupt = "none", timeoutAction = "none" } = watchdog.settings ?? {};
    return {
      timer: { dontLog, running: watchdog.running(nowMs), use: use as "osLoad" },
      actions: { preTimeoutInterrupt: preTimeoutInterrupt as "none", timeoutAction: timeoutAction as "none" },
      preTimeoutSeconds,
      expired: { oem: false, smsOs: false, osLoad: false, biosPost: false, biosFrb2: false },
      initialCountdown,
      presentCountdown: watchdog.presentCountdown(nowMs),
    };
  }),

  on(setWatchdogTimer, ({ watchdog }, { timer, actions, preTimeoutSeconds, initialCountdown }, { nowMs }) => {
    const { dontLog, dontStop, use } = timer;
    watchdog.startedAtMs = dontStop && watchdog.running(nowMs) ? nowMs : undefined;
    watchdog.settings = { dontLog, use, ...actions, preTimeoutSeconds, initialCountdown };
    return {};
  }),

  on(resetWatchdogTimer, ({ watchdog }, _, { nowMs }) => {
    if (watchdog.settings === undefined) refuse(0x80);
    watchdog.startedAtMs = nowMs;
    return {};
  }),
];
