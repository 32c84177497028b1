import type { Clock } from "../inband/clock.ts";
import type { SmbiosTables } from "../inband/smbios/read-tables.ts";
import type { Transport } from "../ipmi/transport.ts";
import type {
  AbortRequest,
  AbortResponse,
  BeginRequest,
  BeginResponse,
  ConfirmAccountRequest,
  ConfirmAccountResponse,
  EscrowAccountRequest,
  EscrowAccountResponse,
  ReportBmcRequest,
  ReportBmcResponse,
  ReportInventoryRequest,
  ReportInventoryResponse,
  WatchHandOffRequest,
  WatchHandOffResponse,
} from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Inventory } from "../proto/gen/metalstack/bmc/v1/machine.ts";

/** All that the run may touch. Whatever is not in here, it cannot do. */
export interface World {
  /** The SMBIOS tables as the kernel shows them. */
  readonly readSmbios: (signal: AbortSignal) => Promise<SmbiosTables>;
  /**
   * The first way to the BMC that works.
   * @throws NoBmcError if there is none, with the ways that were tried
   */
  readonly openBmc: (signal: AbortSignal) => Promise<Transport>;
  /** A client of the BMC service. It may connect late: the first call is the first that can fail for lack of a service. */
  readonly connectService: (signal: AbortSignal) => Promise<EnrolmentClient>;
  /** Identifier of this boot of the kernel. */
  readonly readBootId: (signal: AbortSignal) => Promise<string>;
  /** CPU, memory, disks, NICs. Off the critical path: the run never fails because of it. */
  readonly gatherInventory: (signal: AbortSignal) => Promise<Inventory>;
  /** A number from 0 to `below` - 1, each as likely; from a cryptographic source. */
  readonly randomBelow: (below: number) => number;
  readonly clock: Clock;
  /** One line for whoever watches: a finding, an event of the hand-off. Never a secret. */
  readonly note: (text: string) => void;
  /** What the BMC told of itself, for whoever watches. */
  readonly showBmc?: (bmc: { readonly mac: string; readonly address: string; readonly firmware: string }) => void;
  readonly settings: RunSettings;
}

export interface RunSettings {
  /** For example "metal-rivet 0.1.0". */
  readonly agentVersion: string;
  /** Name of the place where the machine stands; "" or left out: it has none. */
  readonly site?: string | undefined;
  /** Make a new account even if the known one works. */
  readonly rotate: boolean;
  /** User ID for a new account, 2 to 63; without it the agent chooses. */
  readonly userSlot?: number | undefined;
  /** Switch off logins that need no good password, after a new account was made. */
  readonly harden?: boolean;
  /** Have the BMC reset the machine after that long, unless the run has ended before. */
  readonly watchdogMs?: number | undefined;
  readonly limits: RunLimits;
}

/** How long the run waits, in milliseconds. */
export interface RunLimits {
  /** For everything that is on this machine and cannot hang: SMBIOS, boot id. */
  readonly localMs: number;
  /** For the service to answer Begin, retries included. */
  readonly beginMs: number;
  /** For one further call to the service, retries included. */
  readonly serviceMs: number;
  /** For the BMC to become ready. */
  readonly bmcReadyMs: number;
  /** For reading the BMC. */
  readonly inspectMs: number;
  /** For scanning, setting and proving the account, each. */
  readonly accountMs: number;
  /** For the service to log in from remote. */
  readonly handOffMs: number;
  /** For gathering and reporting the inventory, counted from when the BMC is ready. */
  readonly inventoryMs: number;
  /** For telling the service that the run ended early. */
  readonly abortMs: number;
}

export const defaultLimits: RunLimits = {
  localMs: 10_000,
  beginMs: 600_000,
  serviceMs: 120_000,
  bmcReadyMs: 180_000,
  inspectMs: 120_000,
  accountMs: 180_000,
  handOffMs: 300_000,
  inventoryMs: 20_000,
  abortMs: 5_000,
};

/** The EnrolmentService as promises. outband-client/service implements it; errors are its ServiceError. */
export interface EnrolmentClient extends AsyncDisposable {
  begin(request: BeginRequest, signal: AbortSignal): Promise<BeginResponse>;
  reportBmc(request: ReportBmcRequest, signal: AbortSignal): Promise<ReportBmcResponse>;
  reportInventory(request: ReportInventoryRequest, signal: AbortSignal): Promise<ReportInventoryResponse>;
  escrowAccount(request: EscrowAccountRequest, signal: AbortSignal): Promise<EscrowAccountResponse>;
  confirmAccount(request: ConfirmAccountRequest, signal: AbortSignal): Promise<ConfirmAccountResponse>;
  abort(request: AbortRequest, signal: AbortSignal): Promise<AbortResponse>;
  watchHandOff(request: WatchHandOffRequest, signal: AbortSignal): AsyncIterable<WatchHandOffResponse>;
  /** Why nobody logs in from remote at the end of this run, and what to do, for people; undefined: the service does. */
  readonly postponed?: string | undefined;
}
