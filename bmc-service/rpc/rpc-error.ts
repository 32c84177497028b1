import { status } from "@grpc/grpc-js";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Attack } from "../attack.ts";
import { NoDriverServedError, NotReadyError } from "../drivers/driver-list.ts";
import { attackOfBmc, HandOffError, OperatorsAccountError } from "../hand-off/hand-off-error.ts";
import { StoppingError } from "../stopping-error.ts";
import { CrowdedError } from "../store/crowded-error.ts";
import { MachineBusyError, NoSuchTokenError, TokenRefusedError } from "../store/enrolment-token.ts";
import {
  ClaimConflictError,
  ConflictDecidedError,
  MissingStepError,
  NoSuchRowError,
  TooManyAccountsError,
} from "../store/store.ts";
import { StoreError } from "../store/store-error.ts";

/** The answer to a call that is refused. Its message goes to the caller: never a secret, never a value that may be one. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: status;
  /** Undefined: it looks like none. */
  readonly attack: Attack | undefined;

  constructor(code: status, message: string, options: ErrorOptions & { readonly attack?: Attack | undefined } = {}) {
    super(message, options);
    this.code = code;
    this.attack = options.attack;
  }
}

/** @param field as the contract writes it: "machine.uuid" */
export function invalid(field: string, problem: string): RpcError {
  return new RpcError(status.INVALID_ARGUMENT, `${field}: ${problem}`);
}

/** What an error means for the caller; undefined for a bug. */
export function asRpcError(error: unknown): RpcError | undefined {
  if (error instanceof RpcError) return error;
  const code = codeOf(error);
  if (code === undefined) return undefined;
  return new RpcError(code, (error as Error).message, { cause: error, attack: attackOf(error) });
}

function attackOf(error: unknown): Attack | undefined {
  if (error instanceof TokenRefusedError) return "enrolment token";
  if (error instanceof MachineBusyError) return "second enrolment";
  if (error instanceof ClaimConflictError) return "claim";
  if (error instanceof TooManyAccountsError) return "flood";
  if (error instanceof CrowdedError) return "flood";
  if (error instanceof NoDriverServedError && error.refused) return "refused login";
  return error instanceof HandOffError ? attackOfBmc(error) : undefined;
}

function codeOf(error: unknown): status | undefined {
  if (
    error instanceof ClaimConflictError ||
    error instanceof ConflictDecidedError ||
    error instanceof MissingStepError ||
    error instanceof NotReadyError
  ) {
    return status.FAILED_PRECONDITION;
  }
  if (error instanceof NoSuchRowError || error instanceof NoSuchTokenError) return status.NOT_FOUND;
  if (error instanceof OperatorsAccountError) return status.PERMISSION_DENIED;
  if (error instanceof TokenRefusedError) return status.UNAUTHENTICATED;
  if (error instanceof MachineBusyError) return status.ABORTED;
  if (error instanceof TooManyAccountsError) return status.RESOURCE_EXHAUSTED;
  if (error instanceof CrowdedError) return status.RESOURCE_EXHAUSTED;
  if (error instanceof HandOffError) return codeOfLogin(error.kind);
  // "Deadline exceeded" is the one code that says: it may have been done all the same.
  if (error instanceof NoDriverServedError && error.mayHaveActed) return status.DEADLINE_EXCEEDED;
  if (error instanceof NoDriverServedError && error.refused) return status.PERMISSION_DENIED;
  if (error instanceof StoreError && error.problem === "damaged secret") return status.DATA_LOSS;
  if (error instanceof NoDriverServedError || error instanceof StoreError || error instanceof StoppingError) {
    return status.UNAVAILABLE;
  }
  if (error instanceof DOMException && error.name === "TimeoutError") return status.DEADLINE_EXCEEDED;
  return undefined;
}

/** Why an account that an operator gave was not taken. */
function codeOfLogin(kind: FailureKind): status {
  switch (kind) {
    case FailureKind.FAILURE_KIND_LOGIN_REFUSED:
    case FailureKind.FAILURE_KIND_PRIVILEGE:
      return status.PERMISSION_DENIED;
    case FailureKind.FAILURE_KIND_UNREACHABLE:
      return status.UNAVAILABLE;
    case FailureKind.FAILURE_KIND_OTHER_BMC:
    case FailureKind.FAILURE_KIND_PROTOCOL:
    case FailureKind.FAILURE_KIND_NO_ACCOUNT:
    case FailureKind.FAILURE_KIND_UNSPECIFIED:
    case FailureKind.UNRECOGNIZED:
      return status.FAILED_PRECONDITION;
    default:
      return kind satisfies never;
  }
}
