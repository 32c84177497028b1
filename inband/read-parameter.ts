import { CompletionCode, completionCodeMeaning } from "../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError } from "../ipmi/errors.ts";
import { type LanParameter, readLanParameter } from "../ipmi/lan-parameters.ts";
import { type Conversation, commandLimitMs, impatient, repeatWhileBusy, withinLimit } from "./conversation.ts";

/** A code other than 00h, or an answer that is not what the specification says. */
export type Refusal = CompletionCodeError | DecodeError;

/** A LAN parameter as the BMC told it, or how it refused. */
export type ParameterRead<T> = { readonly value: T } | { readonly refused: Refusal };

/**
 * Reads a LAN parameter: each is optional on some BMC, so a refusal is an answer.
 * @throws TransportError
 */
export async function readParameter<T>(
  conversation: Conversation,
  channel: number,
  parameter: LanParameter<T>,
  setSelector = 0,
): Promise<ParameterRead<T>> {
  const { transport, clock, signal } = conversation;
  try {
    const read = () =>
      withinLimit(clock, commandLimitMs, signal, (limited) =>
        readLanParameter(transport, channel, parameter, limited, setSelector),
      );
    return { value: await repeatWhileBusy(conversation, impatient, read) };
  } catch (error) {
    if (isRefusal(error)) return { refused: error };
    throw error;
  }
}

/** Whether a refusal says that the BMC does not know the parameter: 80h, on some boards C9h, CCh or C1h. */
export function isUnsupported(refusal: Refusal): boolean {
  return refusal instanceof CompletionCodeError && unsupported.has(refusal.completionCode);
}

export function isRefusal(error: unknown): error is Refusal {
  return error instanceof CompletionCodeError || error instanceof DecodeError;
}

const unsupported: ReadonlySet<number> = new Set([
  0x80,
  CompletionCode.invalidCommand,
  CompletionCode.parameterOutOfRange,
  CompletionCode.invalidDataField,
]);

/** "completion code C1h (invalid command)", or what was wrong with the answer. */
export function refusalText(refusal: Refusal): string {
  if (refusal instanceof DecodeError) return refusal.message;
  const code = refusal.completionCode.toString(16).toUpperCase().padStart(2, "0");
  return `completion code ${code}h (${completionCodeMeaning(refusal.completionCode)})`;
}
