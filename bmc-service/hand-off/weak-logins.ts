import { CompletionCodeError, DecodeError, TransportError } from "../../ipmi/errors.ts";
import {
  authenticationTypeEnables,
  cipherSuiteEntryCount,
  cipherSuiteEntryList,
  cipherSuitePrivilegeLevels,
  readLanParameter,
} from "../../ipmi/lan-parameters.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { allowsTypeNone, cipherSuitesText, typeNoneText, weakLoginText, weakSuitesOn } from "../../ipmi/weak-logins.ts";

/**
 * Logins over a LAN channel that ask for no good password: cipher suites 0 and 1, authentication type "none". Four commands
 * from remote, which the run of the agent does not have to spend. Nothing depends on them: a BMC that does not tell is fine.
 * @returns findings for an operator; undefined if the BMC did not tell everything
 * @throws the reason of `signal`
 */
export async function findWeakLogins(
  session: Transport,
  channel: number,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  try {
    const { count } = await readLanParameter(session, channel, cipherSuiteEntryCount, signal);
    const { suites } = await readLanParameter(session, channel, cipherSuiteEntryList, signal);
    const { levels } = await readLanParameter(session, channel, cipherSuitePrivilegeLevels, signal);
    const types = await readLanParameter(session, channel, authenticationTypeEnables, signal);
    const weak = weakSuitesOn([...suites.subarray(0, count)], levels);
    return [
      ...(weak.length === 0 ? [] : [weakLoginText(cipherSuitesText(weak), channel)]),
      ...(allowsTypeNone(types) ? [weakLoginText(typeNoneText, channel)] : []),
    ];
  } catch (error) {
    signal.throwIfAborted();
    const untold = [CompletionCodeError, DecodeError, TransportError].some((kind) => error instanceof kind);
    if (!untold) throw error;
    return undefined;
  }
}
