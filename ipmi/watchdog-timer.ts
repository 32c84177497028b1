import { byte, flag, nameOrNumber } from "./codec.ts";

/** Fields that Set and Get Watchdog Timer share. IPMI 2.0 tables 27-2 and 27-3. */

/** Who runs it. */
export const timerUse = nameOrNumber({ biosFrb2: 1, biosPost: 2, osLoad: 3, smsOs: 4, oem: 5 }, 2, 0);

/** What happens when it is over, and before. */
export const timerActions = byte({
  preTimeoutInterrupt: nameOrNumber({ none: 0, smi: 1, nmi: 2, messaging: 3 }, 6, 4),
  timeoutAction: nameOrNumber({ none: 0, hardReset: 1, powerDown: 2, powerCycle: 3 }, 2, 0),
});

/** For which use it was over once. In a request, 1 clears it. */
export const timerExpirations = byte({
  oem: flag(5),
  smsOs: flag(4),
  osLoad: flag(3),
  biosPost: flag(2),
  biosFrb2: flag(1),
});
