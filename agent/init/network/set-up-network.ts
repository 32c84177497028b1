import { isIP } from "node:net";
import { systemClock } from "../../../inband/clock.ts";
import { ConfigError } from "../../config/config-error.ts";
import { kernelSource } from "../../config/kernel-command-line.ts";
import type { LocalSources } from "../../configure.ts";
import type { Console } from "../../console.ts";
import { applyLease, bringUpLoopback, takeAway } from "./apply-network.ts";
import { type Bound, getLease, type NetworkOptions } from "./bring-up.ts";
import { IpParameterError, type IpParameters, parseIpParameters } from "./ip-parameter.ts";
import { isNetworkUp } from "./is-network-up.ts";
import { keepNetwork } from "./keep-network.ts";
import { networkValues } from "./network-values.ts";
import { NoVlansError } from "./vlan.ts";

/** What the set-up is made of; a test stands in for it. */
export interface SetUpWorld {
  readonly bringUpLoopback: () => void;
  /** Whether somebody else brought up the network. */
  readonly isUp: () => boolean;
  readonly getLease: (options: NetworkOptions) => Promise<Bound>;
  readonly applyLease: (bound: Bound) => string[];
  readonly keepNetwork: (bound: Bound, options: NetworkOptions, signal: AbortSignal) => Promise<void>;
  readonly takeAway: (bound: Bound, vlan: number | undefined) => void;
}

const realSetUpWorld: SetUpWorld = {
  bringUpLoopback,
  isUp: isNetworkUp,
  getLease,
  applyLease,
  keepNetwork,
  takeAway,
};

/** The network of a machine whose run may be tried again. */
export class MachineNetwork {
  readonly #world: SetUpWorld;
  #kept: { readonly bound: Bound; readonly vlan: number | undefined; readonly ends: AbortController } | undefined;
  #ledNowhere: readonly string[] = [];
  /** What is there of network came from us: nobody had brought it up. */
  #isOurs = false;

  constructor(world: SetUpWorld = realSetUpWorld) {
    this.#world = world;
  }

  /**
   * Brings up the network, unless somebody did or `ip=off` says not to, and keeps it up.
   * @param outer ends it, or the keeping
   * @throws NetworkError, ConfigError
   */
  async setUp(
    from: LocalSources,
    console: Pick<Console, "note" | "task" | "problem">,
    outer?: AbortSignal,
  ): Promise<void> {
    const { local } = from;
    const startedAt = performance.now();
    this.#world.bringUpLoopback();
    if (this.#kept !== undefined || (!this.#isOurs && this.#world.isUp())) {
      console.task("network", performance.now() - startedAt, "was set up before");
      return;
    }
    this.#isOurs = true;
    const { values: ips, remarks } =
      local.ip === undefined ? kernelIps(from.kernelIps) : { values: [local.ip], remarks: [] };
    for (const remark of remarks) console.note(`${kernelSource}: ${remark}`);
    if (ips.length > 0 && ips.every(({ method }) => method === "off")) {
      console.note("the network stays down, as ip=off says");
      return;
    }
    const ends = new AbortController();
    const signal = outer === undefined ? ends.signal : AbortSignal.any([outer, ends.signal]);
    const vlan = local.vlan?.id;
    const options: NetworkOptions = {
      clock: systemClock,
      interface: local.vlan?.device ?? local.interface,
      limitMs: local.networkLimitMs,
      note: (text) => console.note(text),
      ips,
      vlan,
      reach: firstAddress(from),
      ledNowhere: this.#ledNowhere,
      signal,
    };
    const bound = await this.#world.getLease(options).catch((error: unknown) => {
      if (!(error instanceof NoVlansError)) throw error;
      const source = from.sources.find(({ values }) => values.has("vlan"))?.name ?? kernelSource;
      throw new ConfigError(source, "vlan", error.message, { cause: error });
    });
    for (const problem of this.#world.applyLease(bound)) console.note(problem);
    console.task("network", performance.now() - startedAt, describeNetwork(bound));
    this.#kept = { bound, vlan, ends };
    this.#world.keepNetwork(bound, options, signal).catch((error: unknown) => {
      if (signal.aborted) return;
      console.problem(`network: the lease is not renewed any more: ${error instanceof Error ? error.message : error}`);
    });
  }

  /**
   * After a run that reached nobody: the next `setUp` begins anew, with the adapter that was used last of all. A network that
   * somebody else brought up stays.
   */
  giveUp(console: Pick<Console, "note">): void {
    if (this.#kept === undefined) return;
    const { bound, vlan, ends } = this.#kept;
    this.#kept = undefined;
    ends.abort();
    const { name } = bound.adapter;
    this.#ledNowhere = [...this.#ledNowhere.filter((each) => each !== name), name];
    console.note(`network: ${bound.nic.name} led to nobody: its address is given up; other adapters are taken first`);
    try {
      this.#world.takeAway(bound, vlan);
    } catch (error) {
      console.note(`network: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function kernelIps(texts: readonly string[] = []): IpParameters {
  try {
    return parseIpParameters(texts);
  } catch (error) {
    if (!(error instanceof IpParameterError)) throw error;
    throw new ConfigError(kernelSource, "ip", error.message, { cause: error });
  }
}

/** The address of what is to be reached first, if that is known: of the proxy, the document, or the service. */
export function firstAddress({ sources, local, pixieApiUrl, hasDocument }: LocalSources): string | undefined {
  const given = (name: "config" | "service") => sources.find(({ values }) => values.has(name))?.values.get(name);
  const url = hasDocument === true ? undefined : (given("config") ?? (given("service") ? undefined : pixieApiUrl));
  const first = url !== undefined && /^https?:/.test(url) ? (local.proxy ?? url) : `http://${given("service") ?? ""}`;
  const host = URL.parse(first)?.hostname.replace(/^\[(.*)\]$/, "$1") ?? "";
  return isIP(host) === 0 ? undefined : host;
}

function describeNetwork(bound: Bound): string {
  const { nic, lease, ipv6 } = bound;
  const { routes, dns, prefixLength } = networkValues(bound);
  const gateway = routes.find((each) => each.prefixLength === 0)?.gateway;
  const addresses = [...(lease ? [`${lease.address}/${prefixLength}`] : []), ...(ipv6?.addresses ?? [])];
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
