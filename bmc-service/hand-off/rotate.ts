import { randomInt } from "node:crypto";
import pRetry from "p-retry";
import { send } from "../../ipmi/command.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { passwordRequest, setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError, TransportError } from "../../ipmi/errors.ts";
import { randomPassword } from "../../ipmi/password.ts";
import { formText, type PasswordForm } from "../../ipmi/password-form.ts";
import { PasswordLadder } from "../../ipmi/password-ladder.ts";
import { Secret } from "../../ipmi/secret.ts";
import { unfilledName } from "../../ipmi/user-name.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { NotReadyError } from "../drivers/driver-list.ts";
import type { BmcSession } from "../reach/connect-bmc.ts";
import {
  type AccountRow,
  type BmcRecord,
  type BmcRow,
  type HandOffOutcome,
  NoSuchRowError,
  type Store,
} from "../store/store.ts";
import { findSlot } from "./find-slot.ts";
import { asHandOffError, HandOffError, isBusy, OperatorsAccountError } from "./hand-off-error.ts";
import { formOf, storedForm } from "./password-form.ts";
import type { HandOffLimits, TakeOver } from "./take-over.ts";

/** What a rotation works with. */
export interface RotationWorld {
  readonly store: Store;
  readonly limits: HandOffLimits;
  /** Logs in with the first of the accounts that gets in, and proves the BMC as a hand-off does. */
  readonly takeOver: (row: BmcRow, accounts: readonly AccountRow[], signal: AbortSignal) => Promise<TakeOver>;
  /** Opens a session with an account, once. */
  readonly login: (row: BmcRow, account: AccountRow, signal: AbortSignal) => Promise<BmcSession>;
  /** Whether the enrolment that made the account is under way. */
  readonly isUnderWay: (account: AccountRow) => boolean;
}

/** Another password of another form changes nothing about these. */
const refusedForGood: readonly number[] = [
  CompletionCode.invalidCommand,
  CompletionCode.insufficientPrivilege,
  CompletionCode.notSupportedInPresentState,
  CompletionCode.subFunctionDisabled,
];

/**
 * Gives the account in use a new password from remote: proves the account, stores a new password, sets it, and proves it by
 * a login of its own. Only that login retires the old one. Whatever dies, one of the two opens the BMC, and the next
 * login tries both, the newest first.
 * @param actor the operator's name
 * @param gone aborted when the caller does not wait any more: counts until something is stored, half of it would be worse
 * @returns what was done, for the history
 * @throws HandOffError, NotReadyError, OperatorsAccountError, NoSuchRowError, StoreError, or the reason of a signal
 */
export async function rotatePassword(
  world: RotationWorld,
  key: string,
  actor: string,
  gone: AbortSignal,
  stopping: AbortSignal,
): Promise<string> {
  const { store } = world;
  const { row, account, known } = await proveAccountInUse(world, key, AbortSignal.any([gone, stopping]));
  const hint = formOf(account.passwordForm) ?? (row.facts && formOf(await store.passwordForm(row.facts)));
  const ladder = new PasswordLadder(hint);
  const refused: string[] = [];
  // All passwords of this rotation are settled at once, at its end: until then each may be the one that the BMC has.
  const settle = async (outcome: HandOffOutcome) => {
    const all = {
      considered: [...known, ...refused, ...outcome.considered],
      refused: [...refused, ...outcome.refused],
    };
    await store.settleHandOff(key, { ...outcome, ...all }, new Date());
  };
  for (;;) {
    const { form } = ladder;
    const { fresh, refusal } = await setNewPassword(world, row, account, form, actor, stopping).catch(async (error) => {
      const failure = asHandOffError(error);
      if (failure === undefined || stopping.aborted) throw error;
      if (refused.length > 0) await settle({ kind: "failed", considered: [], refused: [], reason: failure.message });
      throw failure;
    });
    if (refusal === undefined) {
      const { outcome, failure } = await world.takeOver(row, [fresh, account], stopping);
      stopping.throwIfAborted();
      const holds = failure === undefined && outcome.nameOf === fresh.id;
      if (failure !== undefined || holds) await settle(outcome);
      if (failure !== undefined) throw failure;
      if (holds) return `account "${fresh.userName}" in slot ${fresh.slot}: new password of ${formText(form)}`;
    }
    refused.push(fresh.id);
    // It said yes, or nothing, and has the old one still: that is not told by a code.
    const code = refusal?.completionCode ?? CompletionCode.unspecified;
    if (ladder.next(code) && !refusedForGood.includes(code)) continue;
    const { outcome, failure } = await world.takeOver(row, [account], stopping);
    stopping.throwIfAborted();
    await settle(outcome);
    if (failure !== undefined) throw failure;
    const reason = `BMC ${row.mac} took no new password: ${ladder.triedText}. The old one is in use still`;
    throw new HandOffError(FailureKind.FAILURE_KIND_PRIVILEGE, reason, { cause: refusal });
  }
}

/** Logs in as a hand-off does, and with that settles also what an earlier rotation has left open. */
async function proveAccountInUse(world: RotationWorld, key: string, signal: AbortSignal) {
  const { store } = world;
  requireAccount(await store.bmc(key), key);
  const accounts = await store.accounts(key);
  if (accounts.some(world.isUnderWay)) {
    throw new NotReadyError(`the machine of BMC ${key} is enrolling: it gets a new account anyway. Try again later`);
  }
  const before = requireAccount(await store.bmc(key), key);
  const { outcome, failure } = await world.takeOver(before.row, accounts, signal);
  signal.throwIfAborted();
  if (failure !== undefined) throw failure;
  await store.settleHandOff(key, outcome, new Date());
  const proved = requireAccount(await store.bmc(key), key);
  return { ...proved, known: accounts.map(({ id }) => id) };
}

/** @throws NoSuchRowError; NotReadyError if there is no account; OperatorsAccountError */
function requireAccount(record: BmcRecord | undefined, key: string): { row: BmcRow; account: AccountRow } {
  if (record === undefined) throw new NoSuchRowError(`there is no BMC ${key}`);
  const { row, account } = record;
  if (account === undefined) throw new NotReadyError(`BMC ${key} has no account yet: its machine has to enrol`);
  const { userName, givenBy } = account;
  if (givenBy === "") return { row, account };
  throw new OperatorsAccountError(
    `account "${userName}" of BMC ${key} is the operator's own (given by operator "${givenBy}"), and is not rotated: ` +
      "change it on the BMC, and give it again by bmcctl update",
  );
}

/**
 * Stores a new password and sends it once the slot is known to be the account's.
 * @returns the account as stored, and how the BMC refused it; undefined: it took it, or nobody knows
 * @throws SessionError, HandOffError, TransportError, CompletionCodeError, StoreError: then nothing was written
 */
async function setNewPassword(
  world: RotationWorld,
  row: BmcRow,
  account: AccountRow,
  form: PasswordForm,
  actor: string,
  signal: AbortSignal,
): Promise<{ fresh: AccountRow; refusal: CompletionCodeError | undefined }> {
  await using session = await world.login(row, account, signal);
  const slot = await slotOf(session, account, row, signal);
  const characters = randomPassword(account.userName, randomInt, form);
  try {
    const fresh = await escrow(world.store, row.key, account, { slot, characters, form }, actor);
    const request = passwordRequest(slot, characters, "set", form.bytes);
    return { fresh, refusal: await answerTo(() => send(session, setUserPassword, request, signal), world, signal) };
  } finally {
    characters.fill(0);
  }
}

async function escrow(
  store: Store,
  key: string,
  { id: accountId }: AccountRow,
  { slot, characters, form }: { slot: number; characters: Uint8Array; form: PasswordForm },
  actor: string,
): Promise<AccountRow> {
  const stored = { accountId, slot, password: Secret.fromBytes(characters), passwordForm: storedForm(form) };
  const id = await store.escrowRotation(key, stored, actor, new Date());
  const found = (await store.accounts(key)).find((each) => each.id === id);
  if (found === undefined) throw new NoSuchRowError(`BMC ${key} was deleted meanwhile: nothing was changed on it`);
  return found;
}

/** Undefined if the BMC took it, or if it is not known whether it did: a login tells. */
async function answerTo(
  set: () => Promise<unknown>,
  { limits }: RotationWorld,
  signal: AbortSignal,
): Promise<CompletionCodeError | undefined> {
  try {
    await pRetry(set, {
      retries: limits.retries,
      minTimeout: limits.firstWaitMs,
      factor: 2,
      signal,
      shouldRetry: ({ error }) => error instanceof CompletionCodeError && isBusy(error),
    });
    return undefined;
  } catch (error) {
    if (error instanceof CompletionCodeError) return isBusy(error) ? undefined : error;
    if (error instanceof TransportError || signal.aborted) return undefined;
    throw error;
  }
}

/**
 * The user ID that has the account's name now: somebody may have moved it, and what is in its place is not ours.
 * @throws NotReadyError if the BMC does not tell, or nobody has that name
 */
async function slotOf(session: BmcSession, account: AccountRow, row: BmcRow, signal: AbortSignal): Promise<number> {
  const { userName, slot, channel } = account;
  try {
    const told = slot > 0 ? (await send(session, getUserName, { userId: slot }, signal)).userName : "";
    const found =
      unfilledName(told) === userName
        ? slot
        : await findSlot(session, channel || (row.facts?.channel ?? 0), userName, signal);
    if (found > 0) return found;
  } catch (error) {
    if (!(error instanceof CompletionCodeError) || isBusy(error)) throw error;
    throw new NotReadyError(`BMC ${row.mac} does not tell who has user ID ${slot}: ${error.message}`, { cause: error });
  }
  throw new NotReadyError(
    `BMC ${row.mac} lets "${userName}" in, but no user ID of it has that name: nothing was changed`,
  );
}
