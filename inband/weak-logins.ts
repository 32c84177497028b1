import { getChannelAuthenticationCapabilities } from "../ipmi/commands/get-channel-authentication-capabilities.ts";
import { setLanConfigurationParameters } from "../ipmi/commands/set-lan-configuration-parameters.ts";
import {
  authenticationTypeEnables,
  cipherSuiteEntryCount,
  cipherSuiteEntryList,
  cipherSuitePrivilegeLevels,
  type LanParameter,
} from "../ipmi/lan-parameters.ts";
import { privilegeLevels } from "../ipmi/privilege-level.ts";
import {
  allowsTypeNone,
  cipherSuitesText,
  isWeakSuite,
  typeNoneText,
  weakLoginText,
  weakSuitesOn,
} from "../ipmi/weak-logins.ts";
import { type Conversation, InterruptedWriteError, impatient, sendPatiently } from "./conversation.ts";
import { isRefusal, isUnsupported, readParameter, refusalText } from "./read-parameter.ts";

/** A parameter as it is, and what it would have to be for no weak login to be allowed. */
interface Weakness<T> {
  readonly parameter: LanParameter<T>;
  readonly safe: T;
  /** "cipher suites 0 and 1". */
  readonly what: string;
  /** Why it must stay as it is. */
  readonly needed?: string;
}

interface Seen {
  readonly weaknesses: readonly Weakness<unknown>[];
  readonly findings: readonly string[];
}

/**
 * How one may log in over a LAN channel without a good password: cipher suites 0 and 1, authentication type "none", the
 * nameless user; and whether K_G is set. Five commands, all of which read.
 * @returns findings for an operator, one sentence each
 * @throws TransportError, NotReadyError
 */
export async function findWeakLogins(conversation: Conversation, channel: number): Promise<string[]> {
  const suites = await lookAtSuites(conversation, channel);
  const types = await lookAtTypes(conversation, channel);
  const allowed = [...suites.weaknesses, ...types.weaknesses].map(({ what }) => weakLoginText(what, channel));
  const capabilities = await capabilityFindings(conversation, channel, types.weaknesses.length > 0);
  return [...allowed, ...suites.findings, ...types.findings, ...capabilities];
}

/**
 * Switches cipher suites 0 and 1 and authentication type "none" off on a LAN channel, nothing else, and reads back whether
 * that was done. A BMC that does not let itself be changed is left as it is.
 * @returns findings for an operator: what was changed and what could not be
 * @throws TransportError, NotReadyError
 */
export async function closeWeakLogins(conversation: Conversation, channel: number): Promise<string[]> {
  const suites = await lookAtSuites(conversation, channel);
  const types = await lookAtTypes(conversation, channel);
  const findings = [...suites.findings, ...types.findings];
  for (const weakness of [...suites.weaknesses, ...types.weaknesses]) {
    const problem = weakness.needed ?? (await close(conversation, channel, weakness));
    findings.push(
      problem === undefined
        ? `Logins with ${weakness.what} were switched off on channel ${channel}.`
        : `Logins with ${weakness.what} are allowed on channel ${channel} and were not switched off: ${problem}`,
    );
  }
  return findings;
}

/** The privileges are in the order of the list, not of the suites' numbers. Unused entries read as suite 0. */
async function lookAtSuites(conversation: Conversation, channel: number): Promise<Seen> {
  const count = await readParameter(conversation, channel, cipherSuiteEntryCount);
  if ("refused" in count) return unread(cipherSuiteEntryCount, count.refused);
  const list = await readParameter(conversation, channel, cipherSuiteEntryList);
  if ("refused" in list) return unread(cipherSuiteEntryList, list.refused);
  const privileges = await readParameter(conversation, channel, cipherSuitePrivilegeLevels);
  if ("refused" in privileges) return unread(cipherSuitePrivilegeLevels, privileges.refused);

  const suites = [...list.value.suites.subarray(0, count.value.count)];
  const { levels } = privileges.value;
  const isWeak = (at: number) => isWeakSuite(suites[at]);
  const weak = weakSuitesOn(suites, levels);
  if (weak.length === 0) return { weaknesses: [], findings: [] };
  const othersServe = suites.some((_, at) => !isWeak(at) && (levels[at] ?? 0) >= privilegeLevels.administrator);
  const weakness: Weakness<unknown> = {
    parameter: cipherSuitePrivilegeLevels,
    safe: { ...privileges.value, levels: levels.map((level, at) => (isWeak(at) ? 0 : level)) },
    what: cipherSuitesText(weak),
    ...(othersServe ? {} : { needed: "no other cipher suite lets an administrator in." }),
    ...(new Set(suites).size === suites.length ? {} : { needed: "the BMC's list of suites names one twice." }),
  };
  return { weaknesses: [weakness], findings: [] };
}

async function lookAtTypes(conversation: Conversation, channel: number): Promise<Seen> {
  const read = await readParameter(conversation, channel, authenticationTypeEnables);
  if ("refused" in read) return unread(authenticationTypeEnables, read.refused);
  const { value } = read;
  if (!allowsTypeNone(value)) return { weaknesses: [], findings: [] };
  const off = <T extends { readonly none: boolean }>(types: T): T => ({ ...types, none: false });
  const safe = {
    callback: off(value.callback),
    user: off(value.user),
    operator: off(value.operator),
    administrator: off(value.administrator),
    oem: off(value.oem),
  };
  const weakness: Weakness<unknown> = {
    parameter: authenticationTypeEnables,
    safe,
    what: typeNoneText,
  };
  return { weaknesses: [weakness], findings: [] };
}

type Refusal = Parameters<typeof refusalText>[0];

/** What is not supported is no finding. */
function unread({ name }: LanParameter<unknown>, refused: Refusal): Seen {
  return {
    weaknesses: [],
    findings: isUnsupported(refused) ? [] : [`${name} cannot be read: ${refusalText(refused)}`],
  };
}

/** Many BMCs answer the command on a LAN only: that is no finding. */
async function capabilityFindings(conversation: Conversation, channel: number, noneIsTold: boolean): Promise<string[]> {
  try {
    const { authenticationTypes, login } = await sendPatiently(
      conversation,
      getChannelAuthenticationCapabilities,
      { channel: { ipmi20: true, number: channel }, privilegeLevel: "administrator" },
      impatient,
    );
    const findings: string[] = [];
    if (authenticationTypes.none && !noneIsTold) {
      findings.push(weakLoginText(typeNoneText, channel));
    }
    if (login.anonymous) findings.push(`A user without name and password may log in on channel ${channel}.`);
    if (login.kgSet) findings.push("K_G is set: who logs in from remote has to know it beside the password.");
    return findings;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return [];
  }
}

/**
 * Writes, reads back, and writes once more what did not stay.
 * @returns why it is not switched off; undefined if it is
 */
async function close(
  conversation: Conversation,
  channel: number,
  { parameter, safe }: Weakness<unknown>,
): Promise<string | undefined> {
  const parameterData = parameter.encode(safe);
  const request = { channel: { number: channel }, parameterSelector: parameter.selector, parameterData };
  for (let again = true; ; again = false) {
    let problem: string | undefined;
    try {
      await sendPatiently(conversation, setLanConfigurationParameters, request);
    } catch (error) {
      if (isRefusal(error)) problem = refusalText(error);
      else if (error instanceof InterruptedWriteError) problem = error.message;
      else throw error;
    }
    const now = await readParameter(conversation, channel, parameter);
    if ("refused" in now) return `it cannot be read back: ${refusalText(now.refused)}`;
    if (Buffer.from(parameter.encode(now.value)).equals(parameterData)) return undefined;
    if (problem !== undefined) return problem;
    if (!again) return "the BMC took the change and did not keep it.";
    conversation.pace?.writeWasLost();
  }
}
