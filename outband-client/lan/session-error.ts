/** Why a session could not be opened; one status per decision that a caller can take. */
export type SessionStatus =
  /** Nothing came back in time, or the host refuses the UDP port. */
  | "no answer"
  /** No such user, or disabled, or not allowed on this channel: BMCs do not tell these apart. */
  | "unknown user"
  | "wrong password"
  /** User and password are right, the BMC's key K_G is not the one given. */
  | "wrong K_g"
  | "insufficient privilege"
  | "no free session"
  | "no cipher suite in common"
  /** The BMC broke the protocol, or does not speak IPMI 2.0. */
  | "protocol";

/** A session with a BMC could not be opened. The message holds neither password nor K_G. */
export class SessionError extends Error {
  override readonly name = "SessionError";
  readonly code = "session";
  /** The BMC: "lan:10.0.0.7:623". */
  readonly bmc: string;
  readonly status: SessionStatus;

  constructor(bmc: string, status: SessionStatus, problem: string, options?: ErrorOptions) {
    super(`${bmc}: ${status}: ${problem}`, options);
    this.bmc = bmc;
    this.status = status;
  }
}

/** RMCP+ and RAKP message status codes. IPMI 2.0 §13.24, table 13-15. */
const meanings: Readonly<Record<number, string>> = {
  1: "insufficient resources to create a session",
  2: "invalid session id",
  3: "invalid payload type",
  4: "invalid authentication algorithm",
  5: "invalid integrity algorithm",
  6: "no matching authentication payload",
  7: "no matching integrity payload",
  8: "inactive session id",
  9: "invalid role",
  10: "unauthorized role or privilege level requested",
  11: "insufficient resources to create a session at the requested role",
  12: "invalid name length",
  13: "unauthorized name",
  14: "unauthorized GUID",
  15: "invalid integrity check value",
  16: "invalid confidentiality algorithm",
  17: "no cipher suite match with proposed security algorithms",
  18: "illegal or unrecognized parameter",
};

/** "0Dh (unauthorized name)". */
export function rmcpStatus(status: number): string {
  return `${status.toString(16).toUpperCase().padStart(2, "0")}h (${meanings[status] ?? "not in the specification"})`;
}

/** What a status in an answer of the login means for the login. */
export type Verdict = "next suite" | "start again" | Exclude<SessionStatus, "no answer" | "wrong K_g">;

/** IPMI 2.0 table 13-15. */
export function verdictOn(status: number): Verdict {
  switch (status) {
    case 0x01:
    case 0x0b:
      return "no free session";
    case 0x02:
    case 0x08:
      // The BMC has forgotten the half-open session, for example because our message came twice.
      return "start again";
    case 0x04:
    case 0x05:
    case 0x06:
    case 0x07:
    case 0x10:
    case 0x11:
      return "next suite";
    case 0x09:
    case 0x0a:
      return "insufficient privilege";
    case 0x0c:
    case 0x0d:
      return "unknown user";
    case 0x0f:
      return "wrong password";
    default:
      return "protocol";
  }
}
