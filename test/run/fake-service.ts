import type { EnrolmentClient } from "../../agent/world.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type AbortRequest,
  FailureKind,
  GuidComparison,
  PasswordForm,
  type Policy,
  type WatchHandOffResponse,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";

/** An account as the service keeps it. */
export interface StoredAccount {
  readonly id: string;
  readonly userName: string;
  readonly password: Uint8Array;
  readonly slot: number;
  confirmed: boolean;
  verified: boolean;
  /** The operator who gave it. */
  readonly givenBy?: string;
  /** As the agent confirmed it. */
  form?: PasswordForm;
}

/**
 * The BMC service with its store in memory: what it has answered is kept over any number of runs. It serves one machine.
 * Its remote login goes to the simulated BMC, newest account first, then mixed pairs of one slot.
 */
export class FakeService {
  readonly calls: string[] = [];
  readonly accounts: StoredAccount[] = [];
  facts: BmcFacts | undefined;
  /** What was reported last, as it came. */
  reported: BmcFacts | undefined;
  noBmc = false;
  aborted: Omit<AbortRequest, "sessionToken"> | undefined;
  inventories = 0;
  linked = false;
  /** What the newest run has told; undefined: nothing. */
  formerAccounts: number | undefined;
  policy: Policy = {
    userNamePrefix: "rivet",
    privilege: 4,
    verificationRequired: true,
    consoleUserWanted: false,
  };
  /** What it answers to ReportBmc. */
  formHint: PasswordForm = PasswordForm.PASSWORD_FORM_UNSPECIFIED;
  /** Called before and after each call takes effect; may throw. */
  hook: (when: "before" | "after", call: string) => void = () => undefined;
  /** What every login from remote ends with, if not with success. */
  refuse: { kind: FailureKind; reason: string } | undefined;
  readonly #bmc: SimulatedBmc | undefined;
  #hasEscrowed = false;

  constructor(bmc?: SimulatedBmc) {
    this.#bmc = bmc;
  }

  /** Name and password pairs that the service can try, newest first. */
  candidates(): { userName: string; password: Uint8Array; account: StoredAccount }[] {
    const newest = this.accounts.toReversed();
    const own = newest.map((account) => ({ userName: account.userName, password: account.password, account }));
    const mixed = newest.flatMap((name) =>
      newest
        .filter((other) => other !== name && other.slot === name.slot)
        .map((other) => ({ userName: name.userName, password: other.password, account: name })),
    );
    return [...own, ...mixed];
  }

  /** Takes an account that an operator made; it is linked by that. */
  give(userName: string, password: string): void {
    const id = String(this.accounts.length + 1);
    const about = { slot: 0, confirmed: false, verified: true, givenBy: "operator" };
    this.accounts.push({ id, userName, password: Buffer.from(password), ...about });
    this.linked = true;
  }

  /** The account with which the service gets in now. */
  opens(): StoredAccount | undefined {
    return this.candidates().find(({ userName, password }) => this.#bmc?.login(userName, password) === 4)?.account;
  }

  client(): EnrolmentClient {
    const call = async <T>(name: string, effect: () => T): Promise<T> => {
      this.calls.push(name);
      this.hook("before", name);
      const answer = effect();
      this.hook("after", name);
      return answer;
    };
    const refused = (text: string) => new ServiceError("precondition", text);
    return {
      begin: () =>
        call("begin", () => {
          this.#hasEscrowed = false;
          const used = this.accounts.findLast(({ verified }) => verified);
          return {
            sessionToken: "token",
            linkage: this.facts && {
              mac: this.facts.mac,
              channel: this.facts.channel,
              userName: used?.givenBy === undefined ? (used?.userName ?? "") : "",
              slot: used?.givenBy === undefined ? (used?.slot ?? 0) : 0,
              verifiedAt: undefined,
              fresh: this.linked && (this.formerAccounts ?? 0) === 0,
              knownUserNames: this.accounts.filter(({ givenBy }) => !givenBy).map(({ userName }) => userName),
              given: used?.givenBy !== undefined,
            },
            policy: this.policy,
            certificate: Buffer.alloc(0),
            linkageNonce: "rivet-0123abcd",
          };
        }),
      reportBmc: ({ found, formerAccounts }) =>
        call("reportBmc", () => {
          this.formerAccounts = formerAccounts ?? this.formerAccounts;
          if (found?.$case === "bmc") {
            this.reported = found.value;
            const { channels, ipv4Address } = found.value;
            const known = channels.length === 0 ? this.facts : undefined;
            this.facts = known === undefined ? found.value : { ...known, ipv4Address };
          } else this.noBmc = true;
          return { passwordFormHint: this.formHint };
        }),
      reportInventory: () =>
        call("reportInventory", () => {
          this.inventories += 1;
          return {};
        }),
      escrowAccount: ({ userName, password, slot }) =>
        call("escrowAccount", () => {
          if (this.facts === undefined) throw refused("no BMC reported");
          const id = String(this.accounts.length + 1);
          const copy = Uint8Array.from(password);
          this.accounts.push({ id, userName, password: copy, slot, confirmed: false, verified: false });
          this.linked = false;
          if (!this.#hasEscrowed) this.formerAccounts = undefined;
          this.#hasEscrowed = true;
          return { accountId: id };
        }),
      confirmAccount: ({ accountId, passwordForm }) =>
        call("confirmAccount", () => {
          const account = this.accounts.find(({ id }) => id === accountId);
          if (account === undefined) throw refused("no such account");
          account.confirmed = true;
          account.form = passwordForm;
          return {};
        }),
      abort: ({ step, reason, inbandLocked }) =>
        call("abort", () => {
          this.aborted = { step, reason, inbandLocked };
          return {};
        }),
      watchHandOff: () => this.#handOff(),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async *#handOff(): AsyncIterable<WatchHandOffResponse> {
    this.calls.push("watchHandOff");
    this.hook("before", "watchHandOff");
    const at = new Date(0);
    yield { at, event: { $case: "connecting", value: { address: this.facts?.ipv4Address ?? "" } } };
    const found = this.opens();
    if (this.refuse !== undefined || found === undefined) {
      const reason = { kind: FailureKind.FAILURE_KIND_LOGIN_REFUSED, reason: "the BMC refused every known account" };
      this.linked = false;
      yield { at, event: { $case: "failed", value: this.refuse ?? reason } };
      return;
    }
    yield { at, event: { $case: "loggedIn", value: { cipherSuite: 17, userName: found.userName } } };
    yield { at, event: { $case: "macMatches", value: { mac: this.facts?.mac ?? "" } } };
    const result = GuidComparison.GUID_COMPARISON_NOT_COMPARABLE;
    yield { at, event: { $case: "guidCompared", value: { result, guid: "" } } };
    yield { at, event: { $case: "privilegeOk", value: { privilege: 4 } } };
    found.verified = true;
    this.linked = true;
    this.hook("after", "watchHandOff");
    yield { at, event: { $case: "handedOff", value: { driver: "IPMI" } } };
  }
}
