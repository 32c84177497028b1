/** An enrolment token as it is remembered: never its text. */
export interface TokenRow {
  /** The first characters of its text, not enough to guess the rest. */
  readonly id: string;
  /** UUID of the only machine that may use it; empty: any machine. */
  readonly machineUuid: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** How many enrolments it is good for. */
  readonly uses: number;
  readonly used: number;
  readonly revokedAt: Date | undefined;
  /** Name of the operator who made it. */
  readonly createdBy: string;
}

export interface NewToken extends Omit<TokenRow, "used" | "revokedAt"> {
  /** SHA-256 of its text. */
  readonly hash: Uint8Array;
}

/** Why a token opens nothing. */
export type TokenProblem = "unknown" | "revoked" | "another machine's" | "expired" | "spent";

/** For what a token is shown. */
export interface TokenUse {
  readonly machineUuid: string;
  readonly bootId: string;
  /** As a SessionBinding has it; undefined: not known yet. */
  readonly keyHash?: Uint8Array;
}

/** What a token is good for. */
export type TokenLook =
  | { readonly token?: TokenRow; readonly problem: TokenProblem }
  | {
      readonly token: TokenRow;
      readonly problem?: undefined;
      /** The machine has taken a use already and was not handed over since; undefined: it takes one now. */
      readonly taken?: TakenUse;
    };

/** A use of a token that a machine has taken and that has not led to its hand-off yet. */
export interface TakenUse {
  /** When the session ends that it has led to; another one lasts no longer. Undefined: that is over. */
  readonly until: Date | undefined;
  /** The boot and the key of that session are the same: a call whose answer was lost. */
  readonly isRepeated: boolean;
}

/** What each problem means, for the machine that showed the token. Who does not have a token learns nothing from it. */
const meanings: Readonly<Record<TokenProblem, string>> = {
  unknown: "this service knows no such token",
  revoked: "an operator has revoked it",
  "another machine's": "it was made for another machine",
  expired: "its time is over",
  spent: "it was used as often as it may be",
};

/** An enrolment token was shown that is good for nothing. */
export class TokenRefusedError extends Error {
  override readonly name = "TokenRefusedError";
  readonly code = "token-refused";
  readonly problem: TokenProblem;

  constructor(problem: TokenProblem) {
    super(`enrolment_token: ${meanings[problem]}; make another one (bmcctl token create)`);
    this.problem = problem;
  }
}

/** No token has that identifier. */
export class NoSuchTokenError extends Error {
  override readonly name = "NoSuchTokenError";
  readonly code = "no-such-token";
}

/** Another enrolment of the machine is under way, and who begins now did not prove to be that machine. */
export class MachineBusyError extends Error {
  override readonly name = "MachineBusyError";
  readonly code = "machine-busy";

  /** @param heardMs how long ago the other one was heard */
  constructor(heardMs: number) {
    const seconds = Math.max(0, Math.round(heardMs / 1_000));
    super(`another enrolment of this machine is under way, last heard ${seconds} s ago; try again`);
  }
}

/** By what a session is known to be used by who began it. */
export interface SessionBinding {
  /** SHA-256 of the certificate with which its token has to be used; empty on a service without TLS. */
  readonly certificate: Uint8Array;
  /** SHA-256 of the public key that a certificate was asked for, else of the certificate: the same if a lost call is repeated. */
  readonly keyHash: Uint8Array;
  /** SHA-256 of the enrolment token to spend; undefined: there is none. */
  readonly tokenHash: Uint8Array | undefined;
  /** How long ago another session was heard, ms; undefined: it is over. */
  readonly heardMs: (sessionId: string, createdAt: Date) => number | undefined;
  /** Asked before a machine that was not known is stored. @throws CrowdedError if it must not be */
  readonly admitNew: () => void;
}
