import { formatIpv4, formatIpv6, parseIpv6 } from "../../ipmi/ip.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { type AddressMap, reachableAt } from "../reach/bmc-address.ts";
import { isProved } from "../store/claim.ts";
import type { BmcRecord, Store } from "../store/store.ts";

/** The address in its one form: an IPv6 address that means an IPv4 one is that. RFC 4291 §2.5.5.2. */
export function addressKey({ host, port }: Endpoint): string {
  const bytes = parseIpv6(host);
  if (bytes === undefined) return formatEndpoint({ host: host.toLowerCase(), port });
  const isMapped = Buffer.from(bytes.subarray(0, 12)).toString("hex") === "00000000000000000000ffff";
  return formatEndpoint({ host: isMapped ? formatIpv4(bytes.subarray(12)) : formatIpv6(bytes), port });
}

/** Which BMCs of machines were proved where. Reads all rows once, and then what has changed. */
export class ProvedPlaces {
  readonly #store: Pick<Store, "bmcs" | "bmc" | "subscribe">;
  readonly #map: AddressMap;
  readonly #changed = new Set<string>();
  readonly #addresses = new Map<string, readonly string[]>();
  readonly #keys = new Map<string, ReadonlySet<string>>();
  #begun: Promise<void> | undefined;

  constructor(store: Pick<Store, "bmcs" | "bmc" | "subscribe">, map: AddressMap) {
    this.#store = store;
    this.#map = map;
  }

  /** The rows that were proved there. */
  async at(endpoint: Endpoint): Promise<BmcRecord[]> {
    this.#begun ??= this.#begin();
    await this.#begun;
    for (const key of [...this.#changed]) {
      this.#changed.delete(key);
      this.#note(key, await this.#store.bmc(key));
    }
    const keys = [...(this.#keys.get(addressKey(endpoint)) ?? [])];
    const records = await Promise.all(keys.map((key) => this.#store.bmc(key)));
    return records.filter((record) => record !== undefined);
  }

  async #begin(): Promise<void> {
    this.#store.subscribe(({ key }) => this.#changed.add(key));
    for (const record of await this.#store.bmcs()) this.#note(record.row.key, record);
  }

  #note(key: string, record: BmcRecord | undefined): void {
    for (const address of this.#addresses.get(key) ?? []) {
      const left = new Set(this.#keys.get(address));
      left.delete(key);
      if (left.size > 0) this.#keys.set(address, left);
      else this.#keys.delete(address);
    }
    this.#addresses.delete(key);
    const addresses = record === undefined ? [] : addressesOf(record, this.#map);
    if (addresses.length === 0) return;
    this.#addresses.set(key, addresses);
    for (const address of addresses) this.#keys.set(address, new Set([...(this.#keys.get(address) ?? []), key]));
  }
}

/** Where it was proved, and what else it says of itself: a BMC answers at all its addresses. */
function addressesOf({ row, account }: BmcRecord, map: AddressMap): string[] {
  const endpoint = reachableAt(row, map);
  if (endpoint === undefined || account === undefined || !isProved(row, [account])) return [];
  const { ipv4Address = "", ipv6Addresses = [] } = row.facts ?? {};
  const told = [ipv4Address, ...ipv6Addresses.map((each) => each.replace(/\/.*$/, ""))].filter((host) => host !== "");
  const port = row.facts?.rmcpPort || endpoint.port;
  return [...new Set([endpoint, ...told.map((host) => ({ host, port }))].map(addressKey))];
}
