import { hasOurShape } from "../../inband/account/credentials.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { nameText, type SimulatedUser, sameBytes } from "../simulator/users.ts";
import type { FakeService } from "./fake-service.ts";

/** What must never be so was so. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What holds at every instant, whatever goes wrong. */
export class Invariants {
  readonly #bmc: SimulatedBmc;
  readonly #service: FakeService;
  /** All user IDs as they were in the beginning. */
  readonly #before: ReadonlyMap<number, string>;
  /** User IDs of others. */
  readonly #foreign: ReadonlySet<number>;
  /** User IDs where an account of ours was that the service has forgotten, and the password that it had. */
  readonly #forgotten = new Map<number, Uint8Array | undefined>();
  #forgets = false;
  /** Whether an account of ours was open that the service cannot use, when the run began. */
  #isExposed = false;
  /** How many accounts of ours were enabled when the run began. */
  #enabledBefore = 0;
  /** The state at the last look: what does not change need not be looked at again. */
  #seen = "";
  /**
   * Whether the service has an account with which it has logged in, or one that took the place of such a one. What no login
   * has proved may be taken back.
   */
  #proved = false;

  constructor(bmc: SimulatedBmc, service: FakeService) {
    this.#bmc = bmc;
    this.#service = service;
    this.#before = new Map(bmc.users.map((user) => [user.id, stateOf(user)]));
    this.#foreign = new Set(bmc.users.flatMap((user) => (nameText(user) === "" ? [] : [user.id])));
  }

  /** User IDs with a name that the service has in escrow. */
  ours(): SimulatedUser[] {
    const names = new Set(this.#service.accounts.map(({ userName }) => userName));
    return this.#bmc.users.filter((user) => names.has(nameText(user)));
  }

  /** Accounts of ours, also those that the service has forgotten, with which somebody could log in. */
  enabledOurs(): number {
    const ours = new Set(this.ours());
    const isOurs = (user: SimulatedUser) =>
      ours.has(user) || (!this.#foreign.has(user.id) && hasOurShape("rivet", nameText(user)));
    return this.#bmc.users.filter((user) => user.enabled && isOurs(user)).length;
  }

  /** An account of ours has come that the service knows nothing of. */
  forgotten(id: number): void {
    this.#forgotten.set(id, this.#bmc.users[id - 1]?.password);
  }

  /**
   * A run begins: at no instant of it there are more accounts of ours open than before and the new one.
   * @param forgets whether the BMC answers writes and forgets them: a password that is not there before the test tells is
   *   nobody's fault
   */
  begin(forgets: boolean): void {
    this.#enabledBefore = this.enabledOurs();
    this.#forgets = forgets;
    this.#isExposed = this.#openOurs() > 0 && !this.#hasWorkingAccount();
  }

  /** What others did to our account is not for the agent to answer for. */
  accept(): void {
    this.#proved = this.#hasWorkingAccount("verified");
    this.#seen = "";
  }

  /** @throws Violation */
  check(when: string): void {
    const verified = this.#service.accounts.filter((each) => each.verified).length;
    const state = `${this.#service.accounts.length} ${verified}\n${this.#bmc.users.map(stateOf).join("\n")}`;
    if (state === this.#seen) return;
    this.#seen = state;
    this.#foreignUntouched(when);
    this.#fewOpen(when);
    this.#passwordsEscrowed(when);
    this.#opens(when);
  }

  #foreignUntouched(when: string): void {
    const slots = new Set(this.#service.accounts.map(({ slot }) => slot));
    for (const user of this.#bmc.users) {
      const mayChange = (slots.has(user.id) || this.#forgotten.has(user.id)) && !this.#foreign.has(user.id);
      if (!mayChange && stateOf(user) !== this.#before.get(user.id)) {
        throw new Violation(`${when}: user ID ${user.id} was changed, which is not ours`);
      }
    }
  }

  #fewOpen(when: string): void {
    const enabled = this.enabledOurs();
    if (enabled > this.#enabledBefore + 1) throw new Violation(`${when}: ${enabled} accounts of ours are enabled`);
  }

  #passwordsEscrowed(when: string): void {
    for (const { id, password } of this.#bmc.users) {
      if (password === undefined || this.#foreign.has(id)) continue;
      if (this.#isForgotten({ id, password })) continue;
      const known = this.#service.accounts.some(
        (each) => each.slot === id && sameBytes(padded(each.password), password),
      );
      if (!known) throw new Violation(`${when}: user ID ${id} has a password that was never in escrow`);
    }
  }

  /** Whether the password is still that of an account which the service has forgotten. */
  #isForgotten({ id, password }: Pick<SimulatedUser, "id" | "password">): boolean {
    const before = this.#forgotten.get(id);
    return before !== undefined && password !== undefined && sameBytes(before, password);
  }

  #opens(when: string): void {
    const works = this.#hasWorkingAccount();
    if (this.#proved && !works) throw new Violation(`${when}: the service had an account, and has none any more`);
    this.#proved ||= this.#hasWorkingAccount("verified");
    if (works) this.#isExposed = false;
    else if (this.#openOurs() > 0 && !this.#forgets && !this.#isExposed) {
      throw new Violation(`${when}: an account of ours is open, and the service cannot use it`);
    }
  }

  /** One that the service has forgotten opened before as well, whatever its name is now. */
  #openOurs(): number {
    return this.ours().filter((user) => user.enabled && user.ipmiMessaging && !this.#isForgotten(user)).length;
  }

  /**
   * Whether a name and a password that the service has are those of a user with rights. The channel may be closed all the
   * same: it is opened last, and a copy that was not stored is gone when the BMC restarts.
   */
  #hasWorkingAccount(which: "any" | "verified" = "any"): boolean {
    const candidates = this.#service.candidates().filter(({ account }) => which === "any" || account.verified);
    return this.#bmc.users.some((user) => {
      const { password, enabled, ipmiMessaging, callbackOnly } = user;
      if (password === undefined || !enabled || !ipmiMessaging || callbackOnly) return false;
      const opens = (each: { userName: string; password: Uint8Array }) =>
        each.userName === nameText(user) && sameBytes(padded(each.password), password);
      return candidates.some(opens);
    });
  }
}

function stateOf(user: SimulatedUser): string {
  const { id, password, passwordBytes, name, enabled, callbackOnly, linkAuthentication, ipmiMessaging } = user;
  const rights = [enabled, callbackOnly, linkAuthentication, ipmiMessaging, user.privilege, user.solAllowed].join();
  const bytes = (data: Uint8Array | undefined) => (data === undefined ? "-" : Buffer.from(data).toString("latin1"));
  return `${id} ${bytes(name)} ${bytes(password)} ${passwordBytes} ${rights}`;
}

function padded(password: Uint8Array): Uint8Array {
  const data = new Uint8Array(20);
  data.set(password);
  return data;
}
