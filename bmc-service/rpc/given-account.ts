import { Secret } from "../../ipmi/secret.ts";
import type { GivenAccount, UpdateBmcRequest } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Login } from "../hand-off/take-over.ts";
import { parseGivenAddress } from "../reach/bmc-address.ts";
import type { BmcNetworks } from "../reach/bmc-networks.ts";
import { requireAscii } from "./fields.ts";
import { invalid } from "./rpc-error.ts";

/**
 * The account of a request; who asks for it wipes its password.
 * @throws RpcError INVALID_ARGUMENT that quotes nothing
 */
export function requireGivenAccount({ userName, password }: GivenAccount): Login {
  requireAscii("account.user_name", userName, 16);
  requireAscii("account.password", password, 20);
  return { userName, password: Secret.fromBytes(password) };
}

/**
 * Where a request says that the BMC is; undefined if it does not.
 * @throws RpcError INVALID_ARGUMENT
 */
export function requireGivenAddress(
  { account, address }: UpdateBmcRequest,
  networks: BmcNetworks,
): Endpoint | undefined {
  if (address === "") return undefined;
  if (account === undefined) throw invalid("address", "it comes only with an account, which proves it");
  const endpoint = parsed(address);
  const problem = networks.problem(endpoint);
  if (problem !== undefined) throw invalid("address", problem);
  return endpoint;
}

function parsed(address: string): Endpoint {
  try {
    return parseGivenAddress(address);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid("address", error.message);
  }
}
