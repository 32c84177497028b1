import type { Lease } from "./dhcp-client.ts";
import type { NetworkInterface } from "./interfaces.ts";
import type { StaticAddress } from "./ip-parameter.ts";
import { type Ipv6Config, type Ipv6Options, type Ipv6World, provedAddress } from "./ipv6-client.ts";
import { ipv6Bytes, ipv6Text } from "./ipv6-text.ts";

/** An address by hand as a lease without end. What else `ip=` gives comes to it as to any lease. */
export function staticLease({ address, prefixLength }: StaticAddress, boundAt: number): Lease {
  const endless = Number.POSITIVE_INFINITY;
  return {
    address,
    prefixLength,
    server: "ip=",
    routes: [],
    dns: [],
    domain: undefined,
    search: [],
    hostName: undefined,
    mtu: undefined,
    leaseSeconds: endless,
    renewalSeconds: endless,
    rebindingSeconds: endless,
    boundAt,
  };
}

/** Gives an interface an address of IPv6 by hand, and waits until it can be used. @throws Error if another machine has it */
export async function useStaticIpv6(
  nic: NetworkInterface,
  { address, prefixLength }: StaticAddress,
  gateway: string | undefined,
  world: Ipv6World,
  options: Ipv6Options,
  signal: AbortSignal,
): Promise<Ipv6Config> {
  if (!world.enable(nic.name)) throw new Error("the kernel has no IPv6");
  world.addAddress(nic, address, prefixLength);
  const plain = ipv6Text(ipv6Bytes(address));
  const proved = await provedAddress(nic, world, options, signal, (each) => each.address === plain);
  if (proved === undefined) throw new Error(`the address ${address} cannot be used: does another machine have it?`);
  if (gateway !== undefined) world.addDefaultRoute(nic, gateway);
  return { addresses: [plain], router: gateway ?? "", dns: [], search: [], lease: undefined };
}
