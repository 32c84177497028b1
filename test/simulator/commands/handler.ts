import type { Command } from "../../../ipmi/command.ts";
import { privilegeLevels } from "../../../ipmi/privilege-level.ts";
import type { SimulatedBmc } from "../simulated-bmc.ts";

/** How a message reached the BMC. */
export interface Arrival {
  /** Milliseconds of a clock that only grows. */
  readonly nowMs: number;
  /** The machine's own system interface, or a session over a LAN channel with its present privilege (4: Administrator). */
  readonly from: "in-band" | { readonly channel: number; readonly privilege: number };
}

/** What a BMC answers instead of 00h. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly completionCode: number;

  constructor(completionCode: number) {
    super(`refused with ${completionCode.toString(16)}h`);
    this.completionCode = completionCode;
  }
}

export function refuse(completionCode: number): never {
  throw new Refusal(completionCode);
}

/** Refuses where a code stands; where none does, the BMC does not mind. */
export function refuseIf(condition: boolean, completionCode: number | undefined): void {
  if (condition && completionCode !== undefined) refuse(completionCode);
}

/** Executes the data of a request and returns that of the response. */
export type Handler = (bmc: SimulatedBmc, data: Uint8Array, arrival: Arrival) => Uint8Array;

/** A command and what a simulated BMC does with it. */
export type Entry = readonly [key: string, handler: Handler];

/** Network function and command as one key. */
export function key({ netFn, cmd }: { readonly netFn: number; readonly cmd: number }): string {
  return `${netFn}/${cmd}`;
}

/** Encoding and decoding follow from the declaration. */
export function on<Q, P>(
  command: Command<Q, P>,
  answer: (bmc: SimulatedBmc, request: Q, arrival: Arrival) => P,
): Entry {
  return [
    key(command),
    (bmc, data, arrival) => command.encodeResponse(answer(bmc, command.decodeRequest(data), arrival)),
  ];
}

/** 14 is the channel on which the request arrives; 15 is the system interface. IPMI 2.0 §6.3. */
export function resolveChannel(channel: number, { from }: Arrival): number {
  if (channel !== 14) return channel;
  return from === "in-band" ? 15 : from.channel;
}

export function levelNumber(level: keyof typeof privilegeLevels | number): number {
  return typeof level === "number" ? level : privilegeLevels[level];
}
