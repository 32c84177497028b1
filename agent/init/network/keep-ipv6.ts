import { renewAddress6 } from "./dhcp6-client.ts";
import type { NetworkInterface } from "./interfaces.ts";
import type { Dhcp6Lease, Ipv6Options, Ipv6World } from "./ipv6-client.ts";

/** A renewal is not repeated more often than this. */
const shortestWaitMs = 60_000;

/**
 * Keeps an address that came by DHCPv6: renews it with its server from T1 on, with any from T2 on. Returns when it is lost. What
 * the kernel makes out of advertisements it keeps itself. RFC 8415 §18.2.4, §18.2.5.
 */
export async function keepIpv6(
  nic: NetworkInterface,
  first: Dhcp6Lease,
  world: Pick<Ipv6World, "openDhcp" | "addresses">,
  options: Ipv6Options,
  signal: AbortSignal,
): Promise<void> {
  const { clock, note } = options;
  let lease = first;
  while (lease.validSeconds !== Number.POSITIVE_INFINITY) {
    const at = (seconds: number) => lease.boundAt + seconds * 1000;
    const rebindAt = at(lease.rebindingSeconds || 0.8 * lease.validSeconds);
    await sleepUntil(at(lease.renewalSeconds || 0.5 * lease.validSeconds), options, signal);
    let renewed: Dhcp6Lease | undefined;
    while (renewed === undefined) {
      const now = clock.now();
      if (now >= at(lease.validSeconds)) {
        note(`${nic.name}: the address ${lease.address} could not be renewed by DHCPv6`);
        return;
      }
      const linkLocal = world.addresses(nic.name).find((each) => each.isLinkLocal && !each.isTentative);
      if (linkLocal !== undefined) {
        const link = await world.openDhcp(nic, linkLocal.address);
        try {
          const client = { ...options, mac: nic.macBytes };
          const answer = await renewAddress6(link, client, lease, now >= rebindAt ? "rebind" : "renew", signal);
          renewed = answer && { ...answer, boundAt: now };
        } finally {
          link.close();
        }
      }
      if (renewed === undefined) await sleepUntil(now + shortestWaitMs, options, signal);
    }
    lease = renewed;
    note(`${nic.name}: the address ${lease.address} was renewed for ${lease.validSeconds} s`);
  }
}

/** Timers of Node take 2^31 ms at most. */
async function sleepUntil(at: number, { clock }: Pick<Ipv6Options, "clock">, signal: AbortSignal): Promise<void> {
  for (let left = at - clock.now(); left > 0; left = at - clock.now())
    await clock.sleep(Math.min(left, 2 ** 30), signal);
}
