import { type Conversation, impatient, sendPatiently } from "../inband/conversation.ts";
import { getWatchdogTimer } from "../ipmi/commands/get-watchdog-timer.ts";
import { resetWatchdogTimer } from "../ipmi/commands/reset-watchdog-timer.ts";
import { setWatchdogTimer } from "../ipmi/commands/set-watchdog-timer.ts";

/** The BMC counts tenths of a second in two bytes. */
export const longestWatchdogMs = 6_553_500;

const noExpiration = { oem: false, smsOs: false, osLoad: false, biosPost: false, biosFrb2: false };

/** Uses that the firmware begins and an operating system may end: the machine has come this far. IPMI 2.0 §27.2. */
const ofFirmware: ReadonlySet<string | number> = new Set(["biosFrb2", "biosPost"]);

/**
 * Has the BMC reset the machine unless it is told otherwise in time. One that somebody else runs is left to them. A BMC without
 * a watchdog is no reason not to go on: it is noted.
 * @returns whether it runs for us now. Throws nothing.
 */
export async function startWatchdog(
  conversation: Conversation,
  limitMs: number,
  note: (text: string) => void,
): Promise<boolean> {
  try {
    const { timer } = await sendPatiently(conversation, getWatchdogTimer, {}, impatient);
    if (timer.running && !ofFirmware.has(timer.use)) {
      note(`The BMC's watchdog runs for somebody else (timer use ${timer.use}): it is left alone.`);
      return false;
    }
    await setTimer(conversation, "hardReset", Math.min(limitMs, longestWatchdogMs));
    await sendPatiently(conversation, resetWatchdogTimer, {}, impatient);
    return true;
  } catch (error) {
    note(`The BMC's watchdog was not started: ${messageOf(error)}`);
    return false;
  }
}

/** Stops the watchdog that runs for us. Throws nothing: what failed is noted, because the machine will be reset. */
export async function stopWatchdog(conversation: Conversation, note: (text: string) => void): Promise<void> {
  try {
    await setTimer(conversation, "none", longestWatchdogMs);
  } catch (error) {
    note(`The BMC's watchdog could not be stopped and will reset this machine: ${messageOf(error)}`);
  }
}

/** Set Watchdog Timer stops it. */
async function setTimer(
  conversation: Conversation,
  timeoutAction: "hardReset" | "none",
  countdownMs: number,
): Promise<void> {
  const request = {
    timer: { dontLog: true, dontStop: false, use: "osLoad" as const },
    actions: { preTimeoutInterrupt: "none" as const, timeoutAction },
    preTimeoutSeconds: 0,
    clear: { ...noExpiration, osLoad: true },
    initialCountdown: Math.ceil(countdownMs / 100),
  };
  await sendPatiently(conversation, setWatchdogTimer, request);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
