/** Operations of Chassis Control that the machine notices. IPMI 2.0 §28.3. */
export type PowerOperation =
  | "powerDown"
  | "powerUp"
  | "powerCycle"
  | "hardReset"
  | "pulseDiagnosticInterrupt"
  | "softShutdown";

/** The machine's power as its BMC sees it. */
export class Chassis {
  powerOn = true;
  onByCommand = false;
  /** The end of the identify light on the clock of the messages. */
  identifyUntilMs: number | "always" = 0;
  /** By selector; IPMI 2.0 table 28-14. */
  readonly bootOptions = new Map<number, { readonly invalid: boolean; readonly data: Uint8Array }>(
    [1, 1, 1, 1, 2, 5].map((size, selector) => [selector, { invalid: false, data: new Uint8Array(size) }]),
  );
  /** Called with what was asked for, before the machine does it. */
  onPower: (operation: PowerOperation) => void = () => undefined;

  identify(nowMs: number): "off" | "timedOn" | "indefiniteOn" {
    if (this.identifyUntilMs === "always") return "indefiniteOn";
    return this.identifyUntilMs > nowMs ? "timedOn" : "off";
  }

  /** False if the machine cannot do that now: what is off can only be switched on or off. */
  control(operation: PowerOperation): boolean {
    if (!this.powerOn && operation !== "powerUp" && operation !== "powerDown") return false;
    this.onPower(operation);
    if (operation === "powerUp") this.onByCommand ||= !this.powerOn;
    if (operation === "powerUp" || operation === "powerCycle") this.powerOn = true;
    if (operation === "powerDown" || operation === "softShutdown") this.powerOn = false;
    return true;
  }
}
