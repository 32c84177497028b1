import { isIP } from "node:net";
import { systemClock } from "../../../inband/clock.ts";
import { ConfigError, quoted } from "../../config/config-error.ts";
import { kernelSource } from "../../config/kernel-command-line.ts";
import type { LocalSources } from "../../configure.ts";
import type { Console } from "../../console.ts";
import { applyLease, type Bound, bringUpLoopback, getLease, keepNetwork, type NetworkOptions } from "./bring-up.ts";
import { type IpParameter, IpParameterError, parseIpParameter } from "./ip-parameter.ts";
import { isNetworkUp } from "./is-network-up.ts";

/** A run that is tried again finds the network that the one before brought up. */
let isKept = false;

/**
 * Brings up the network, unless somebody did or `ip=off` says not to, and keeps it up.
 * @param signal ends it, or the keeping
 * @throws NetworkError, ConfigError
 */
export async function setUpNetwork(
  from: LocalSources,
  console: Console,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const { local } = from;
  const startedAt = performance.now();
  bringUpLoopback();
  if (isKept || isNetworkUp()) {
    console.task("network", performance.now() - startedAt, "was set up before");
    return;
  }
  const ip = local.ip ?? kernelIp(from.kernelIp);
  if (ip?.method === "off") {
    console.note("the network stays down, as ip=off says");
    return;
  }
  const options: NetworkOptions = {
    clock: systemClock,
    interface: local.vlan?.device ?? local.interface,
    limitMs: local.networkLimitMs,
    note: (text) => console.note(text),
    ip,
    vlan: local.vlan?.id,
    needs: neededFamily(from),
    signal,
  };
  const bound = await getLease(options);
  for (const problem of applyLease(bound)) console.note(problem);
  console.task("network", performance.now() - startedAt, describeNetwork(bound));
  isKept = true;
  keepNetwork(bound, options, signal).catch((error: unknown) => {
    if (signal.aborted) return;
    console.problem(`network: the lease is not renewed any more: ${error instanceof Error ? error.message : error}`);
  });
}

function kernelIp(value: string | undefined): IpParameter | undefined {
  try {
    return value === undefined ? undefined : parseIpParameter(value);
  } catch (error) {
    if (!(error instanceof IpParameterError)) throw error;
    throw new ConfigError(kernelSource, "ip", `${quoted(value ?? "")} is not allowed: ${error.message}`);
  }
}

/** The family of what is to be reached first, if that is known: the proxy, the document, or the service. */
export function neededFamily({ sources, local, pixieApiUrl, hasDocument }: LocalSources): 4 | 6 | undefined {
  const given = (name: "config" | "service") => sources.find(({ values }) => values.has(name))?.values.get(name);
  const url = hasDocument === true ? undefined : (given("config") ?? (given("service") ? undefined : pixieApiUrl));
  const first = url !== undefined && /^https?:/.test(url) ? (local.proxy ?? url) : `http://${given("service") ?? ""}`;
  const host = URL.parse(first)?.hostname.replace(/^\[(.*)\]$/, "$1") ?? "";
  const family = isIP(host);
  return family === 4 || family === 6 ? family : undefined;
}

function describeNetwork({ nic, lease, ipv6 }: Bound): string {
  const gateway = lease?.routes.find(({ prefixLength }) => prefixLength === 0)?.gateway;
  const dns = [...(lease?.dns ?? []), ...(ipv6?.dns ?? [])];
  const addresses = [...(lease ? [`${lease.address}/${lease.prefixLength}`] : []), ...(ipv6?.addresses ?? [])];
  const endless = lease?.leaseSeconds === Number.POSITIVE_INFINITY;
  return [
    `${nic.name} ${addresses.join(" ")}`,
    ...(gateway ? [`gateway ${gateway}`] : []),
    ...(ipv6?.router ? [`router ${ipv6.router}`] : []),
    ...(dns.length > 0 ? [`DNS ${dns.slice(0, 3).join(" ")}`] : []),
    ...(lease
      ? [endless ? `for good from ${lease.server}` : `lease ${lease.leaseSeconds} s from ${lease.server}`]
      : []),
  ].join(", ");
}
