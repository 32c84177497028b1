import type { Message, Reply } from "../../ipmi/transport.ts";
import type { FaultEffect } from "./fault-rule.ts";

/** One answer on its way over the wire. */
export interface Delivery {
  /** Milliseconds from when its message, or the one with which it is delivered, was received. */
  readonly afterMs: number;
  /** The very message that it answers, with what a face keeps of it: an earlier one if the answer is late. */
  readonly answers: Message;
  /** Network function of the request; the face adds 1. */
  readonly netFn: number;
  /** Differs from that of `answers` where the answer is for another command. */
  readonly cmd: number;
  /** Completion code and data: what follows the command byte. Empty if it was cut off there. */
  readonly body: Uint8Array;
}

/** What comes back of one answer. */
export function deliver(message: Message, { completionCode, data }: Reply, effect: FaultEffect): readonly Delivery[] {
  const whole = Uint8Array.of(completionCode, ...data);
  const cut = effect.truncate === undefined ? whole : whole.slice(0, effect.truncate);
  const body = new Uint8Array(cut.length + (effect.tooLong ?? 0)).fill(0x5a);
  body.set(cut);
  const delivery: Delivery = {
    afterMs: effect.delayMs ?? 0,
    answers: message,
    netFn: message.netFn,
    cmd: effect.otherCommand ?? message.cmd,
    body,
  };
  return effect.duplicate === true ? [delivery, delivery] : [delivery];
}
