import { DecodeError, TransportError } from "../../ipmi/errors.ts";
import type { Datagram } from "./datagram.ts";
import { Span } from "./span.ts";

/** One question to the BMC and the wait for its answer. */
export interface Question<T> {
  /** What is waited for: "RAKP Message 2". */
  readonly what: string;
  /** The datagram to send, the first time (0) and for each retransmission (1, 2, ...). */
  readonly datagram: (attempt: number) => Uint8Array;
  /** The answer, or undefined for a stray datagram. A DecodeError from here is a stray datagram too. */
  readonly accept: (datagram: Uint8Array) => T | undefined;
  /** How long to wait after the first sending and after each retransmission, ms. As many sendings as numbers. */
  readonly waitsMs: readonly number[];
}

/** Where questions go. */
export interface Link {
  /** "lan:10.0.0.7:623". */
  readonly name: string;
  readonly datagrams: Datagram;
}

/** All waits are over and nobody answered. */
export class Silence extends TransportError {}

/**
 * Sends, waits, and sends again, until an answer is accepted or all waits are over.
 * @throws Silence when nobody answered
 * @throws TransportError when the signal ended the wait (its reason is the cause) or the network refused;
 *   `sent` is "no" only if not a single datagram went out
 */
export async function ask<T>(link: Link, question: Question<T>, signal: AbortSignal): Promise<T> {
  let sent: "no" | "unknown" = "no";
  const lost = (problem: string, cause: unknown) =>
    new TransportError(link.name, sent, `${question.what}: ${problem}`, { cause });
  for (const [attempt, waitMs] of question.waitsMs.entries()) {
    if (signal.aborted) throw lost("the wait was ended", signal.reason);
    const datagram = question.datagram(attempt);
    try {
      await link.datagrams.send(datagram);
    } catch (error) {
      throw lost(networkProblem(error), error);
    }
    sent = "unknown";
    using span = new Span(waitMs, signal);
    for (;;) {
      let received: Uint8Array;
      try {
        received = await link.datagrams.receive(span.signal);
      } catch (error) {
        if (signal.aborted) throw lost("the wait was ended", signal.reason);
        if (span.over) break;
        throw lost(networkProblem(error), error);
      }
      const answer = accepted(question, received);
      if (answer !== undefined) return answer;
    }
  }
  const totalMs = question.waitsMs.reduce((sum, each) => sum + each, 0);
  const times = question.waitsMs.length === 1 ? "sent once" : `sent ${question.waitsMs.length} times`;
  throw new Silence(link.name, sent, `${question.what}: no answer within ${totalMs / 1000} s (${times})`);
}

function accepted<T>(question: Question<T>, datagram: Uint8Array): T | undefined {
  try {
    return question.accept(datagram);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function networkProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  switch (code) {
    case "ECONNREFUSED":
      return "the host is there but refuses this UDP port (ECONNREFUSED)";
    case "ENETUNREACH":
    case "EHOSTUNREACH":
      return `no way to this address (${code})`;
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
