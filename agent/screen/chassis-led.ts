import type { Clock } from "../../inband/clock.ts";
import { send } from "../../ipmi/command.ts";
import { chassisIdentify } from "../../ipmi/commands/chassis-identify.ts";
import { getChassisStatus } from "../../ipmi/commands/get-chassis-status.ts";
import type { Transport } from "../../ipmi/transport.ts";

export type LedState = "blinking" | "steady" | "off";

/** One second of light every two seconds; a BMC that makes its light blink by itself blinks. */
const everyMs = 2_000;
const lightSeconds = 1;
const commandLimitMs = 2_000;
/** The longest light without `forceOn`, for BMCs that do not know that, and how often it is renewed. */
const longestSeconds = 255;
const renewMs = 200_000;

/**
 * The chassis identify light, by which a person in a cold aisle sees from afar how it goes. Whatever a BMC says, nothing is told:
 * many have no such light. It has a transport of its own, so that its commands are not counted as the run's.
 */
export class ChassisLed {
  readonly #open: () => Promise<Transport>;
  readonly #clock: Clock;
  #transport: Transport | undefined;
  #wanted: LedState = "off";
  #before: "unknown" | "on" | "off" = "unknown";
  #touched = false;
  #useless = false;
  #lacksForce = false;
  #changed = new AbortController();
  #running: Promise<void> | undefined;
  #closed = false;

  /** @param open a way to the BMC; throws while there is none yet */
  constructor(open: () => Promise<Transport>, clock: Clock) {
    this.#open = open;
    this.#clock = clock;
  }

  show(wanted: LedState): void {
    if (this.#closed || this.#wanted === wanted) return;
    this.#wanted = wanted;
    this.#changed.abort();
    this.#running ??= this.#keep();
  }

  /** The light as it was found. */
  async restore(): Promise<void> {
    this.#closed = true;
    this.#changed.abort();
    await this.#running;
    if (this.#transport === undefined) return;
    if (this.#touched && !this.#useless) await this.#tell(this.#before === "on" ? "steady" : "off");
    await this.#transport[Symbol.asyncDispose]();
    this.#transport = undefined;
  }

  async #keep(): Promise<void> {
    while (!this.#closed && !this.#useless) {
      this.#changed = new AbortController();
      const wanted = this.#wanted;
      const nextMs = (await this.#reach()) ? await this.#tell(wanted) : wanted === "blinking" ? everyMs : undefined;
      if (this.#closed) return;
      if (this.#wanted !== wanted) continue;
      const { signal } = this.#changed;
      if (nextMs !== undefined) await this.#clock.sleep(nextMs, signal).catch(() => undefined);
      else await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
  }

  /** @returns whether there is a way to the BMC */
  async #reach(): Promise<boolean> {
    if (this.#transport !== undefined) return true;
    try {
      this.#transport = await this.#open();
    } catch {
      return false; // its driver is loaded later
    }
    const status = await this.#ask(getChassisStatus, {});
    const { identifySupported, identifyState } = status?.miscChassisState ?? {};
    if (identifySupported === true) this.#before = identifyState === "indefiniteOn" ? "on" : "off";
    return true;
  }

  /** @returns after how long it is to be told again, ms; undefined: never */
  async #tell(state: LedState): Promise<number | undefined> {
    // Nothing to put out: a light that somebody else has lit stays.
    if (state === "off" && !this.#touched) return undefined;
    this.#touched = true;
    if (state === "blinking") {
      await this.#identify(lightSeconds);
      return everyMs;
    }
    if (state === "off") {
      await this.#identify(0);
      return undefined;
    }
    if (!this.#lacksForce) {
      if (await this.#identify(0, true)) return undefined;
      this.#lacksForce = true;
    }
    this.#useless = !(await this.#identify(longestSeconds));
    return renewMs;
  }

  async #identify(identifyIntervalSeconds: number, forceOn?: boolean): Promise<boolean> {
    const force = forceOn === undefined ? {} : { force: { forceOn } };
    return (await this.#ask(chassisIdentify, { identifyIntervalSeconds, ...force })) !== undefined;
  }

  /** The answer, or undefined: a refusal, silence, a BMC that restarts. */
  async #ask<Q, P>(command: Parameters<typeof send<Q, P>>[1], request: NoInfer<Q>): Promise<P | undefined> {
    if (this.#transport === undefined) return undefined;
    try {
      return await send(this.#transport, command, request, AbortSignal.timeout(commandLimitMs));
    } catch (error) {
      const { completionCode } = error as { readonly completionCode?: number };
      if (completionCode === 0xc1) this.#useless = true; // "invalid command": there is no such light
      return undefined;
    }
  }
}
