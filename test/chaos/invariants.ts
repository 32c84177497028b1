import { candidates, loginId, refusedByNow } from "../../bmc-service/hand-off/candidates.ts";
import type { AccountRow } from "../../bmc-service/store/store.ts";
import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { nameText, type SimulatedUser, sameBytes } from "../simulator/users.ts";
import type { ServiceDisk } from "./service-disk.ts";

export type ViolationKind = "lost" | "foreign" | "unescrowed" | "duplicate" | "not linked";

/** What must never be so was so. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly kind: ViolationKind;

  constructor(kind: ViolationKind, text: string) {
    super(text);
    this.kind = kind;
  }
}

/** Privilege of an administrator, which is what the service's policy asks for. IPMI 2.0 table 6-1. */
const administrator = 4;

/**
 * What holds at every instant for one BMC and what its service has on the disk:
 * - users of others are as they were, to the byte;
 * - a password is on the BMC only if the service has it, or if it was there before (but for BMCs that change what they are
 *   given);
 * - from the first confirmation on, the service gets in: of the name and password pairs that it would try, in its order and
 *   with its limit for each hand-off, one opens the BMC with the privilege. Before that nothing is lost: what opened the BMC
 *   until then still does, and is not ours. Where the BMC tests no passwords in-band, or changes those that it is given, the
 *   first login from remote counts; the same where it loses a write over a reset although it has tested it.
 */
export class Invariants {
  readonly #bmc: SimulatedBmc;
  readonly #disk: ServiceDisk;
  readonly #mac: string;
  readonly #before: ReadonlyMap<number, string>;
  readonly #foreign: ReadonlySet<number>;
  /** Passwords of accounts of ours that the service does not know, by user ID. */
  readonly #orphans = new Map<number, string>();
  #seen = "";
  /** Accounts that were confirmed before the BMC lost a write. */
  readonly #lost = new Set<string>();
  #confirmed = false;
  /** A login from remote has got in once. */
  #verified = false;
  #mostHandOffs = 0;

  constructor(bmc: SimulatedBmc, disk: ServiceDisk, mac: string) {
    this.#bmc = bmc;
    this.#disk = disk;
    this.#mac = mac;
    this.#before = new Map(bmc.users.map((user) => [user.id, JSON.stringify(user)]));
    this.#foreign = new Set(bmc.users.filter((user) => nameText(user) !== "").map(({ id }) => id));
  }

  /** An account of ours that the service does not know: a run may replace or close it. */
  addOrphan(slot: number): void {
    this.#orphans.set(slot, JSON.stringify(this.#bmc.user(slot).password));
  }

  /**
   * The BMC loses its last write, with which an account may have been confirmed: only a login from remote is what the service
   * gives an older one up for. Until there was one, it need not get in.
   */
  loseWrite(): void {
    const accounts = this.#disk.accounts(this.#mac);
    for (const { id } of accounts.filter(isConfirmed)) this.#lost.add(id);
    this.#confirmed = this.#verified;
  }

  /** How many hand-offs the service would have needed to get in, at the worst instant. */
  get mostHandOffs(): number {
    return this.#mostHandOffs;
  }

  /** @throws Violation */
  check(when: string): void {
    const state = `${this.#disk.version} ${JSON.stringify([this.#bmc.users, this.#bmc.channelAccess])}`;
    if (state === this.#seen) return;
    this.#seen = state;
    const accounts = this.#disk.accounts(this.#mac);
    this.#foreignUntouched(accounts, when);
    const { test, keeps } = this.#bmc.profile.passwords;
    const isSureInBand = test === undefined && keeps === undefined;
    this.#verified ||= accounts.some(isVerified);
    const isProved = (each: AccountRow) => isConfirmed(each) && !this.#lost.has(each.id);
    this.#confirmed ||= this.#verified || (isSureInBand && accounts.some(isProved));
    if (this.#confirmed) this.#mostHandOffs = Math.max(this.#mostHandOffs, this.#handOffsToGetIn(accounts, when));
    if (this.#bmc.profile.passwords.keeps === undefined) this.#passwordsKnown(accounts, when);
  }

  /** What must be so when a run was linked: one account of ours lets somebody in from remote. @throws Violation */
  checkLinked(when: string): void {
    const names = new Set(this.#disk.accounts(this.#mac).map(({ userName }) => userName));
    const open = this.#bmc.users.filter((user) => {
      const isOurs = names.has(nameText(user)) || this.#orphans.has(user.id);
      return isOurs && this.#bmc.remoteUser(nameText(user))?.id === user.id;
    });
    if (open.length !== 1) {
      const which = open.map((user) => `${user.id} "${nameText(user)}"`).join(", ");
      throw new Violation("duplicate", `${when}: ${open.length} accounts of ours are open (${which})`);
    }
  }

  #foreignUntouched(accounts: readonly AccountRow[], when: string): void {
    const slots = new Set(accounts.map(({ slot }) => slot));
    for (const user of this.#bmc.users) {
      const mayChange = this.#orphans.has(user.id) || (slots.has(user.id) && !this.#foreign.has(user.id));
      if (!mayChange && JSON.stringify(user) !== this.#before.get(user.id)) {
        const kind = this.#foreign.has(user.id) ? "foreign" : "unescrowed";
        throw new Violation(kind, `${when}: user ID ${user.id} was changed, and the service knows of no account there`);
      }
    }
  }

  #passwordsKnown(accounts: readonly AccountRow[], when: string): void {
    for (const user of this.#bmc.users) {
      if (user.password === undefined || this.#foreign.has(user.id)) continue;
      if (JSON.stringify(user.password) === this.#orphans.get(user.id)) continue;
      if (!accounts.some((account) => hasPassword(user, account))) {
        throw new Violation("unescrowed", `${when}: user ID ${user.id} has a password that the service does not know`);
      }
    }
  }

  /** @throws Violation if all that the service would ever try is refused */
  #handOffsToGetIn(accounts: readonly AccountRow[], when: string): number {
    let refused: ReadonlySet<string> = new Set();
    const tried = new Set<string>();
    for (let handOffs = 1; ; handOffs += 1) {
      const now = candidates(accounts, refused);
      if (now.some((each) => this.#opens(each))) return handOffs;
      refused = refusedByNow(accounts, refused, now);
      if (now.every((each) => tried.has(loginId(each)))) {
        throw new Violation("lost", `${when}: of ${tried.size} logins that the service would try none opens the BMC`);
      }
      for (const each of now) tried.add(loginId(each));
    }
  }

  #opens({ nameOf, passwordOf }: ReturnType<typeof candidates>[number]): boolean {
    const password = passwordOf.password.reveal();
    const privilege = this.#bmc.login(nameOf.userName, password);
    password.fill(0);
    return privilege === administrator;
  }
}

const isVerified = ({ state }: AccountRow): boolean => state === AccountState.ACCOUNT_STATE_VERIFIED;

const isConfirmed = ({ state }: AccountRow): boolean => state === AccountState.ACCOUNT_STATE_CONFIRMED;

function hasPassword({ password }: SimulatedUser, account: AccountRow): boolean {
  const known = new Uint8Array(20);
  const secret = account.password.reveal();
  known.set(secret);
  secret.fill(0);
  const same = password !== undefined && sameBytes(known, password);
  known.fill(0);
  return same;
}
