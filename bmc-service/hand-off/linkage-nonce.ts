import { send } from "../../ipmi/command.ts";
import { getSystemInfoParameters } from "../../ipmi/commands/get-system-info-parameters.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import { decodeFirstPart, operatingSystemName } from "../../ipmi/system-info-parameters.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { sha256 } from "../tokens/sha256.ts";

/** The nonce of a session, 14 characters. It follows from the token, so that nobody has to keep it; it tells nothing of it. */
export function nonceOf(sessionToken: string): string {
  return `rivet-${sha256(`linkage nonce ${sessionToken}`).toString("hex").slice(0, 8)}`;
}

/**
 * The text that stands where agents write their nonce; undefined if that is no text.
 * @throws the errors of `send`
 */
export async function readNonce(transport: Transport, signal: AbortSignal): Promise<string | undefined> {
  const request = { revisionOnly: false, parameterSelector: operatingSystemName, setSelector: 0, blockSelector: 0 };
  const { parameterData } = await send(transport, getSystemInfoParameters, request, signal);
  try {
    return decodeFirstPart(parameterData).text;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
