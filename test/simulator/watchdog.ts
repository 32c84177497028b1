/** What the watchdog was set to. IPMI 2.0 §27.6; times in 100 ms. */
export interface WatchdogSettings {
  readonly dontLog: boolean;
  readonly use: string | number;
  readonly preTimeoutInterrupt: string | number;
  readonly timeoutAction: string | number;
  readonly preTimeoutSeconds: number;
  readonly initialCountdown: number;
}

/** A BMC's watchdog on the clock of its messages. */
export class Watchdog {
  /** Undefined until it is set for the first time. */
  settings: WatchdogSettings | undefined;
  /** When it was started last; undefined while it stands. */
  startedAtMs: number | undefined;

  running(nowMs: number): boolean {
    return this.startedAtMs !== undefined && this.presentCountdown(nowMs) > 0;
  }

  presentCountdown(nowMs: number): number {
    const { initialCountdown } = this.settings ?? { initialCountdown: 0 };
    if (this.startedAtMs === undefined) return initialCountdown;
    return Math.max(0, initialCountdown - Math.floor((nowMs - this.startedAtMs) / 100));
  }
}
