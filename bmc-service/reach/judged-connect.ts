import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { formatEndpoint } from "../endpoint.ts";
import type { AddressMap } from "./bmc-address.ts";
import { orAborted } from "./bmc-locks.ts";
import type { BmcNetworks } from "./bmc-networks.ts";
import type { BmcLogin, ConnectBmc } from "./connect-bmc.ts";

/** The service does not go where a BMC is said to be. */
export class AddressRefusedError extends Error {
  override readonly name = "AddressRefusedError";
  readonly code = "address-refused";
}

/**
 * Opens sessions only where the service may go. What the map says is not judged: it comes with the command line.
 * @returns fails with AddressRefusedError too
 */
export function judgedConnect(connect: ConnectBmc, networks: BmcNetworks, map: AddressMap): ConnectBmc {
  const mapped = new Set([...map.values()].map(formatEndpoint));
  return async (login) => {
    if (mapped.has(formatEndpoint(login))) return connect(login);
    const host = await addressOf(login);
    const problem = networks.problem({ host, port: login.port });
    if (problem === undefined) return connect({ ...login, host });
    throw new AddressRefusedError(`${formatEndpoint(login)}: the service does not go there: ${problem}`);
  };
}

/** What is judged is what is gone to: a name could mean another address a moment later. One that means none is left to `connect`. */
async function addressOf({ host, signal }: BmcLogin): Promise<string> {
  if (isIP(host) !== 0) return host;
  const found = lookup(host).then(
    ({ address }) => address,
    () => host,
  );
  return orAborted(found, signal);
}
