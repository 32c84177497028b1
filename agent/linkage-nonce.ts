import { type Conversation, impatient, sendPatiently } from "../inband/conversation.ts";
import { getSystemInfoParameters } from "../ipmi/commands/get-system-info-parameters.ts";
import { setSystemInfoParameters } from "../ipmi/commands/set-system-info-parameters.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError } from "../ipmi/errors.ts";
import { decodeFirstPart, encodeFirstPart, operatingSystemName } from "../ipmi/system-info-parameters.ts";

/** A run that died has left its nonce. */
const ofEarlierRun = /^rivet-[0-9a-f]{8}$/;

/** A nonce that stands in the BMC. */
export interface LeftNonce {
  /** Whether it was read back. */
  readonly written: boolean;
  /** Puts back what stood there before. @returns what went wrong, for people; undefined if nothing did */
  takeBack(conversation: Conversation): Promise<string | undefined>;
}

/**
 * Writes the service's nonce to the BMC as name of the operating system, which the BMC forgets when it restarts and the
 * operating system writes anew. The service reads it from remote: that it talks to the same BMC.
 * @returns undefined if the BMC keeps no such parameter; it was asked by one command then
 * @throws the signal's reason
 */
export async function leaveNonce(conversation: Conversation, nonce: string): Promise<LeftNonce | undefined> {
  const former = await attempt(conversation, () => readName(conversation));
  if (former instanceof Error) return undefined;
  const before = ofEarlierRun.test(former.text) ? encodeFirstPart("") : former.part;
  const wrong = await attempt(conversation, () => writeName(conversation, encodeFirstPart(nonce)));
  const found = wrong instanceof Error ? wrong : await attempt(conversation, () => readName(conversation));
  return {
    written: !(found instanceof Error) && found.text === nonce,
    takeBack: async (later) => {
      const failed = await attempt(later, () => writeName(later, before));
      return failed instanceof Error ? failed.message : undefined;
    },
  };
}

/** It proves more, but a run goes on without it. */
async function attempt<T>({ signal }: Conversation, work: () => Promise<T>): Promise<T | Error> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function readName(conversation: Conversation) {
  const request = {
    revisionOnly: false,
    parameterSelector: operatingSystemName,
    setSelector: 0,
    blockSelector: 0,
  };
  try {
    const { parameterData } = await sendPatiently(conversation, getSystemInfoParameters, request, impatient);
    return decodeFirstPart(parameterData);
  } catch (error) {
    // OpenBMC, while it was never set.
    const isUnset = error instanceof CompletionCodeError && error.completionCode === CompletionCode.notPresent;
    if (!isUnset) throw error;
    return { part: encodeFirstPart(""), text: "" };
  }
}

async function writeName(conversation: Conversation, parameterData: Uint8Array): Promise<void> {
  const request = { parameterSelector: operatingSystemName, parameterData };
  await sendPatiently(conversation, setSystemInfoParameters, request, impatient);
}
