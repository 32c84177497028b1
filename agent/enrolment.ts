import { choosePlace } from "../inband/account/choose-place.ts";
import { generateUserName, PolicyError } from "../inband/account/credentials.ts";
import { InbandLockedError } from "../inband/account/inband-locked.ts";
import type { PlaceOptions } from "../inband/account/plan-account.ts";
import type { InbandProof as Proof } from "../inband/account/prove-account.ts";
import type { Conversation } from "../inband/conversation.ts";
import type { TriedWay } from "../inband/openipmi/open-bmc.ts";
import type { KnownBmc } from "../inband/recognise-bmc.ts";
import { isBogusUuid, uuidForms } from "../ipmi/guid.ts";
import type { BmcFacts } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type BeginResponse,
  InbandProof,
  type Linkage,
  PasswordForm,
  type Policy,
} from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Machine } from "../proto/gen/metalstack/bmc/v1/machine.ts";
import { EscrowedAccount, type EscrowOptions } from "./escrowed-account.ts";
import { followHandOff } from "./hand-off-events.ts";
import { HiddenBmcError } from "./open-bmc-beside.ts";
import { formFromProto, formToProto } from "./password-form-to-proto.ts";
import { StepError } from "./step.ts";
import type { EnrolmentClient, World } from "./world.ts";

const none = Buffer.alloc(0);

/**
 * Tells the service that the machine is here.
 * @throws ServiceError, PolicyError
 */
export async function begin(world: World, machine: Machine, signal: AbortSignal): Promise<Enrolment> {
  const bootId = await world.readBootId(signal);
  const client = await world.connectService(signal);
  try {
    const { agentVersion } = world.settings;
    return new Enrolment(
      world,
      client,
      await client.begin({ machine, bootId, agentVersion, enrolmentToken: none, certificateRequest: none }, signal),
    );
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

/** One enrolment at the service: its calls, and what is to be remembered between them. */
export class Enrolment implements AsyncDisposable {
  readonly #world: World;
  readonly #client: EnrolmentClient;
  readonly #sessionToken: string;
  readonly #linkage: Linkage | undefined;
  readonly #policy: Policy;
  readonly #nonce: string;
  #facts: BmcFacts | undefined;
  /** Whether there are findings in the facts that the service does not know. */
  #hasNews = false;
  #formHint: PasswordForm = PasswordForm.PASSWORD_FORM_UNSPECIFIED;

  /** @throws PolicyError if the service asks for what cannot be made */
  constructor(world: World, client: EnrolmentClient, { sessionToken, linkage, policy, linkageNonce }: BeginResponse) {
    if (policy === undefined) throw new PolicyError("the service sent no policy: is it of the same version?");
    if (policy.privilege < 2 || policy.privilege > 5) {
      throw new PolicyError(`the service's policy asks for privilege ${policy.privilege}; 2 to 5 can be given`);
    }
    this.#world = world;
    this.#client = client;
    this.#sessionToken = sessionToken;
    this.#linkage = linkage;
    this.#policy = policy;
    this.#nonce = linkageNonce;
  }

  /** Whether the run succeeds only after the remote login did. */
  get verificationRequired(): boolean {
    return this.#policy.verificationRequired;
  }

  /**
   * The BMC of a linkage that was verified a short while ago, or that an operator made, however long ago: while the service gets
   * in with the operator's account there is nothing to do for an agent.
   */
  get knownBmc(): KnownBmc | undefined {
    const linkage = this.#linkage;
    if (linkage === undefined || linkage.mac === "") return undefined;
    const { mac, channel, userName, slot, fresh, given } = linkage;
    if (given) return { mac, channel, userName: "", slot: 0 };
    // Where nobody logs in from remote, its rights are looked at as far as the BMC tells them in-band.
    const rights = this.postponed === undefined ? {} : { privilege: this.#policy.privilege };
    return fresh && userName !== "" && slot !== 0 ? { mac, channel, userName, slot, ...rights } : undefined;
  }

  /** What to write to the BMC, for the service to read; "" if nothing, or if its GUID does the same. */
  get wantedNonce(): string {
    return needsNonce(this.#facts?.guid ?? "") ? this.#nonce : "";
  }

  /** Why nobody logs in from remote at the end of this run; undefined: the service does. */
  get postponed(): string | undefined {
    return this.#client.postponed;
  }

  /** MAC address of the reported BMC. */
  get mac(): string {
    return this.#facts?.mac ?? "";
  }

  /** @param formerAccounts how many accounts of ours this run has yet to close; left out: as it was */
  async reportBmc(facts: BmcFacts, signal: AbortSignal, formerAccounts?: number): Promise<void> {
    this.#facts = facts;
    const found = { $case: "bmc" as const, value: facts };
    const request = { sessionToken: this.#sessionToken, found, formerAccounts };
    this.#formHint = (await this.#client.reportBmc(request, signal)).passwordFormHint;
    this.#hasNews = false;
  }

  /** Tells findings that came after the report, and keeps them for `reportFindings`. */
  addFindings(findings: readonly string[]): void {
    for (const finding of findings) this.#world.note(finding);
    if (this.#facts === undefined || findings.length === 0) return;
    this.#facts = { ...this.#facts, findings: [...this.#facts.findings, ...findings] };
    this.#hasNews = true;
  }

  /** Reports the BMC again, if findings were added. */
  async reportFindings(signal: AbortSignal): Promise<void> {
    if (!this.#hasNews || this.#facts === undefined) return;
    await this.reportBmc(this.#facts, signal);
  }

  /** Reports the BMC again, with the findings that were added and how many accounts of ours this run has yet to close. */
  async reportFormerAccounts(count: number, signal: AbortSignal): Promise<void> {
    if (this.#facts !== undefined) await this.reportBmc(this.#facts, signal, count);
  }

  async reportNoBmc(tried: readonly TriedWay[], signal: AbortSignal): Promise<void> {
    const found = { $case: "noBmc" as const, value: { tried: tried.map((each) => ({ ...each })) } };
    await this.#client.reportBmc({ sessionToken: this.#sessionToken, found }, signal);
  }

  /**
   * Chooses the slot from a complete scan, makes a name and a password, and has the service store them: only then may
   * the BMC hear of them. The same holds for every further password that the BMC makes necessary.
   * @throws NoFreeSlotError, FormerAccountUnreadableError, InbandLockedError, PolicyError, ServiceError
   */
  async escrow(conversation: Conversation): Promise<EscrowedAccount> {
    const { mac = "", channel = 0 } = this.#facts ?? {};
    const { randomBelow, note, settings } = this.#world;
    const place = await choosePlace(conversation, channel, { ...this.#former(mac), userSlot: settings.userSlot });
    const lookedAt = conversation.clock.now();
    this.addFindings(place.findings);
    const { slot, replaces, otherSlots, former } = place;
    const { userNamePrefix, privilege } = this.#policy;
    const userName = generateUserName(userNamePrefix, randomBelow, place.takenNames);
    const wanted = { channel, slot, userName, privilege, ...(replaces === undefined ? {} : { replaces }) };
    const store: EscrowOptions["store"] = async ({ userName, slot }, password, signal) => {
      const request = { sessionToken: this.#sessionToken, mac, userName, password, slot };
      return (await this.#client.escrowAccount(request, signal)).accountId;
    };
    const escrowOptions = {
      firstForm: formFromProto(this.#formHint),
      otherSlots,
      former,
      lookedAt,
      randomBelow,
      note,
      store,
    };
    return await EscrowedAccount.make(wanted, escrowOptions, conversation.signal);
  }

  /**
   * What the service knows of accounts of ours. Names that were made for a BMC with another MAC are ours too: a BMC with
   * several LAN channels may have told the other one the last time. Without a service, a name of our shape may be that of the
   * account which the service uses, and whose loss nobody could tell it: only those are ours then that the stick knows.
   */
  #former(mac: string): Omit<PlaceOptions, "userSlot"> {
    const linkage = this.#linkage;
    const shape = this.postponed === undefined ? { namePrefix: this.#policy.userNamePrefix } : {};
    if (linkage === undefined) return { ourNames: [], ourSlot: "not expected", ...shape };
    const ourNames = [...linkage.knownUserNames, linkage.userName].filter((name) => name !== "");
    // The account that an operator gave is not named, and may have been one of ours once.
    const known = linkage.given ? { ourNames } : { ourNames, ...shape };
    if (ourNames.length === 0 || linkage.mac !== mac) return { ...known, ourSlot: "not expected" };
    return { ...known, ourSlot: linkage.slot === 0 ? "unknown" : linkage.slot };
  }

  async confirm(
    { accountId, wanted, current }: EscrowedAccount,
    proof: Proof,
    nonceWritten: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { slot, channel } = wanted;
    const request = {
      sessionToken: this.#sessionToken,
      accountId,
      slot,
      channel,
      proof: proofToProto(proof),
      passwordForm: formToProto(current.form),
      nonceWritten,
    };
    await this.#client.confirmAccount(request, signal);
  }

  /**
   * Has the service log in from remote and follows that to its end.
   * @returns the driver with which the service controls the BMC
   * @throws HandOffFailedError, HandOffCutError, ServiceError
   */
  async handOff(signal: AbortSignal): Promise<string> {
    const events = this.#client.watchHandOff({ sessionToken: this.#sessionToken }, signal);
    try {
      const { driver, userName } = await followHandOff(events, this.#world.note);
      this.loggedInAs = userName;
      return driver;
    } finally {
      await this.takeBackNonce(signal);
    }
  }

  /**
   * Gathers the inventory and reports it. Never fails: a machine without inventory is still linked.
   * @param runLimit aborted when the time for the whole run is over
   */
  async reportInventory(runLimit: AbortSignal | undefined): Promise<void> {
    const report = async (signal: AbortSignal) => {
      const inventory = await this.#world.gatherInventory(signal);
      await this.#client.reportInventory({ sessionToken: this.#sessionToken, inventory }, signal);
    };
    await this.#tryFor(this.#world.settings.limits.inventoryMs, "The inventory was not reported", report, runLimit);
  }

  /** Name of the account with which the service has logged in at the hand-off; empty before that, and if it does not tell. */
  loggedInAs = "";

  /** Once the service has read the nonce, or nobody will. Never rejects. */
  takeBackNonce: (signal: AbortSignal) => Promise<void> = async () => undefined;

  /** Takes back, when the run has ended in vain, what it made: see `takeBack`. */
  undo: (ended: unknown, runLimit: AbortSignal | undefined) => Promise<string | undefined> = async () => undefined;

  /** The service has told why it could not take control; it is told what became of the account, if that was taken back. */
  async endInVain(ended: { readonly reason: string }, runLimit: AbortSignal | undefined): Promise<void> {
    const takenBack = await this.undo(ended, runLimit);
    if (takenBack !== undefined) await this.#tellEnd("hand-off", withSentence(ended.reason, takenBack), false);
  }

  /** Tells the service that the run ended early, as far as that works; what can be taken back is. */
  async abort(error: unknown, runLimit: AbortSignal | undefined): Promise<void> {
    const step = error instanceof StepError ? error.step : "";
    const cause = error instanceof StepError ? error.cause : error;
    const takenBack = await this.undo(error, runLimit);
    const reason = withSentence(messageOf(cause), takenBack);
    await this.#tellEnd(step, reason, cause instanceof InbandLockedError || cause instanceof HiddenBmcError);
  }

  async #tellEnd(step: string, reason: string, inbandLocked: boolean): Promise<void> {
    const failure = "The service could not be told that the run ended";
    await this.#tryFor(this.#world.settings.limits.abortMs, failure, (signal) =>
      this.#client.abort({ sessionToken: this.#sessionToken, step, reason, inbandLocked }, signal),
    );
  }

  /** Runs `work`, but neither longer than the limit or `outer`, even if it does not heed its signal, nor to a failure. */
  async #tryFor(
    limitMs: number,
    failure: string,
    work: (signal: AbortSignal) => Promise<unknown>,
    outer?: AbortSignal,
  ): Promise<void> {
    const { clock, note } = this.#world;
    const limit = new AbortController();
    const over = new AbortController();
    const waiting = outer === undefined ? over.signal : AbortSignal.any([over.signal, outer]);
    const tooLate = clock
      .sleep(limitMs, waiting)
      .then(() => Promise.reject(new Error(`not done within ${limitMs / 1000} s`)))
      .catch((error: unknown) => {
        limit.abort(error);
        throw error;
      });
    tooLate.catch(() => undefined);
    const working = work(limit.signal);
    working.catch(() => undefined);
    try {
      await Promise.race([working, tooLate]);
    } catch (error) {
      note(`${failure}: ${messageOf(error)}`);
    } finally {
      over.abort();
    }
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#client[Symbol.asyncDispose]();
  }
}

function proofToProto(proof: Proof): InbandProof {
  switch (proof) {
    case "password tested":
      return InbandProof.INBAND_PROOF_PASSWORD_TESTED;
    case "read back only":
      return InbandProof.INBAND_PROOF_READ_BACK_ONLY;
    default:
      return proof satisfies never;
  }
}

function withSentence(text: string, sentence: string | undefined): string {
  return sentence === undefined ? text : `${text.replace(/\.?$/, ".")} ${sentence}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A GUID that is the BMC's own shows from both sides which BMC it is; then no nonce is needed. */
function needsNonce(guid: string): boolean {
  return guid === "" || isBogusUuid(uuidForms(Buffer.from(guid, "hex")).rfc4122);
}
