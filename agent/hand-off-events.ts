import {
  type FailureKind,
  GuidComparison,
  type HandOffFailed,
  NonceComparison,
  type WatchHandOffResponse,
} from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

/** The service could not take control, and says why. */
export class HandOffFailedError extends Error {
  override readonly name = "HandOffFailedError";
  readonly code = "hand-off-failed";
  readonly failure: FailureKind;

  constructor({ kind, reason }: HandOffFailed) {
    super(reason);
    this.failure = kind;
  }
}

/** The events of the hand-off ended before the last one. */
export class HandOffCutError extends Error {
  override readonly name = "HandOffCutError";
  readonly code = "hand-off-cut";

  constructor() {
    super("the service stopped telling before the hand-off had ended; run again");
  }
}

/** How the service controls the BMC. */
export interface HandedOff {
  readonly driver: string;
  /** Name of the account with which it has logged in; empty if it does not tell. */
  readonly userName: string;
}

/**
 * Follows the hand-off to its end.
 * @param note takes one line for each event
 * @throws HandOffFailedError, HandOffCutError, and what the stream throws
 */
export async function followHandOff(
  events: AsyncIterable<WatchHandOffResponse>,
  note: (text: string) => void,
): Promise<HandedOff> {
  let userName = "";
  for await (const { event } of events) {
    // An event of a newer service says nothing to us.
    if (event === undefined) continue;
    switch (event.$case) {
      case "queued":
        note(`hand-off: ${event.value.ahead} logins ahead`);
        break;
      case "connecting":
        note(`hand-off: the service connects to ${event.value.address}`);
        break;
      case "loggedIn":
        userName = event.value.userName;
        note(`hand-off: logged in as "${event.value.userName}", cipher suite ${event.value.cipherSuite}`);
        break;
      case "macMatches":
        note(`hand-off: MAC address matches (${event.value.mac})`);
        break;
      case "guidCompared":
        note(`hand-off: ${guidText(event.value.result)}`);
        break;
      case "nonceCompared":
        if (event.value.result === NonceComparison.NONCE_COMPARISON_SAME)
          note("hand-off: the nonce written in-band was read back");
        break;
      case "privilegeOk":
        note(`hand-off: privilege ${event.value.privilege} granted`);
        break;
      case "handedOff":
        return { driver: event.value.driver, userName };
      case "failed":
        throw new HandOffFailedError(event.value);
      default:
        event satisfies never;
    }
  }
  throw new HandOffCutError();
}

function guidText(result: GuidComparison): string {
  switch (result) {
    case GuidComparison.GUID_COMPARISON_SAME_AS_INBAND:
      return "GUID matches the one read in-band";
    case GuidComparison.GUID_COMPARISON_SAME_AS_MACHINE_UUID:
      return "GUID matches the machine's UUID";
    case GuidComparison.GUID_COMPARISON_NOT_COMPARABLE:
      return "GUID cannot be compared: the BMC told none in-band";
    case GuidComparison.GUID_COMPARISON_NONE_FROM_REMOTE:
      return "the BMC tells no GUID from remote";
    case GuidComparison.GUID_COMPARISON_UNSPECIFIED:
    case GuidComparison.UNRECOGNIZED:
      return "the GUID was compared";
    default:
      return result satisfies never;
  }
}
