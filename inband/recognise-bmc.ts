import { getUserName } from "../ipmi/commands/get-user-name.ts";
import { ipAddress, macAddress } from "../ipmi/lan-parameters.ts";
import { isClosed } from "./closed-access.ts";
import { type Conversation, sendPatiently } from "./conversation.ts";
import { isRefusal, readParameter, refusalText } from "./read-parameter.ts";
import { isUsableIpv4 } from "./usable-address.ts";

/** What is known of a BMC and of our account on it. */
export interface KnownBmc {
  readonly mac: string;
  readonly channel: number;
  readonly userName: string;
  readonly slot: number;
}

/** Whether it is the known BMC with our account in its place. */
export type Recognition =
  | { readonly same: true; readonly ipv4Address?: string /** One sentence. */; readonly finding?: string }
  /** Why not, one sentence. */
  | { readonly same: false; readonly reason: string };

/**
 * Looks whether the BMC is still the one that is known, with three commands and changing nothing: MAC address of the
 * known channel, name in the known slot, IPv4 address. What cannot be read is not the same; but a BMC that was closed to its
 * machine after our account was made is the same by its MAC address: whether the account works shows from remote.
 * @throws TransportError, NotReadyError
 */
export async function recogniseBmc(conversation: Conversation, known: KnownBmc): Promise<Recognition> {
  const mac = await readParameter(conversation, known.channel, macAddress);
  if ("refused" in mac) return { same: false, reason: `The MAC address cannot be read: ${refusalText(mac.refused)}` };
  if (mac.value !== known.mac)
    return { same: false, reason: `Its MAC address is ${mac.value}, ${known.mac} is known.` };
  let finding: string | undefined;
  try {
    const { userName } = await sendPatiently(conversation, getUserName, { userId: known.slot });
    if (userName !== known.userName) {
      return { same: false, reason: `Slot ${known.slot} no longer holds our account "${known.userName}".` };
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const problem = `The name in slot ${known.slot} cannot be read: ${refusalText(error)}`;
    if (!isClosed(error)) return { same: false, reason: problem };
    finding = `${problem}. In-band access may be locked; the account is left as it is.`;
  }
  const ip = await readParameter(conversation, known.channel, ipAddress);
  const address = "value" in ip && isUsableIpv4(ip.value) ? { ipv4Address: ip.value } : {};
  return { same: true, ...address, ...(finding === undefined ? {} : { finding }) };
}
