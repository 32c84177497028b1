import type {
  AbortRequest,
  AbortResponse,
  BeginResponse,
  ConfirmAccountRequest,
  ConfirmAccountResponse,
  EscrowAccountResponse,
  ReportBmcRequest,
  ReportBmcResponse,
  ReportInventoryRequest,
  ReportInventoryResponse,
  WatchHandOffRequest,
  WatchHandOffResponse,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import {
  BeginRequest,
  EscrowAccountRequest,
  EnrolmentServiceService as methods,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type ConnectOptions, ServiceChannel } from "./channel.ts";
import { withWipedRequest } from "./wiped-request.ts";

/**
 * What an agent says to the BMC service; see enrolment_service.proto for each call.
 * Every call throws ServiceError or the signal's reason, and every call may be sent again: they are idempotent by session token.
 */
export interface EnrolmentClient extends AsyncDisposable {
  begin(request: BeginRequest, signal: AbortSignal): Promise<BeginResponse>;
  reportBmc(request: ReportBmcRequest, signal: AbortSignal): Promise<ReportBmcResponse>;
  reportInventory(request: ReportInventoryRequest, signal: AbortSignal): Promise<ReportInventoryResponse>;
  escrowAccount(request: EscrowAccountRequest, signal: AbortSignal): Promise<EscrowAccountResponse>;
  confirmAccount(request: ConfirmAccountRequest, signal: AbortSignal): Promise<ConfirmAccountResponse>;
  abort(request: AbortRequest, signal: AbortSignal): Promise<AbortResponse>;
  /** Starts or joins the hand-off; the last event is handedOff or failed. */
  watchHandOff(request: WatchHandOffRequest, signal: AbortSignal): AsyncIterable<WatchHandOffResponse>;
}

/**
 * A client for the agent's side. It connects at the first call.
 * @throws ServiceError "configuration" if address, CA, certificate or key cannot be used
 */
export function connectEnrolment(options: ConnectOptions): EnrolmentClient {
  const channel = new ServiceChannel(options);
  return {
    begin: (request, signal) =>
      withWipedRequest(methods.begin, BeginRequest.encode, (method) => channel.unary(method, request, signal)),
    reportBmc: (request, signal) => channel.unary(methods.reportBmc, request, signal),
    reportInventory: (request, signal) => channel.unary(methods.reportInventory, request, signal),
    escrowAccount: (request, signal) =>
      withWipedRequest(methods.escrowAccount, EscrowAccountRequest.encode, (method) =>
        channel.unary(method, request, signal),
      ),
    confirmAccount: (request, signal) => channel.unary(methods.confirmAccount, request, signal),
    abort: (request, signal) => channel.unary(methods.abort, request, signal),
    watchHandOff: (request, signal) => channel.stream(methods.watchHandOff, request, signal),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}
