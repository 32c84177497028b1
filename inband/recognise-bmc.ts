import { getUserName } from "../ipmi/commands/get-user-name.ts";
import { ipKind, parseIpv4 } from "../ipmi/ip.ts";
import { ipAddress, macAddress } from "../ipmi/lan-parameters.ts";
import { type Conversation, sendPatiently } from "./conversation.ts";
import { isRefusal, readParameter, refusalText } from "./read-parameter.ts";

/** What is known of a BMC and of our account on it. */
export interface KnownBmc {
  readonly mac: string;
  readonly channel: number;
  readonly userName: string;
  readonly slot: number;
}

/** Whether it is the known BMC with our account in its place. */
export type Recognition =
  | { readonly same: true; readonly ipv4Address?: string }
  /** Why not, one sentence. */
  | { readonly same: false; readonly reason: string };

/**
 * Looks whether the BMC is still the one that is known, with three commands and changing nothing: MAC address of the
 * known channel, name in the known slot, IPv4 address. What cannot be read is not the same.
 * @throws TransportError
 */
export async function recogniseBmc(conversation: Conversation, known: KnownBmc): Promise<Recognition> {
  const mac = await readParameter(conversation, known.channel, macAddress);
  if ("refused" in mac) return { same: false, reason: `The MAC address cannot be read: ${refusalText(mac.refused)}` };
  if (mac.value !== known.mac)
    return { same: false, reason: `Its MAC address is ${mac.value}, ${known.mac} is known.` };
  try {
    const { userName } = await sendPatiently(conversation, getUserName, { userId: known.slot });
    if (userName !== known.userName) {
      return { same: false, reason: `Slot ${known.slot} no longer holds our account "${known.userName}".` };
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { same: false, reason: `The name in slot ${known.slot} cannot be read: ${refusalText(error)}` };
  }
  const ip = await readParameter(conversation, known.channel, ipAddress);
  const usable = "value" in ip && ipKind(parseIpv4(ip.value) ?? new Uint8Array(4)) === "unicast";
  return usable ? { same: true, ipv4Address: ip.value } : { same: true };
}
