import { isNotNow } from "../inband/conversation.ts";
import type { ServiceError, ServiceStatus } from "../outband-client/service/service-error.ts";
import { ExitCode } from "../proto/exit-code.ts";
import { FailureKind } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { StepError } from "./step.ts";

/** How many IPMI commands a run sent to the BMC, and how long it waited for their answers in total. */
export interface IpmiCount {
  readonly commands: number;
  /** Milliseconds. */
  readonly waitedMs: number;
}

/** A BMC as an outcome names it. */
export interface LinkedBmc {
  readonly mac: string;
  readonly channel: number;
  /** IPv4 address, or IPv6 if there is no other; empty if it has none yet. */
  readonly address: string;
  readonly userName: string;
  /** User ID on the BMC; 0, and no name, if an operator gave the account. */
  readonly slot: number;
}

interface Common {
  readonly machineUuid: string;
  readonly ipmi: IpmiCount;
}

/** How a run ended. Errors are not outcomes: they are thrown as StepError. */
export type Outcome =
  /** A new account was made, and the service logged in with it from remote. */
  | (Common & { readonly kind: "linked"; readonly bmc: LinkedBmc; readonly driver: string })
  /** The machine was known, nothing was changed, and the service logged in from remote. */
  | (Common & { readonly kind: "recognised"; readonly bmc: LinkedBmc; readonly driver: string })
  /** The account is proved in-band; the service did not get in from remote, and its policy does not require that. */
  | (Common & { readonly kind: "unverified"; readonly bmc: LinkedBmc; readonly reason: string })
  /** The machine has no BMC. */
  | (Common & {
      readonly kind: "unmanaged";
      readonly tried: readonly { readonly way: string; readonly reason: string }[];
    })
  /** The BMC does not let its own machine make accounts; what it tells was reported. `reason` says what to do. */
  | (Common & { readonly kind: "locked"; readonly mac: string; readonly reason: string })
  /** All user IDs are taken by others; what the BMC tells was reported. `reason` says who sits where and what to do. */
  | (Common & {
      readonly kind: "no free slot";
      readonly mac: string;
      readonly occupants: readonly { readonly slot: number; readonly holder: string }[];
      readonly reason: string;
    })
  /** The service could not take control. */
  | (Common & {
      readonly kind: "failed";
      readonly bmc: LinkedBmc;
      readonly failure: FailureKind;
      readonly reason: string;
    });

/** What happened and what to do next, in one or two sentences for the console. Holds no secret. */
export function describeOutcome(outcome: Outcome): string {
  const count = `${outcome.ipmi.commands} IPMI commands`;
  switch (outcome.kind) {
    case "linked":
      return `Linked to BMC ${bmcText(outcome.bmc)}; the service controls it by ${outcome.driver} (${count}).`;
    case "recognised":
      return `Recognised: linked to BMC ${bmcText(outcome.bmc)} before, nothing changed; the service controls it by ${outcome.driver} (${count}).`;
    case "unverified":
      return `Account made on BMC ${bmcText(outcome.bmc)} and proved from inside, not yet from remote: ${outcome.reason} (${count}).`;
    case "unmanaged": {
      const tried = outcome.tried.map(({ way, reason }) => `${way}: ${reason}`).join("; ");
      return `No BMC found, the machine is unmanaged. Tried ${tried === "" ? "nothing" : tried}.`;
    }
    case "locked":
      return `${outcome.mac === "" ? "The BMC" : `BMC ${outcome.mac}`} lets its machine make no accounts: ${outcome.reason}`;
    case "no free slot":
      return `BMC ${outcome.mac} has no place for an account: ${outcome.reason}`;
    case "failed":
      return `The service could not take control of BMC ${bmcText(outcome.bmc)}: ${outcome.reason} (${count}).`;
    default:
      return outcome satisfies never;
  }
}

function bmcText({ mac, address, userName, slot }: LinkedBmc): string {
  const account = slot === 0 ? "with an account that an operator gave" : `as user "${userName}" in slot ${slot}`;
  return `${mac}${address === "" ? "" : ` at ${address}`} ${account}`;
}

/**
 * The exit code for how a run ended: an outcome, or whatever was thrown. Errors of other folders are told by their
 * `name`, which is a literal of each class. Anything unknown is a bug of ours.
 */
export function exitCodeOf(ended: Outcome | Error): ExitCode {
  return ended instanceof Error ? exitCodeOfError(ended) : exitCodeOfOutcome(ended);
}

function exitCodeOfOutcome(outcome: Outcome): ExitCode {
  switch (outcome.kind) {
    case "linked":
    case "recognised":
    case "unverified":
    case "unmanaged":
    case "locked":
      return ExitCode.done;
    case "no free slot":
      return ExitCode.refused;
    case "failed":
      return exitCodeOfFailure(outcome.failure);
    default:
      return outcome satisfies never;
  }
}

function exitCodeOfFailure(kind: FailureKind): ExitCode {
  switch (kind) {
    case FailureKind.FAILURE_KIND_LOGIN_REFUSED:
    case FailureKind.FAILURE_KIND_PRIVILEGE:
      return ExitCode.refused;
    case FailureKind.FAILURE_KIND_OTHER_BMC:
    case FailureKind.FAILURE_KIND_PROTOCOL:
      return ExitCode.protocol;
    case FailureKind.FAILURE_KIND_UNREACHABLE:
    case FailureKind.FAILURE_KIND_NO_ACCOUNT:
    case FailureKind.FAILURE_KIND_UNSPECIFIED:
    case FailureKind.UNRECOGNIZED:
      return ExitCode.temporary;
    default:
      return kind satisfies never;
  }
}

function exitCodeOfError(error: Error): ExitCode {
  const inStep = error instanceof StepError ? error.step : undefined;
  const cause = error instanceof StepError && error.cause instanceof Error ? error.cause : error;
  switch (cause.name) {
    case "UsageError":
      return ExitCode.usage;
    case "ConfigError":
    case "SmbiosUnavailableError":
    case "BogusUuidError":
    case "PolicyError":
      return ExitCode.configuration;
    case "HandOffCutError":
      return ExitCode.serviceUnavailable;
    case "ServiceError": {
      const { status } = cause as ServiceError;
      // Before there is a session, it is the enrolment token that is good for nothing: it will not be later.
      if (status === "unauthenticated" && inStep === "begin") return ExitCode.refused;
      // Another enrolment of this machine did not end in time.
      if (status === "conflict" && inStep === "begin") return ExitCode.temporary;
      return exitCodeOfServiceStatus(status);
    }
    case "StepTimeoutError":
      return inStep !== undefined && serviceSteps.has(inStep) ? ExitCode.serviceUnavailable : ExitCode.temporary;
    case "NotReadyError":
    case "InterruptedWriteError":
    case "NoAnswerError":
    case "HiddenBmcError":
    case "NoLanChannelError":
    case "UnreadableIdentityError":
    case "TransportError":
    case "SlotTakenError":
    case "FormerAccountUnreadableError":
    case "SlotsUnreadableError":
    case "StickError":
    case "ReportError":
      return ExitCode.temporary;
    case "AccountRefusedError":
    case "InbandLockedError":
      return ExitCode.refused;
    case "CompletionCodeError":
      // still busy after all the waiting: another run may find it idle
      return isNotNow(cause) ? ExitCode.temporary : ExitCode.protocol;
    case "AccountError":
      return ExitCode.protocol;
    case "DecodeError":
      // Before the BMC was asked anything, what is broken can only be the firmware's SMBIOS table.
      return inStep === "identify machine" ? ExitCode.configuration : ExitCode.protocol;
    default:
      return ExitCode.bug;
  }
}

/**
 * Steps in which nobody but the service is waited for. "escrow account" reads the BMC's users too, and a silent service ends
 * it with an error of its own, long before the step's limit.
 */
const serviceSteps: ReadonlySet<string> = new Set(["begin", "report BMC", "hand-off"]);

function exitCodeOfServiceStatus(status: ServiceStatus): ExitCode {
  switch (status) {
    case "unavailable":
    case "deadline":
      return ExitCode.serviceUnavailable;
    case "refused":
    // What the service knows stands against what was reported: an operator has to decide.
    case "precondition":
    case "conflict":
      return ExitCode.refused;
    case "protocol":
    case "unimplemented":
      return ExitCode.protocol;
    case "unauthenticated":
    case "exhausted":
    case "not found":
    case "damaged":
    case "internal":
      return ExitCode.temporary;
    case "invalid":
    case "configuration":
      return ExitCode.configuration;
    default:
      return status satisfies never;
  }
}
