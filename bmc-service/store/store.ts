import type { DeviceIdentity } from "../../ipmi/device-identity.ts";
import type { Secret } from "../../ipmi/secret.ts";
import type { BmcFactsOutline } from "../../proto/gen/metalrivet/store/v1/outline.ts";
import type { AccountState, BmcFacts, ChassisState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { InbandProof, NoBmc, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Inventory, Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import type { AuditEntryRow, AuditPage, AuditQuery, NewAuditEntry } from "../audit/audit-log.ts";
import type { NewToken, SessionBinding, TokenLook, TokenRow, TokenUse } from "./enrolment-token.ts";
import type { ForgetBefore, Forgotten } from "./forget.ts";

/** What a machine claims of a BMC that contradicts what was proved. */
export interface Claim {
  readonly machineUuid: string;
  /** Empty if the board tells none. */
  readonly boardSerial: string;
  /** MAC address of the BMC; empty: that there is no BMC. */
  readonly claimedMac: string;
  /** Where the BMC is said to be, with its port unless that is 623; empty if it has no address. */
  readonly claimedAddress: string;
  /** Hexadecimal as on the wire; empty if it tells none. */
  readonly claimedGuid: string;
}

/** A claim that an operator has accepted. It says what may be taken that is not proved, and nothing else may. */
export interface AcceptedClaim extends Claim {
  /** Id of the conflict. */
  readonly conflict: number;
  /** It is another machine's with the same UUID, which gets a row of its own; absent: that of the row's machine, or of whoever claims it. */
  readonly separate?: true;
}

/** How much is in the store. */
export interface Stored {
  /** Whose time is not over. */
  readonly sessions: number;
  readonly machines: number;
  readonly bmcs: number;
}

/** One BMC, or one machine that has none or whose BMC tells no MAC address. */
export interface BmcRow {
  /** MAC of the BMC in lower case with colons, else the key of its machine. */
  readonly key: string;
  /** Empty for a machine without BMC, and for one whose BMC tells nothing in-band. */
  readonly mac: string;
  readonly machineKey: string | undefined;
  readonly machineUuid: string | undefined;
  /** In the order in which they are tried. */
  readonly drivers: readonly string[];
  readonly state: State;
  readonly stateReason: string;
  readonly facts: BmcFacts | undefined;
  /** What an agent has reported of a BMC that is proved, until a remote login has held it; undefined: nothing else than `facts`. */
  readonly reportedFacts: BmcFacts | undefined;
  /** Undefined as soon as the machine that claims is linked. */
  readonly acceptedClaim: AcceptedClaim | undefined;
  /** Where an operator said that it is ("10.0.0.8:623"), until it tells another address itself; empty: nowhere. */
  readonly givenAddress: string;
  /** System GUID read from remote, hexadecimal as on the wire; empty if never read. */
  readonly remoteGuid: string;
  readonly chassis: ChassisState | undefined;
  readonly verifiedAt: Date | undefined;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

/** One machine that has begun an enrolment. */
export interface MachineRow {
  /** The UUID; for a further machine with the same one, the UUID, "/" and what tells it apart. */
  readonly key: string;
  readonly uuid: string;
  readonly machine: Machine;
  readonly inventory: Inventory | undefined;
  readonly agentVersion: string;
  readonly bootId: string;
  /** Common name of the certificate that the agent showed last; empty for one that an earlier release has stored. */
  readonly claimedBy: string;
}

/** One account on a BMC. */
export interface AccountRow {
  readonly id: string;
  readonly bmcKey: string;
  /** Empty for an account that an operator gave. */
  readonly sessionId: string;
  readonly userName: string;
  /**
   * Does not print. Opened when it is asked for, so that one that is damaged spoils nothing else.
   * @throws StoreError "damaged secret"; see readablePassword
   */
  readonly password: Secret;
  /** User ID on the BMC, 1 to 63; 0 if an operator gave the account and the BMC does not tell. */
  readonly slot: number;
  /** LAN channel on which it has access; 0 until the agent confirmed it. */
  readonly channel: number;
  readonly proof: InbandProof;
  /** Name of the operator who gave it: nobody's but the operator's to change. Empty for one that an agent made. */
  readonly givenBy: string;
  readonly passwordForm: PasswordForm;
  /** The kind of BMC when the password was confirmed. */
  readonly kind: BmcKind;
  readonly state: AccountState;
  readonly stateReason: string;
  readonly verifiedAt: Date | undefined;
  readonly createdAt: Date;
}

/** BMCs of one kind take the same passwords. */
export interface BmcKind {
  /** IANA enterprise number; 0: not told. */
  readonly manufacturerId: number;
  readonly productId: number;
  readonly firmwareVersion: string;
}

/** Another row whose machine reports the same SMBIOS UUID. */
export interface Twin {
  readonly key: string;
  /** Empty if it tells none. */
  readonly boardSerial: string;
}

/** A BMC with what belongs to it. */
export interface BmcRecord {
  readonly row: BmcRow;
  readonly machine: MachineRow | undefined;
  /** The account in use: the verified one, else the newest confirmed one, else the newest that is not retired. */
  readonly account: AccountRow | undefined;
  /** Ordered by key. */
  readonly twins: readonly Twin[];
  /** Claims that contradict the row and wait for a decision, newest first. */
  readonly conflicts: readonly ConflictRow[];
}

/** What a list shows of a row: little to read, for there are thousands. */
export interface BmcOutline {
  readonly row: Pick<BmcRow, "key" | "mac" | "machineUuid" | "drivers" | "state" | "stateReason" | "givenAddress"> & {
    readonly facts: BmcFactsOutline | undefined;
  };
  /** `machine` is read when it is asked for; undefined if it has gone since. */
  readonly machine: (Pick<MachineRow, "claimedBy"> & { readonly machine: Machine | undefined }) | undefined;
  readonly twins: BmcRecord["twins"];
  readonly conflicts: BmcRecord["conflicts"];
}

/** One enrolment: from Begin to the end of its token. */
export interface Session {
  readonly id: string;
  /** Which machine it is taken for: by its UUID and board serial number, and by its BMC once that was reported. */
  readonly machineKey: string;
  readonly machineUuid: string;
  readonly bootId: string;
  /** What it has reported; undefined before that, and after that row was deleted. */
  readonly bmcKey: string | undefined;
  /** As its SessionBinding says; undefined for one that an earlier release began. */
  readonly certificate: Uint8Array | undefined;
  readonly keyHash: Uint8Array | undefined;
  /** Identifier of the enrolment token that it was begun with; undefined: without one. */
  readonly tokenId: string | undefined;
  /** Why it is over before its time; empty: it is not. */
  readonly ended: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface NewSession {
  readonly id: string;
  /** SHA-256 of the token: the token itself is never stored. */
  readonly tokenHash: Uint8Array;
  readonly machine: Machine;
  readonly bootId: string;
  readonly agentVersion: string;
  /** Common name of the certificate that the agent shows. */
  readonly claimedBy: string;
  readonly binding: SessionBinding;
  readonly now: Date;
  readonly expiresAt: Date;
}

export interface NewAccount {
  readonly userName: string;
  readonly password: Secret;
  readonly slot: number;
}

/** A new password for an account that works. */
export interface NewPassword {
  /** Of the account as it works now. */
  readonly accountId: string;
  /** User ID on the BMC. */
  readonly slot: number;
  readonly password: Secret;
  readonly passwordForm: PasswordForm;
}

export interface Confirmation {
  readonly slot: number;
  readonly channel: number;
  readonly proof: InbandProof;
  readonly passwordForm: PasswordForm;
}

/** An account that an operator gave. */
export interface GivenAccount {
  readonly userName: string;
  readonly password: Secret;
  /** Where the operator said that the BMC is ("10.0.0.8:623"); undefined: where it says itself. */
  readonly address: string | undefined;
}

/** A LAN channel as found from remote. */
export interface FoundLan {
  /** Number of the channel, 1 to 11. */
  readonly channel: number;
  /** Its MAC address in lower case with colons. */
  readonly mac: string;
}

/** How a hand-off ended, with the accounts that it knew: accounts that came later are left alone. */
export type HandOffOutcome = HandOffSuccess | HandOffFailure;

export interface HandOffSuccess {
  readonly kind: "handed off";
  /** Ids of all accounts that were candidates. */
  readonly considered: readonly string[];
  /** Ids of accounts whose login the BMC refused. */
  readonly refused: readonly string[];
  /**
   * What got in: the name of one account with the password of one, usually the same. A mix is what a crash between
   * Set User Name and Set User Password leaves; it becomes an account of its own.
   */
  readonly nameOf: string;
  readonly passwordOf: string;
  /** User ID of the account, as found from remote; 0 if the BMC does not tell. */
  readonly slot: number;
  /** The channel at the other end of the session. */
  readonly lan: FoundLan;
  /** What an agent had reported, and was found to be so; undefined: what was known before. */
  readonly reported?: BmcFacts | undefined;
  readonly remoteGuid: string;
  readonly chassis: ChassisState | undefined;
  /** Findings on logins that ask for no good password; undefined: the BMC did not tell, those that are known stay. */
  readonly weakLogins?: readonly string[] | undefined;
  /** Undefined: the BMC did not tell, what is known stays. */
  readonly device?: DeviceIdentity | undefined;
  readonly detail: string;
}

export interface HandOffFailure {
  readonly kind: "failed";
  readonly considered: readonly string[];
  readonly refused: readonly string[];
  readonly reason: string;
  /** What only an account that was never proved speaks for. It becomes a conflict. */
  readonly claim?: UnprovedPlace | undefined;
}

/** A BMC that was found where the proved one was not known to be. */
export interface UnprovedPlace extends Pick<Claim, "claimedMac" | "claimedAddress" | "claimedGuid"> {
  /** Of the enrolment that made the account that opens it. */
  readonly sessionId: string;
  readonly text: string;
}

export interface HistoryRow {
  readonly at: Date;
  readonly mac: string;
  readonly machineUuid: string;
  readonly actor: string;
  readonly action: string;
  readonly detail: string;
}

/** A row is as it is now, or gone. */
export interface Change {
  readonly key: string;
  readonly deleted: boolean;
}

/** A claim that contradicts a proved row. It has changed nothing. */
export interface ConflictRow extends Claim {
  readonly id: number;
  /** Of the row that it contradicts; empty for the entry that counts what did not fit. */
  readonly bmcKey: string;
  /** Common name of the certificate that the agent showed. */
  readonly claimedBy: string;
  readonly text: string;
  readonly firstAt: Date;
  readonly lastAt: Date;
  readonly count: number;
  readonly decision: ConflictDecision;
  readonly decidedBy: string;
  readonly decidedAt: Date | undefined;
}

/** What can be decided about a claim. */
export type Decision =
  | typeof ConflictDecision.CONFLICT_DECISION_ACCEPTED
  | typeof ConflictDecision.CONFLICT_DECISION_ACCEPTED_AS_SEPARATE
  | typeof ConflictDecision.CONFLICT_DECISION_DISMISSED;

/** A conflict was decided otherwise, or cannot be decided so. */
export class ConflictDecidedError extends Error {
  override readonly name = "ConflictDecidedError";
  readonly code = "conflict-decided";
}

/** What a report claims contradicts what was proved. The claim is kept as a conflict, and nothing else of it. */
export class ClaimConflictError extends Error {
  override readonly name = "ClaimConflictError";
  readonly code = "claim-conflict";
}

/** A BMC has as many accounts in escrow as are kept. */
export class TooManyAccountsError extends Error {
  override readonly name = "TooManyAccountsError";
  readonly code = "too-many-accounts";
}

/** An operation needs something that is not there (any more): a step was left out, or the row was deleted. */
export class MissingStepError extends Error {
  override readonly name = "MissingStepError";
  readonly code = "missing-step";
}

/** No row has that key. */
export class NoSuchRowError extends Error {
  override readonly name = "NoSuchRowError";
  readonly code = "no-such-row";
}

/** How a run ended early. */
export interface Abort {
  /** Empty: outside of any step. */
  readonly step: string;
  readonly reason: string;
  /** Whether the BMC lets its own machine make no accounts. */
  readonly inbandLocked: boolean;
}

/**
 * What the service remembers. Every method is atomic, and what it has stored is on the disk when it resolves.
 * All reject with StoreError when the store itself fails.
 */
export interface Store extends AsyncDisposable {
  /** Resolves if the store can be read. */
  probe(): Promise<void>;
  /** Tells every change of a row of BMCs after it was stored. Returns how to end that. */
  subscribe(listener: (change: Change) => void): () => void;

  /**
   * Stores the session with what the machine says of itself, and finds out which machine it is taken for (see
   * machines.ts). Spends its enrolment token, and ends the session that the machine has (see begin-session.ts). Sessions
   * whose time is over are forgotten.
   * @returns the key of the machine
   * @throws TokenRefusedError, MachineBusyError, CrowdedError
   */
  beginSession(session: NewSession): Promise<string>;
  /** The session of a token, unless its time is over; it may have `ended` before. */
  session(tokenHash: Uint8Array, now: Date): Promise<Session | undefined>;
  countSessions(now: Date): Promise<number>;
  /** What takes room, with sessions that have ended before their time. */
  countStored(now: Date): Promise<Stored>;
  /** Forgets some of what is older. Nothing is left when it has forgotten none. */
  forget(before: ForgetBefore, now: Date): Promise<Forgotten>;

  createToken(token: NewToken): Promise<void>;
  /**
   * Gives a token back if it is unused and has half of its time left; else revokes it, unless it was used.
   * @param createdBy as the token says; another one's token is left alone
   */
  keepToken(id: string, createdBy: string, now: Date): Promise<TokenRow | undefined>;
  /** What the token with that hash is good for. Cheap: strangers ask. */
  lookAtToken(hash: Uint8Array, use: TokenUse, now: Date): Promise<TokenLook>;
  /**
   * The machine of that session was handed over: the use of a token with which it was begun is over, and what it says of its machine
   * is taken.
   */
  handedOff(session: Session, now: Date): Promise<void>;
  /** Newest first. */
  tokens(): Promise<TokenRow[]>;
  /**
   * Ends a token, and the sessions that it opened.
   * @throws NoSuchTokenError
   */
  revokeToken(id: string, now: Date): Promise<TokenRow>;

  /**
   * Stores what was read from a BMC; its row exists then, and belongs to the session's machine. Without a MAC the row
   * that the machine has stays, or one is made that stands for the machine.
   * Facts without any channel come from a short look at a known BMC: what they leave out stays.
   * @throws ClaimConflictError
   */
  reportBmc(session: Session, facts: BmcFacts, now: Date): Promise<BmcRow>;
  /** @throws ClaimConflictError */
  reportNoBmc(session: Session, noBmc: NoBmc, now: Date): Promise<BmcRow>;
  reportInventory(session: Session, inventory: Inventory, now: Date): Promise<void>;
  /**
   * Stores an account before the BMC hears of it. The same account of the same session is stored once.
   * @returns its id
   * @throws MissingStepError if the session has no BMC; TooManyAccountsError: nothing is stored then
   */
  escrowAccount(session: Session, account: NewAccount, now: Date): Promise<string>;
  /** @throws MissingStepError if there is no such account of the session's BMC */
  confirmAccount(session: Session, accountId: string, confirmation: Confirmation, now: Date): Promise<void>;
  /** Stores how many former accounts the run has yet to close, with the accounts of the BMC that it has put into escrow. */
  setFormerAccounts(session: Session, key: string, count: number): Promise<void>;
  /**
   * Whether the run that made the account in use has former accounts yet to close, and another one is worth it: not if several in
   * a row did not get to the end.
   */
  hasFormerAccounts(key: string): Promise<boolean>;
  /**
   * Stores a new password, as an account of its own, before the BMC hears of it.
   * @returns its id
   * @throws NoSuchRowError if row or account were deleted meanwhile
   */
  escrowRotation(key: string, password: NewPassword, actor: string, now: Date): Promise<string>;
  /** Keys of the rows with a rotation that has neither ended nor failed. */
  interruptedRotations(): Promise<string[]>;
  /** The form of password that the last BMC of that kind took, proved from remote; undefined if none is known. */
  passwordForm(kind: BmcKind): Promise<PasswordForm | undefined>;
  /** Stores how a run ended early. */
  abort(session: Session, abort: Abort, now: Date): Promise<void>;

  /** Stores how a hand-off ended. A row that was deleted meanwhile stays deleted. */
  settleHandOff(key: string, outcome: HandOffOutcome, now: Date): Promise<void>;
  /**
   * Makes an account that an operator gave the one in use; the accounts that were known then are retired. The row of a BMC
   * that tells no MAC address in-band goes by the one that was found from remote.
   * @param proof how it was proved from remote; its ids mean nothing
   * @param considered ids of the accounts that were there when it was proved
   * @returns the key of the row from now on
   * @throws NoSuchRowError, and ClaimConflictError if the BMC that was found belongs to another machine: nothing is stored then
   */
  adoptAccount(
    key: string,
    given: GivenAccount,
    proof: HandOffSuccess,
    considered: readonly string[],
    actor: string,
    now: Date,
  ): Promise<string>;
  /** Stores the chassis state that was read on the way. */
  recordChassis(key: string, chassis: ChassisState): Promise<void>;

  bmc(key: string): Promise<BmcRecord | undefined>;
  /** Whether `bmc` would find one. Cheap: each enrolment asks. */
  knowsBmc(key: string): Promise<boolean>;
  /** @param machineKey as beginSession gives it */
  bmcOfMachine(machineKey: string): Promise<BmcRecord | undefined>;
  /** All rows whose machine reports that UUID, ordered as `bmcs`. */
  bmcsOfUuid(uuid: string): Promise<BmcRecord[]>;
  /** Ordered by MAC; machines without BMC last, by key. */
  bmcs(): Promise<BmcRecord[]>;
  /** The same rows in the same order, with what a list shows of them. */
  bmcOutlines(): Promise<BmcOutline[]>;
  /** How many rows there are of each state. Cheap: Prometheus asks all the time. */
  countByState(): Promise<ReadonlyMap<State, number>>;
  /** Newest first. */
  accounts(key: string): Promise<AccountRow[]>;
  /** Ids of the accounts that enrolments have made which began with an enrolment token for the machine that has the BMC now. */
  vouchedAccounts(key: string): Promise<ReadonlySet<string>>;
  /** @throws NoSuchRowError */
  updateDrivers(key: string, drivers: readonly string[], actor: string, now: Date): Promise<void>;
  /**
   * Forgets a row with its accounts; its history stays.
   * @throws NoSuchRowError
   */
  deleteBmc(key: string, actor: string, now: Date): Promise<void>;

  /** Claims against what was proved, newest first. @param all also those that were decided */
  conflicts(all: boolean): Promise<ConflictRow[]>;
  /**
   * Stores what an operator decides about a claim. Accepted: the row stays as it is until exactly that claim is made again.
   * @throws NoSuchRowError, ConflictDecidedError
   */
  resolveConflict(id: number, decision: Decision, actor: string, now: Date): Promise<ConflictRow>;

  /** Writes an entry behind the last one of the audit log. */
  appendAudit(entry: NewAuditEntry): Promise<AuditEntryRow>;
  /** A page of the audit log, and whether it holds. */
  audit(query: AuditQuery): Promise<AuditPage>;

  addHistory(entry: HistoryRow): Promise<void>;
  /** @param key MAC or UUID of a machine. Newest first. */
  history(key: string, limit: number): Promise<HistoryRow[]>;
}
