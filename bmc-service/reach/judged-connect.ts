import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { SessionError } from "../../outband-client/lan/index.ts";
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

/** The address that a name means. */
export type LookUp = (name: string) => Promise<string>;

const askNameServers: LookUp = async (name) => (await lookup(name)).address;

/**
 * Opens sessions only where the service may go. What the map says of that BMC is not judged: it comes with the command line.
 * @returns fails with AddressRefusedError too, and with SessionError "no answer" where a name means no address
 */
export function judgedConnect(
  connect: ConnectBmc,
  networks: BmcNetworks,
  map: AddressMap,
  lookUp: LookUp = askNameServers,
): ConnectBmc {
  return async (login) => {
    const mapped = map.get(login.mac);
    if (mapped !== undefined && formatEndpoint(mapped) === formatEndpoint(login)) return connect(login);
    const host = await addressOf(login, lookUp);
    const problem = networks.problem({ host, port: login.port });
    if (problem === undefined) return connect({ ...login, host });
    throw new AddressRefusedError(`${formatEndpoint(login)}: the service does not go there: ${problem}`);
  };
}

/** What is judged is what is gone to: a name could mean another address a moment later. */
async function addressOf({ host, port, signal }: BmcLogin, lookUp: LookUp): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return await orAborted(lookUp(host), signal);
  } catch (cause) {
    signal.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SessionError(`lan:${formatEndpoint({ host, port })}`, "no answer", reason, { cause });
  }
}
