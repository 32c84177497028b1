import { BlockList, isIP } from "node:net";
import { LeaseFile } from "./lease-file.ts";

/** Who asks for a boot. */
export interface Asker {
  /** Of the machine, lower case with colons; undefined: it does not tell, and is known by its address alone. */
  readonly mac: string | undefined;
  /** Address that the question came from: the machine's own, or that of pixiecore. */
  readonly from: string;
}

/** One rule of --allow. Rejects with LeaseFileError. */
export interface AllowRule {
  /** As it was given. */
  readonly text: string;
  /** Whether it goes by MAC address: a question without one says nothing of the machine. */
  readonly byMac: boolean;
  allows(asker: Asker, now: Date): Promise<boolean>;
}

/**
 * Reads "all", "10.0.0.0/16,fd00::/8" or "leases:/var/lib/misc/dnsmasq.leases".
 * @throws RangeError that says what is wrong
 */
export function parseAllowRule(text: string): AllowRule {
  if (text === "all") return { text, byMac: false, allows: async () => true };
  if (text.startsWith("leases:") && text.length > "leases:".length) return leasesRule(text);
  const networks = new BlockList();
  for (const part of text.split(",")) addNetwork(networks, part);
  return { text, byMac: false, allows: async ({ from }) => networks.check(from, isIP(from) === 6 ? "ipv6" : "ipv4") };
}

function leasesRule(text: string): AllowRule {
  const file = new LeaseFile(text.slice("leases:".length));
  return {
    text,
    byMac: true,
    async allows({ mac, from }, now) {
      const leases = await file.leases(now);
      return leases.some((lease) => (mac === undefined ? lease.address === from : lease.mac === mac));
    },
  };
}

function addNetwork(networks: BlockList, text: string): void {
  const [address = "", digits, ...more] = text.trim().split("/");
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefix = digits === undefined ? bits : /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (version === 0 || more.length > 0 || !(prefix <= bits)) {
    throw new RangeError(`"${text}" is neither all, nor a network (10.0.0.0/16), nor leases:FILE`);
  }
  networks.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
}

/** Any of the rules is enough. Rejects with LeaseFileError if none of the others allows it. */
export async function isAllowed(rules: readonly AllowRule[], asker: Asker, now: Date): Promise<boolean> {
  const answers = await Promise.allSettled(rules.map((rule) => rule.allows(asker, now)));
  if (answers.some((answer) => answer.status === "fulfilled" && answer.value)) return true;
  for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  return false;
}
