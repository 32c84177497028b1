import { setImmediate } from "node:timers/promises";
import { allCommands } from "../ipmi/commands/index.ts";
import { TransportError } from "../ipmi/errors.ts";
import type { Clock } from "./clock.ts";
import type { Conversation } from "./conversation.ts";

/** Completion code alone, the data of a 00h reply, or no answer at all. */
export type ScriptedAnswer = number | readonly number[] | "no answer";

/** A conversation with a BMC whose answers a test writes down; commands by the specification's names. */
export interface ScriptedBmc {
  readonly conversation: Conversation;
  /** "Get User Name 03": name and request data of every command that was sent. */
  readonly log: string[];
  /** Milliseconds of every wait between tries. */
  readonly waits: number[];
}

export function scriptedBmc(
  answer: (name: string, data: readonly number[], nth: number) => ScriptedAnswer,
): ScriptedBmc {
  const log: string[] = [];
  const waits: number[] = [];
  const times = new Map<string, number>();
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    async sleep(ms, signal) {
      // Limits do not come by themselves: nothing that they guard takes time here.
      if (ms >= 15_000) return await new Promise((_, reject) => signal?.addEventListener("abort", reject));
      await setImmediate();
      signal?.throwIfAborted();
      waits.push(ms);
      nowMs += ms;
    },
  };
  const transport = {
    name: "scripted",
    maxRequestBytes: 64,
    async exchange({ netFn, cmd, data }: { netFn: number; cmd: number; data: Uint8Array }, signal: AbortSignal) {
      if (signal.aborted) throw new TransportError("scripted", "no", "ended", { cause: signal.reason });
      const name = allCommands.find((each) => each.netFn === netFn && each.cmd === cmd)?.name ?? `${netFn}/${cmd}`;
      const line = [name, Buffer.from(data).toString("hex")].join(" ").trimEnd();
      const nth = (times.get(line) ?? 0) + 1;
      times.set(line, nth);
      log.push(line);
      const answered = answer(name, [...data], nth);
      if (answered === "no answer") throw new TransportError("scripted", "unknown", "no answer");
      if (typeof answered === "number") return { completionCode: answered, data: new Uint8Array() };
      return { completionCode: 0, data: Uint8Array.from(answered) };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { conversation: { transport, clock, signal: new AbortController().signal }, log, waits };
}

/** Text filled with 00h, as Get User Name answers it. */
export function nameBytes(text: string): number[] {
  return Array.from({ length: 16 }, (_, i) => (i < text.length ? text.charCodeAt(i) : 0));
}
