import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError, EncodeError, TransportError } from "../../ipmi/errors.ts";
import { SessionError } from "../../outband-client/lan/index.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Attack } from "../attack.ts";
import { AddressRefusedError } from "../reach/judged-connect.ts";
import { TooManyRefusedError } from "./refused-logins.ts";

/** The service could not take control. */
export class HandOffError extends Error {
  override readonly name = "HandOffError";
  readonly code = "hand-off";
  readonly kind: FailureKind;

  constructor(kind: FailureKind, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.kind = kind;
  }
}

/** The account is one that an operator gave: it stays as it is, whenever it is tried. */
export class OperatorsAccountError extends Error {
  override readonly name = "OperatorsAccountError";
  readonly code = "operators-account";
}

/** What an error on the way to the BMC means for the hand-off; a bug stays what it is. */
export function asHandOffError(error: unknown): HandOffError | undefined {
  if (error instanceof HandOffError) return error;
  const kind = kindOf(error);
  return kind === undefined ? undefined : new HandOffError(kind, (error as Error).message, { cause: error });
}

/** The BMC says that it is busy or still starting. IPMI 2.0 table 5-2. */
const busyCodes: readonly number[] = [
  CompletionCode.nodeBusy,
  CompletionCode.timeout,
  CompletionCode.responseNotProvided,
  CompletionCode.initializing,
];

/** Whether a BMC that answered this may answer otherwise in a moment. */
export function isBusy({ completionCode }: CompletionCodeError): boolean {
  return busyCodes.includes(completionCode);
}

/** Whether the BMC did not let the account in. */
export function isLoginRefused(error: unknown): boolean {
  const kind = kindOf(error);
  return kind === FailureKind.FAILURE_KIND_LOGIN_REFUSED || kind === FailureKind.FAILURE_KIND_PRIVILEGE;
}

function kindOf(error: unknown): FailureKind | undefined {
  if (error instanceof SessionError) return kindOfLogin(error);
  if (error instanceof AddressRefusedError || error instanceof TooManyRefusedError)
    return FailureKind.FAILURE_KIND_UNREACHABLE;
  if (error instanceof TransportError) return FailureKind.FAILURE_KIND_UNREACHABLE;
  if (error instanceof CompletionCodeError && isBusy(error)) return FailureKind.FAILURE_KIND_UNREACHABLE;
  // The BMC refused a command that every BMC has, or answered it with something else.
  if (error instanceof CompletionCodeError || error instanceof DecodeError) return FailureKind.FAILURE_KIND_PROTOCOL;
  if (error instanceof EncodeError) return FailureKind.FAILURE_KIND_LOGIN_REFUSED;
  return undefined;
}

function kindOfLogin({ status }: SessionError): FailureKind {
  switch (status) {
    case "no answer":
    case "no free session":
      return FailureKind.FAILURE_KIND_UNREACHABLE;
    case "unknown user":
    case "wrong password":
    case "wrong K_g":
      return FailureKind.FAILURE_KIND_LOGIN_REFUSED;
    case "insufficient privilege":
      return FailureKind.FAILURE_KIND_PRIVILEGE;
    case "no cipher suite in common":
    case "protocol":
      return FailureKind.FAILURE_KIND_PROTOCOL;
    default:
      return status satisfies never;
  }
}

/** What it looks like that a BMC behaves so; undefined: like no attack. */
export function attackOfBmc({ kind, cause }: HandOffError): Attack | undefined {
  if (cause instanceof AddressRefusedError) return "address";
  if (cause instanceof TooManyRefusedError) return "refused login";
  if (kind === FailureKind.FAILURE_KIND_OTHER_BMC) return "another BMC";
  return kind === FailureKind.FAILURE_KIND_LOGIN_REFUSED ? "refused login" : undefined;
}

const names: Readonly<Record<FailureKind, string>> = {
  [FailureKind.FAILURE_KIND_UNSPECIFIED]: "unspecified",
  [FailureKind.FAILURE_KIND_UNREACHABLE]: "unreachable",
  [FailureKind.FAILURE_KIND_LOGIN_REFUSED]: "login_refused",
  [FailureKind.FAILURE_KIND_OTHER_BMC]: "other_bmc",
  [FailureKind.FAILURE_KIND_PRIVILEGE]: "privilege",
  [FailureKind.FAILURE_KIND_PROTOCOL]: "protocol",
  [FailureKind.FAILURE_KIND_NO_ACCOUNT]: "no_account",
  [FailureKind.UNRECOGNIZED]: "unrecognized",
};

/** The kind as logs and metrics show it. */
export function failureName(kind: FailureKind): string {
  return names[kind];
}
