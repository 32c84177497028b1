import { CompletionCode, completionCodeMeaning } from "../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError } from "../ipmi/errors.ts";
import { type LanParameter, readLanParameter } from "../ipmi/lan-parameters.ts";
import { type Conversation, impatient, NoAnswerError, type Patience, readPatiently } from "./conversation.ts";

/** A code other than 00h, an answer that is not what the specification says, or none from a BMC that answers others. */
export type Refusal = CompletionCodeError | DecodeError | NoAnswerError;

/** A LAN parameter as the BMC told it, or how it refused. */
export type ParameterRead<T> = { readonly value: T } | { readonly refused: Refusal };

export interface ReadOptions {
  /** The index for parameters that are lists (56, 59). */
  readonly setSelector?: number;
  /** How long a busy BMC is waited for; not long if left out. */
  readonly patience?: Patience;
}

/**
 * Reads a LAN parameter: each is optional on some BMC, so a refusal is an answer.
 * @throws TransportError, NotReadyError
 */
export async function readParameter<T>(
  conversation: Conversation,
  channel: number,
  parameter: LanParameter<T>,
  { setSelector = 0, patience = impatient }: ReadOptions = {},
): Promise<ParameterRead<T>> {
  try {
    const value = await readPatiently(conversation, parameter.name, patience, (limited) =>
      readLanParameter(conversation.transport, channel, parameter, limited, setSelector),
    );
    return { value };
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
  return error instanceof CompletionCodeError || error instanceof DecodeError || error instanceof NoAnswerError;
}

const unsupported: ReadonlySet<number> = new Set([
  0x80,
  CompletionCode.invalidCommand,
  CompletionCode.parameterOutOfRange,
  CompletionCode.invalidDataField,
]);

/** "completion code C1h (invalid command)", or what was wrong with the answer. */
export function refusalText(refusal: Refusal): string {
  if (!(refusal instanceof CompletionCodeError)) return refusal.message;
  const code = refusal.completionCode.toString(16).toUpperCase().padStart(2, "0");
  return `completion code ${code}h (${completionCodeMeaning(refusal.completionCode)})`;
}
