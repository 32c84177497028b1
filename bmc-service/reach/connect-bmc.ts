import type { Transport } from "../../ipmi/transport.ts";
import type { LoginPrivilege } from "../../outband-client/lan/index.ts";

/** What to log in with for each level that a policy can ask for. IPMI 2.0 table 6-1. */
export const loginLevels: Readonly<Record<3 | 4, LoginPrivilege>> = { 3: "operator", 4: "administrator" };

/** Where and as whom to log in. */
export interface BmcLogin {
  /** MAC address of the BMC that is meant; "" where none is known. */
  readonly mac: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Uint8Array;
  readonly privilege: LoginPrivilege;
  readonly signal: AbortSignal;
}

/** A session with a BMC. */
export interface BmcSession extends Transport {
  /** IPMI 2.0 table 22-20. */
  readonly cipherSuite: number;
  readonly privilege: LoginPrivilege;
}

/** Opens a session; `connectLan` in life. Fails with SessionError. The seam at which tests put a BMC of their own. */
export type ConnectBmc = (login: BmcLogin) => Promise<BmcSession>;
