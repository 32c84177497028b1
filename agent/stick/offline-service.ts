import { randomUUID } from "node:crypto";
import type { Clock } from "../../inband/clock.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  FailureKind,
  InbandProof,
  type Linkage,
  PasswordForm,
  type Policy,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Report, ReportedAccount } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { reportVersion } from "../../proto/report-json.ts";
import type { EnrolmentClient } from "../world.ts";
import type { StickMedium } from "./medium.ts";
import { ReportFile } from "./report-file.ts";
import { sealPassword } from "./seal-password.ts";
import { StickError } from "./stick-error.ts";

export interface OfflineOptions {
  readonly medium: StickMedium;
  /** The service's public key: "x25519:...". */
  readonly reportKey: string;
  readonly policy: Pick<Policy, "userNamePrefix" | "privilege">;
  readonly clock: Clock;
  /** How long a stick that is not there is waited for, ms. */
  readonly limitMs: number;
  readonly note: (text: string) => void;
}

/** How often a stick that is not there is looked for. */
const lookEveryMs = 1_000;

/**
 * What takes the place of the BMC service where there is no network: the stick. It keeps what it is told in the machine's report, and
 * an account is on the medium, sealed, when `escrowAccount` resolves. Rejects with StickError, and ReportError for a report that got too
 * long. A stick that was pulled is waited for: its name and port may be others when it comes back.
 */
export function offlineService(options: OfflineOptions): EnrolmentClient {
  let file: ReportFile | undefined;
  let report = Report.fromPartial({ version: reportVersion });
  /** One write after the other: the inventory comes while the BMC is worked on. */
  let last: Promise<unknown> = Promise.resolve();

  const opened = (): ReportFile => {
    if (file === undefined) throw new Error("the stick was used before the machine was known");
    return file;
  };

  const change = (changes: Partial<Report>, signal: AbortSignal): Promise<void> => {
    const write = async () => {
      const next = { ...report, ...changes, writtenAt: new Date() };
      const accounts = await patiently(options, signal, () => opened().write(next));
      // What could not be written was not told: the same call again tells it again.
      report = { ...next, accounts: [...accounts] };
    };
    const written = last.then(write);
    last = written.catch(() => undefined);
    return written;
  };

  return {
    get postponed() {
      return `no service was reached. The report is on the stick (${opened().path}): bring it to the service by bmcctl import`;
    },

    async begin({ machine, bootId, agentVersion }, signal) {
      file = new ReportFile(options.medium, machine?.uuid ?? "", options.note);
      const before = await patiently(options, signal, () => opened().read());
      report = { ...(before ?? report), machine, bootId, agentVersion, endedEarly: undefined };
      // Written before anything else is done: a stick that is full or write-protected shows here.
      await change({}, signal);
      return {
        sessionToken: "",
        linkage: linkageOf(report),
        policy: { ...options.policy, verificationRequired: false, consoleUserWanted: false },
        certificate: Buffer.alloc(0),
        linkageNonce: "",
      };
    },

    async reportBmc({ found, formerAccounts = report.formerAccounts }, signal) {
      if (found?.$case === "bmc") {
        await change({ bmc: completed(report.bmc, found.value), noBmc: undefined, formerAccounts }, signal);
      } else await change({ bmc: undefined, noBmc: found?.value, formerAccounts }, signal);
      return { passwordFormHint: formHint(report) };
    },

    async reportInventory({ inventory }, signal) {
      await change({ inventory }, signal);
      return {};
    },

    async escrowAccount({ mac, userName, password, slot }, signal) {
      const machineUuid = report.machine?.uuid ?? "";
      const sealedPassword = await sealPassword(options.reportKey, { machineUuid, mac, userName }, password);
      const id = randomUUID();
      const about = { id, mac, userName, slot, createdAt: new Date(), sealedPassword };
      await change({ accounts: [...report.accounts, ReportedAccount.fromPartial(about)], formerAccounts: 0 }, signal);
      return { accountId: id };
    },

    async confirmAccount({ accountId, slot, channel, proof, passwordForm }, signal) {
      const accounts = report.accounts.map((account) =>
        account.id === accountId ? { ...account, slot, channel, proof, passwordForm } : account,
      );
      await change({ accounts }, signal);
      return {};
    },

    async abort({ step, reason, inbandLocked }, signal) {
      if (file !== undefined) await change({ endedEarly: { step, reason, inbandLocked } }, signal);
      return {};
    },

    async *watchHandOff() {
      const value = { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: this.postponed ?? "" };
      yield { at: undefined, event: { $case: "failed", value } };
    },

    [Symbol.asyncDispose]: async () => {
      await last;
    },
  };
}

/** Does the work again while the stick is not there. */
async function patiently<T>(options: OfflineOptions, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const { clock, limitMs, note } = options;
  const startedAt = clock.now();
  for (let waiting = false; ; waiting = true) {
    try {
      return await work();
    } catch (error) {
      const isMissing = error instanceof StickError && (error.problem === "absent" || error.problem === "gone");
      if (!isMissing || signal.aborted || clock.now() - startedAt >= limitMs) throw error;
      if (!waiting) note(`${error.message}. Waiting for it for up to ${Math.round(limitMs / 1000)} s`);
    }
    await clock.sleep(lookEveryMs, signal);
  }
}

/**
 * What the stick knows of the machine. The account of the last run is kept if that run has proved it, and the BMC still has it: its
 * password cannot be tried, for only the service can open it.
 */
function linkageOf({ bmc, accounts }: Report): Linkage | undefined {
  if (accounts.length === 0) return undefined;
  const newest = accounts.at(-1);
  const isProved = newest !== undefined && newest.proof !== InbandProof.INBAND_PROOF_UNSPECIFIED;
  const known = isProved && newest.mac === bmc?.mac ? newest : undefined;
  return {
    mac: bmc?.mac ?? "",
    channel: known?.channel ?? bmc?.channel ?? 0,
    userName: known?.userName ?? "",
    slot: known?.slot ?? 0,
    verifiedAt: undefined,
    fresh: known !== undefined,
    knownUserNames: [...new Set(accounts.map(({ userName }) => userName))],
    given: false,
  };
}

/** The form of password that the machine's BMC took the last time. */
function formHint({ accounts, bmc }: Report): PasswordForm {
  const proved = accounts.findLast(
    ({ proof, mac }) => proof !== InbandProof.INBAND_PROOF_UNSPECIFIED && mac === bmc?.mac,
  );
  return proved?.passwordForm ?? PasswordForm.PASSWORD_FORM_UNSPECIFIED;
}

/** What the short look at a known BMC leaves out stays as it was. */
function completed(known: BmcFacts | undefined, seen: BmcFacts): BmcFacts {
  if (known === undefined || known.mac !== seen.mac || seen.channels.length > 0) return seen;
  const isTold = (value: unknown) =>
    Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "" && value !== 0;
  return { ...known, ...Object.fromEntries(Object.entries(seen).filter(([, value]) => isTold(value))) };
}
