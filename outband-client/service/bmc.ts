import type {
  BootTargetResponse,
  CreateTokenRequest,
  CreateTokenResponse,
  DeleteBmcRequest,
  DeleteBmcResponse,
  GetBmcRequest,
  GetBmcResponse,
  GetBootTargetRequest,
  GetIdentifyLedRequest,
  GetPowerRequest,
  IdentifyLedResponse,
  ImportReportRequest,
  ImportReportResponse,
  ListAccountsRequest,
  ListAccountsResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListBmcsRequest,
  ListBmcsResponse,
  ListConflictsRequest,
  ListConflictsResponse,
  ListHistoryRequest,
  ListHistoryResponse,
  ListTokensRequest,
  ListTokensResponse,
  PowerResponse,
  ResolveConflictRequest,
  ResolveConflictResponse,
  RevokeTokenRequest,
  RevokeTokenResponse,
  RotateAccountRequest,
  RotateAccountResponse,
  SetBootTargetRequest,
  SetIdentifyLedRequest,
  SetPowerRequest,
  UpdateBmcRequest,
  UpdateBmcResponse,
  WatchBmcsRequest,
  WatchBmcsResponse,
} from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { BmcServiceService as methods } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { type ConnectOptions, ServiceChannel } from "./channel.ts";

/**
 * What operators and other services say to the BMC service; see bmc_service.proto for each call.
 * Every call throws ServiceError or the signal's reason. The getters may be sent again; the setters are left to the caller.
 */
export interface BmcClient extends AsyncDisposable {
  listBmcs(request: ListBmcsRequest, signal: AbortSignal): Promise<ListBmcsResponse>;
  getBmc(request: GetBmcRequest, signal: AbortSignal): Promise<GetBmcResponse>;
  /** Every row once, then each change, until the caller goes. */
  watchBmcs(request: WatchBmcsRequest, signal: AbortSignal): AsyncIterable<WatchBmcsResponse>;
  updateBmc(request: UpdateBmcRequest, signal: AbortSignal): Promise<UpdateBmcResponse>;
  rotateAccount(request: RotateAccountRequest, signal: AbortSignal): Promise<RotateAccountResponse>;
  deleteBmc(request: DeleteBmcRequest, signal: AbortSignal): Promise<DeleteBmcResponse>;
  listAccounts(request: ListAccountsRequest, signal: AbortSignal): Promise<ListAccountsResponse>;
  getPower(request: GetPowerRequest, signal: AbortSignal): Promise<PowerResponse>;
  setPower(request: SetPowerRequest, signal: AbortSignal): Promise<PowerResponse>;
  getBootTarget(request: GetBootTargetRequest, signal: AbortSignal): Promise<BootTargetResponse>;
  setBootTarget(request: SetBootTargetRequest, signal: AbortSignal): Promise<BootTargetResponse>;
  getIdentifyLed(request: GetIdentifyLedRequest, signal: AbortSignal): Promise<IdentifyLedResponse>;
  setIdentifyLed(request: SetIdentifyLedRequest, signal: AbortSignal): Promise<IdentifyLedResponse>;
  listHistory(request: ListHistoryRequest, signal: AbortSignal): Promise<ListHistoryResponse>;
  createToken(request: CreateTokenRequest, signal: AbortSignal): Promise<CreateTokenResponse>;
  listTokens(request: ListTokensRequest, signal: AbortSignal): Promise<ListTokensResponse>;
  revokeToken(request: RevokeTokenRequest, signal: AbortSignal): Promise<RevokeTokenResponse>;
  listConflicts(request: ListConflictsRequest, signal: AbortSignal): Promise<ListConflictsResponse>;
  resolveConflict(request: ResolveConflictRequest, signal: AbortSignal): Promise<ResolveConflictResponse>;
  listAudit(request: ListAuditRequest, signal: AbortSignal): Promise<ListAuditResponse>;
  importReport(request: ImportReportRequest, signal: AbortSignal): Promise<ImportReportResponse>;
}

/**
 * A client for the operator's side. It connects at the first call.
 * @throws ServiceError "configuration" if address, CA, certificate or key cannot be used
 */
export function connectBmcService(options: ConnectOptions): BmcClient {
  const channel = new ServiceChannel({ streamLimitMs: Number.POSITIVE_INFINITY, ...options });
  return {
    listBmcs: (request, signal) => channel.unary(methods.listBmcs, request, signal),
    getBmc: (request, signal) => channel.unary(methods.getBmc, request, signal),
    watchBmcs: (request, signal) => channel.stream(methods.watchBmcs, request, signal),
    updateBmc: (request, signal) => channel.unary(methods.updateBmc, request, signal),
    rotateAccount: (request, signal) => channel.unary(methods.rotateAccount, request, signal),
    deleteBmc: (request, signal) => channel.unary(methods.deleteBmc, request, signal),
    listAccounts: (request, signal) => channel.unary(methods.listAccounts, request, signal),
    getPower: (request, signal) => channel.unary(methods.getPower, request, signal),
    setPower: (request, signal) => channel.unary(methods.setPower, request, signal),
    getBootTarget: (request, signal) => channel.unary(methods.getBootTarget, request, signal),
    setBootTarget: (request, signal) => channel.unary(methods.setBootTarget, request, signal),
    getIdentifyLed: (request, signal) => channel.unary(methods.getIdentifyLed, request, signal),
    setIdentifyLed: (request, signal) => channel.unary(methods.setIdentifyLed, request, signal),
    listHistory: (request, signal) => channel.unary(methods.listHistory, request, signal),
    createToken: (request, signal) => channel.unary(methods.createToken, request, signal),
    listTokens: (request, signal) => channel.unary(methods.listTokens, request, signal),
    revokeToken: (request, signal) => channel.unary(methods.revokeToken, request, signal),
    listConflicts: (request, signal) => channel.unary(methods.listConflicts, request, signal),
    resolveConflict: (request, signal) => channel.unary(methods.resolveConflict, request, signal),
    listAudit: (request, signal) => channel.unary(methods.listAudit, request, signal),
    importReport: (request, signal) => channel.unary(methods.importReport, request, signal),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}
