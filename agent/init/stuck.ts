import type { LogFormat } from "../config/settings.ts";
import { LibcTimer, type TimerCall } from "./libc-timer.ts";

/** What to do with a machine whose init is held by the kernel for too long. */
export interface StuckSettings {
  readonly stuck: "reboot" | "wait";
  readonly stuckLimitMs: number;
}

/** How long the reason stands on the console before the machine restarts, ms. */
const readableMs = 5_000;
/** How many heartbeats there are in the time after which a machine is stuck. */
const beats = 4;

/** What can end by itself; a test stands in for it. */
export type MakeTimer = (call: TimerCall) => Pick<LibcTimer, "set">;

/**
 * Watches this thread from outside: a driver may hold it in the kernel (loading one for a silent BMC takes half a minute, a broken
 * one for ever), and then nothing of ours runs that could tell or end it. While the event loop turns, the timers are wound up
 * again and again; when they are over, libc tells on the console and restarts the machine.
 * @returns what ends the watch
 */
export function watchForStuck(
  { stuck, stuckLimitMs }: StuckSettings,
  format: LogFormat,
  makeTimer: MakeTimer = (call) => new LibcTimer(call),
): Disposable {
  const reboot = 0x01234567; // LINUX_REBOOT_CMD_RESTART, reboot(2)
  const tell = makeTimer({ name: "puts", text: Buffer.from(`${reason({ stuck, stuckLimitMs }, format)}\0`) });
  const restart = stuck === "reboot" ? makeTimer({ name: "reboot", argument: reboot }) : undefined;
  const windUp = (): void => {
    tell.set(stuckLimitMs);
    restart?.set(stuckLimitMs + readableMs);
  };
  windUp();
  const heartbeat = setInterval(windUp, stuckLimitMs / beats);
  return {
    [Symbol.dispose]() {
      clearInterval(heartbeat);
      const never = 0; // timer_settime(2): disarmed
      tell.set(never);
      restart?.set(never);
    },
  };
}

function reason({ stuck, stuckLimitMs }: StuckSettings, format: LogFormat): string {
  const then = stuck === "reboot" ? `rebooting in ${readableMs / 1000} s` : "waiting, as rivet.stuck=wait says";
  const text = `metal-rivet is held by the kernel for ${stuckLimitMs / 1000} s, probably by a driver: ${then}`;
  return format === "json" ? JSON.stringify({ level: "error", event: "problem", msg: text }) : `      ERROR ${text}`;
}
