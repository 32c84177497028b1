import { Secret } from "../../ipmi/secret.ts";
import type { GivenAccount } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { Login } from "../hand-off/take-over.ts";
import { requireAscii } from "./fields.ts";

/**
 * The account of a request; what the request held of the password is wiped.
 * @throws RpcError INVALID_ARGUMENT that quotes nothing
 */
export function requireGivenAccount({ userName, password }: GivenAccount): Login {
  const secret = Secret.fromBytes(password);
  const text = password.toString("latin1");
  password.fill(0);
  requireAscii("account.user_name", userName, 16);
  requireAscii("account.password", text, 20);
  return { userName, password: secret };
}
