import { systemClock } from "../../../inband/clock.ts";
import type { LocalSettings } from "../../config/settings.ts";
import type { Console } from "../../console.ts";
import { applyLease, type Bound, bringUpLoopback, getLease, keepNetwork, type NetworkOptions } from "./bring-up.ts";
import { isNetworkUp } from "./is-network-up.ts";

/**
 * Brings up the network, unless somebody did, and keeps it up.
 * @param signal ends it, or the keeping
 * @throws NetworkError
 */
export async function setUpNetwork(
  local: Pick<LocalSettings, "interface" | "networkLimitMs">,
  console: Console,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const startedAt = performance.now();
  bringUpLoopback();
  if (isNetworkUp()) {
    console.task("network", performance.now() - startedAt, "was set up before");
    return;
  }
  const options: NetworkOptions = {
    clock: systemClock,
    interface: local.interface,
    limitMs: local.networkLimitMs,
    note: (text) => console.note(text),
  };
  const bound = await getLease(options);
  for (const problem of applyLease(bound)) console.note(problem);
  console.task("network", performance.now() - startedAt, describeLease(bound));
  keepNetwork(bound, options, signal).catch((error: unknown) => {
    if (signal.aborted) return;
    console.problem(`network: the lease is not renewed any more: ${error instanceof Error ? error.message : error}`);
  });
}

function describeLease({ nic, lease }: Bound): string {
  const gateway = lease.routes.find(({ prefixLength }) => prefixLength === 0)?.gateway;
  return [
    `${nic.name} ${lease.address}/${lease.prefixLength}`,
    ...(gateway ? [`gateway ${gateway}`] : []),
    ...(lease.dns.length > 0 ? [`DNS ${lease.dns.slice(0, 3).join(" ")}`] : []),
    `lease ${lease.leaseSeconds} s from ${lease.server}`,
  ].join(", ");
}
