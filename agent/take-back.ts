import { retireAccount } from "../inband/account/retire-account.ts";
import { isNotNow, withinLimit } from "../inband/conversation.ts";
import { CompletionCodeError } from "../ipmi/errors.ts";
import type { ServiceError } from "../outband-client/service/service-error.ts";
import { FailureKind } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { EscrowedAccount } from "./escrowed-account.ts";
import { talkTo } from "./inspect-ready-bmc.ts";
import type { ReadyBmc } from "./open-bmc-beside.ts";
import type { Outcome } from "./outcome.ts";
import { StepError } from "./step.ts";
import type { World } from "./world.ts";

/** The run has failed: nobody waits longer for its account to go, ms. */
const limitMs = 30_000;

/**
 * Takes an account back that a run has made in vain: it is disabled and, as far as the BMC lets, without rights and name, as
 * the slot was before. Only where that can do no harm: if the run cannot finish, whatever is tried again, and if the slot was
 * empty before. An account that took the place of a former one of ours may be the only one that opens the BMC.
 * @param ended how the run ended: an outcome, or what was thrown
 * @param runLimit aborted when the time for the whole run is over: this comes out of it, too
 * @returns what became of the account, for the row; undefined if nothing was to be taken back, or nothing of it is there.
 *   Throws nothing.
 */
export async function takeBack(
  world: World,
  bmc: ReadyBmc,
  { wanted }: Pick<EscrowedAccount, "wanted">,
  ended: unknown,
  runLimit: AbortSignal = new AbortController().signal,
): Promise<string | undefined> {
  if (wanted.replaces !== undefined || !cannotFinish(ended)) return undefined;
  const { channel, slot, userName } = wanted;
  try {
    const retired = await withinLimit(world.clock, limitMs, runLimit, (signal) =>
      retireAccount(talkTo(bmc, world, signal), channel, { slot, userName }, "the account that this run made"),
    );
    return retired.isThere ? retired.text : undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `User ID ${slot}, "${userName}", was to be disabled again, but may not be: ${reason}`;
  }
}

/**
 * Whether no other try can end otherwise. A BMC that does not answer, and a service that is not there, may do better the
 * next time: until then the service keeps the account and uses it.
 */
export function cannotFinish(ended: unknown): boolean {
  if (!(ended instanceof StepError)) return isRefusedOutcome(ended);
  const { cause } = ended;
  if (!(cause instanceof Error)) return false;
  switch (cause.name) {
    case "AccountError":
    case "AccountRefusedError":
      return true;
    case "CompletionCodeError":
      return cause instanceof CompletionCodeError && !isNotNow(cause);
    case "ServiceError":
      return refusals.has((cause as ServiceError).status);
    default:
      return false;
  }
}

/** What the service means when it will never take the account. */
const refusals: ReadonlySet<ServiceError["status"]> = new Set(["refused", "invalid", "precondition", "conflict"]);

/** What the remote login means when it will never succeed. */
const failures: ReadonlySet<FailureKind> = new Set([
  FailureKind.FAILURE_KIND_LOGIN_REFUSED,
  FailureKind.FAILURE_KIND_PRIVILEGE,
  FailureKind.FAILURE_KIND_OTHER_BMC,
]);

function isRefusedOutcome(ended: unknown): boolean {
  const { kind, failure } = ended as Partial<Extract<Outcome, { kind: "failed" }>>;
  return kind === "failed" && failure !== undefined && failures.has(failure);
}
