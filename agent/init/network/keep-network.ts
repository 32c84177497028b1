import { applyLease } from "./apply-network.ts";
import type { Bound, NetworkOptions } from "./bring-up.ts";
import { acquireLease, keepLease, type Lease } from "./dhcp-client.ts";
import { setAddress } from "./interfaces.ts";
import { keepIpv6 } from "./keep-ipv6.ts";
import { networkValues } from "./network-values.ts";
import { openPacketLink } from "./packet-link.ts";
import { realIpv6World } from "./real-ipv6-world.ts";

/** Keeps the addresses for as long as the machine runs: renews, and begins anew when a lease is lost. */
export async function keepNetwork(first: Bound, options: NetworkOptions, signal: AbortSignal): Promise<void> {
  const { nic, lease, ipv6 } = first;
  await Promise.all([
    lease === undefined ? undefined : keepIpv4({ ...first, lease }, options, signal),
    ipv6?.lease === undefined
      ? undefined
      : keepIpv6(nic, ipv6.lease, realIpv6World, { ...options, random: Math.random }, signal),
  ]);
}

async function keepIpv4(
  first: Bound & { readonly lease: Lease },
  options: NetworkOptions,
  signal: AbortSignal,
): Promise<void> {
  let bound = first;
  const { nic } = first;
  const note = (text: string) => options.note(`${nic.name}: ${text}`);
  const client = { mac: nic.macBytes, clock: options.clock, random: Math.random, note };
  while (!signal.aborted) {
    await keepLease(
      bound.lease,
      {
        ...client,
        openUnicast: async (address) => (await import("./udp-link.ts")).openUdpLink(address),
        openBroadcast: () => openPacketLink(nic.index),
        onRenewed: (lease) => {
          bound = { ...first, lease };
          for (const problem of applyLease(bound)) note(problem);
          note(`lease of ${lease.address} renewed for ${lease.leaseSeconds} s`);
        },
      },
      signal,
    );
    note(`lease of ${bound.lease.address} is lost, asking for a new one`);
    setAddress(nic.name, "0.0.0.0", 0);
    const link = openPacketLink(nic.index);
    try {
      bound = { ...first, lease: await acquireLease(link, client, signal) };
    } finally {
      link.close();
    }
    for (const problem of applyLease(bound)) note(problem);
    note(`address ${bound.lease.address}/${networkValues(bound).prefixLength}`);
  }
}
