import { getUserName } from "../ipmi/commands/get-user-name.ts";
import { ipAddress, macAddress } from "../ipmi/lan-parameters.ts";
import { macProblem, parseMac } from "../ipmi/mac.ts";
import { unfilledName } from "../ipmi/user-name.ts";
import { hasAccess, readAccess } from "./account/user-state.ts";
import { isClosed } from "./closed-access.ts";
import { type Conversation, patientUnlessUnspecified as patience, sendPatiently } from "./conversation.ts";
import { isRefusal, readParameter, refusalText } from "./read-parameter.ts";
import { isUsableIpv4 } from "./usable-address.ts";

/** What is known of a BMC and of our account on it. */
export interface KnownBmc {
  readonly mac: string;
  readonly channel: number;
  readonly userName: string;
  /** 0: the account is one that an operator gave. It is not named, and not looked at. */
  readonly slot: number;
  /** The account must have it, as far as the BMC tells: no login from remote will show it. Undefined: that is not looked at. */
  readonly privilege?: number;
}

/** Whether it is the known BMC with our account in its place. */
export type Recognition =
  | { readonly same: true; readonly ipv4Address?: string /** One sentence. */; readonly finding?: string }
  /** An operator has linked it, and it tells nothing that speaks against it, because it tells nothing. */
  | { readonly same: "as far as it tells"; readonly finding: string }
  /** Why not, one sentence. */
  | { readonly same: false; readonly reason: string };

/**
 * Looks whether the BMC is still the one that is known, with three commands and changing nothing: MAC address of the
 * known channel, name in the known slot, IPv4 address. What cannot be read is not the same; but a BMC that was closed to its
 * machine after our account was made is the same by its MAC address: whether the account works shows from remote. Where an
 * operator gave the account there is no name to read, and the BMC may tell no MAC address or a broken one: only the MAC address
 * of another BMC speaks against it.
 * @throws TransportError, NotReadyError
 */
export async function recogniseBmc(conversation: Conversation, known: KnownBmc): Promise<Recognition> {
  const mac = await readParameter(conversation, known.channel, macAddress, { patience });
  const isGiven = known.slot === 0;
  if ("refused" in mac) {
    const reason = `The MAC address cannot be read: ${refusalText(mac.refused)}`;
    return isGiven ? { same: "as far as it tells", finding: reason } : { same: false, reason };
  }
  if (mac.value !== known.mac) {
    const reason = `Its MAC address is ${mac.value}, ${known.mac} is known.`;
    const isNone = macProblem(parseMac(mac.value) ?? new Uint8Array()) !== undefined;
    return isGiven && isNone ? { same: "as far as it tells", finding: reason } : { same: false, reason };
  }
  const { reason, ...told }: NameCheck = isGiven ? {} : await checkName(conversation, known);
  if (reason !== undefined) return { same: false, reason };
  if (known.privilege !== undefined && !(await isOpen(conversation, known, known.privilege))) {
    return { same: false, reason: `Our account "${known.userName}" in slot ${known.slot} is closed, or lacks rights.` };
  }
  const ip = await readParameter(conversation, known.channel, ipAddress);
  const address = "value" in ip && isUsableIpv4(ip.value) ? { ipv4Address: ip.value } : {};
  return { same: true, ...address, ...told };
}

/** Whether the account is enabled and may do what is wanted. A BMC that refuses to tell is believed to have left it open. */
async function isOpen(
  conversation: Conversation,
  { channel, slot, userName }: KnownBmc,
  privilege: number,
): Promise<boolean> {
  try {
    const access = await readAccess(conversation, { channel, slot });
    return access.enabled.status !== "disabled" && hasAccess(access, { channel, slot, userName, privilege });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return true;
  }
}

interface NameCheck {
  /** Why our account is not in its place, one sentence. */
  readonly reason?: string;
  /** What is to be told although it may be, one sentence. */
  readonly finding?: string;
}

async function checkName(conversation: Conversation, { slot, userName: ours }: KnownBmc): Promise<NameCheck> {
  try {
    const { userName } = await sendPatiently(conversation, getUserName, { userId: slot });
    return unfilledName(userName) === ours ? {} : { reason: `Slot ${slot} no longer holds our account "${ours}".` };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const problem = `The name in slot ${slot} cannot be read: ${refusalText(error)}`;
    if (!isClosed(error)) return { reason: problem };
    return { finding: `${problem}. In-band access may be locked; the account is left as it is.` };
  }
}
