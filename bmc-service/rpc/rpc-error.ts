import { status } from "@grpc/grpc-js";
import { NoDriverServedError, NotReadyError } from "../drivers/driver-list.ts";
import { StoppingError } from "../stopping-error.ts";
import { ClaimConflictError, MissingStepError, NoSuchRowError } from "../store/store.ts";
import { StoreError } from "../store/store-error.ts";

/** The answer to a call that is refused. Its message goes to the caller: never a secret, never a value that may be one. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: status;

  constructor(code: status, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
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
  return code === undefined ? undefined : new RpcError(code, (error as Error).message, { cause: error });
}

function codeOf(error: unknown): status | undefined {
  if (error instanceof ClaimConflictError || error instanceof MissingStepError || error instanceof NotReadyError) {
    return status.FAILED_PRECONDITION;
  }
  if (error instanceof NoSuchRowError) return status.NOT_FOUND;
  // "Deadline exceeded" is the one code that says: it may have been done all the same.
  if (error instanceof NoDriverServedError && error.mayHaveActed) return status.DEADLINE_EXCEEDED;
  if (error instanceof NoDriverServedError && error.refused) return status.PERMISSION_DENIED;
  if (error instanceof NoDriverServedError || error instanceof StoreError || error instanceof StoppingError) {
    return status.UNAVAILABLE;
  }
  if (error instanceof DOMException && error.name === "TimeoutError") return status.DEADLINE_EXCEEDED;
  return undefined;
}
