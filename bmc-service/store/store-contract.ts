import { randomBytes, randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../ipmi/secret.ts";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { InbandProof, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Inventory } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { factsOf, mac1, mac2, machineOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import {
  type Change,
  ClaimConflictError,
  type Confirmation,
  type HandOffSuccess,
  MissingStepError,
  NoSuchRowError,
  type Session,
  type Store,
  TooManyAccountsError,
} from "./store.ts";

/** A store under test that can be closed and opened again with what it has stored. */
export interface StoreUnderTest {
  /** Entries of history that it keeps for each BMC. */
  readonly historyKept: number;
  open(): Promise<Store>;
  remove(): Promise<void>;
}

/** What every implementation of Store must do. */
export function storeContract(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of Store`, () => {
    let place: StoreUnderTest;
    let store: Store;
    let clock = 1_700_000_000_000;
    const now = () => {
      clock += 1_000;
      return new Date(clock);
    };

    beforeEach(async () => {
      place = await create();
      store = await place.open();
    });

    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await place.remove();
    });

    async function begin(uuid: string, lifeMs = 60_000): Promise<Session> {
      const tokenHash = randomBytes(32);
      const at = now();
      await store.beginSession({
        id: randomUUID(),
        tokenHash,
        machine: machineOf(uuid),
        bootId: "boot",
        agentVersion: "metal-rivet test",
        claimedBy: "agent",
        binding: {
          certificate: Buffer.alloc(32),
          keyHash: Buffer.alloc(32),
          tokenHash: undefined,
          heardMs: () => 0,
          admitNew: () => undefined,
        },
        now: at,
        expiresAt: new Date(at.getTime() + lifeMs),
      });
      const session = await store.session(tokenHash, at);
      if (session === undefined) throw new Error("the session was not stored");
      sessions.set(session.id, tokenHash);
      return session;
    }
    const sessions = new Map<string, Uint8Array>();
    const tokenHashOf = ({ id }: Session) => {
      const hash = sessions.get(id);
      if (hash === undefined) throw new Error("the test has not begun this session");
      return hash;
    };
    const again = async (session: Session) => {
      const found = await store.session(tokenHashOf(session), new Date(clock));
      if (found === undefined) throw new Error("the session has gone");
      return found;
    };

    async function reported(uuid: string, mac: string): Promise<Session> {
      const session = await begin(uuid);
      await store.reportBmc(session, factsOf(mac), now());
      return again(session);
    }

    const account = (userName: string, password: string, slot = 3) => ({
      userName,
      password: Secret.fromBytes(Buffer.from(password)),
      slot,
    });
    const confirmation: Confirmation = {
      slot: 3,
      channel: 1,
      proof: InbandProof.INBAND_PROOF_PASSWORD_TESTED,
      passwordForm: PasswordForm.PASSWORD_FORM_SIXTEEN,
    };
    const success = (id: string, considered = [id], refused: string[] = []): HandOffSuccess => ({
      kind: "handed off",
      lan: { channel: 1, mac: mac1 },
      considered,
      refused,
      nameOf: id,
      passwordOf: id,
      slot: 3,
      remoteGuid: "00112233445566778899aabbccddeeff",
      chassis: undefined,
      detail: "test",
    });

    async function linked(uuid: string, mac: string): Promise<string> {
      const session = await reported(uuid, mac);
      const id = await store.escrowAccount(session, account("rivetab12", "secret"), now());
      await store.confirmAccount(session, id, confirmation, now());
      await store.settleHandOff(mac, success(id), now());
      return id;
    }

    test("a session lives until its end, and its token is not stored", async () => {
      const session = await begin(uuid1, 5_000);
      const hash = tokenHashOf(session);
      expect(session).toMatchObject({ machineUuid: uuid1, bootId: "boot", bmcKey: undefined });
      expect(await store.countSessions(new Date(clock))).toBe(1);
      expect(await store.session(randomBytes(32), new Date(clock))).toBeUndefined();
      expect(await store.session(hash, new Date(clock + 4_999))).toBeDefined();
      expect(await store.session(hash, new Date(clock + 5_000))).toBeUndefined();
    });

    test("a report makes the row, and the same report changes nothing", async () => {
      const session = await reported(uuid1, mac1);
      const first = await store.bmc(mac1);
      expect(first?.row).toMatchObject({ key: mac1, mac: mac1, machineUuid: uuid1, state: State.STATE_REPORTED });
      expect(first?.machine?.machine).toEqual(machineOf(uuid1));
      await store.reportBmc(session, factsOf(mac1), now());
      expect((await store.bmc(mac1))?.row).toEqual(first?.row);
      await store.reportBmc(session, factsOf(mac1, { firmwareVersion: "9.09" }), now());
      const changed = await store.bmc(mac1);
      expect(changed?.row.changedAt.getTime()).toBeGreaterThan(Number(first?.row.changedAt));
      expect(changed?.row.createdAt).toEqual(first?.row.createdAt);
    });

    test("an inventory that comes before the report is stored with it", async () => {
      const session = await begin(uuid1);
      await store.reportInventory(session, Inventory.fromPartial({ memoryBytes: 512n }), now());
      await store.reportBmc(await again(session), factsOf(mac1), now());
      expect((await store.bmc(mac1))?.machine?.inventory?.memoryBytes).toBe(512n);
      await store.reportBmc(await again(session), factsOf(mac1), now());
      await store.reportInventory(await again(session), Inventory.fromPartial({ memoryBytes: 1024n }), now());
      expect((await store.bmc(mac1))?.machine?.inventory?.memoryBytes).toBe(1024n);
    });

    test("how long the BMC took is kept, and is no news", async () => {
      const session = await reported(uuid1, mac1);
      const commandLatencies = { buckets: [{ upToMs: 0, count: 41 }], longestMs: 12 };
      await store.reportBmc(session, factsOf(mac1, { commandLatencies }), now());
      expect((await store.bmc(mac1))?.row.facts?.commandLatencies).toEqual(commandLatencies);
      expect((await store.history(mac1, 10)).map(({ action }) => action)).toEqual(["reported"]);
    });

    test("an account is stored once, with its password, and only after a report", async () => {
      const early = await begin(uuid1);
      await expect(store.escrowAccount(early, account("rivetab12", "secret"), now())).rejects.toThrow(MissingStepError);
      const session = await reported(uuid1, mac1);
      const id = await store.escrowAccount(session, account("rivetab12", "secret"), now());
      expect(await store.escrowAccount(session, account("rivetab12", "secret"), now())).toBe(id);
      const others = [
        account("rivetab12", "secret2"),
        account("rivetab13", "secret"),
        account("rivetab12", "secret", 4),
      ];
      for (const other of others) expect(await store.escrowAccount(session, other, now())).not.toBe(id);
      const accounts = await store.accounts(mac1);
      expect(accounts.map((each) => Buffer.from(each.password.reveal()).toString())).toEqual([
        "secret",
        "secret",
        "secret2",
        "secret",
      ]);
      expect(accounts.at(-1)).toMatchObject({ id, slot: 3, state: AccountState.ACCOUNT_STATE_ESCROWED, bmcKey: mac1 });
    });

    test("everything is there after closing and opening", async () => {
      const id = await linked(uuid1, mac1);
      const session = await reported(uuid1, mac1);
      await store.reportInventory(session, Inventory.fromPartial({ memoryBytes: 512n }), now());
      await store.handedOff(session, now());
      const before = [await store.bmcs(), await store.accounts(mac1), await store.history(mac1, 10)];
      await store[Symbol.asyncDispose]();
      store = await place.open();
      expect([await store.bmcs(), await store.accounts(mac1), await store.history(mac1, 10)]).toEqual(before);
      const [record] = await store.bmcs();
      expect(record?.account?.id).toBe(id);
      expect(record?.account?.password.equals(account("rivetab12", "secret").password)).toBe(true);
      expect(record?.machine?.inventory?.memoryBytes).toBe(512n);
    });

    test("a confirmation that comes late does not undo what came after it", async () => {
      const session = await reported(uuid1, mac1);
      const id = await store.escrowAccount(session, account("rivetab12", "secret"), now());
      await store.settleHandOff(mac1, success(id), now());
      await store.confirmAccount(session, id, confirmation, now());
      expect((await store.accounts(mac1))[0]?.state).toBe(AccountState.ACCOUNT_STATE_VERIFIED);
      expect((await store.bmc(mac1))?.row.state).toBe(State.STATE_LINKED);
    });

    test("a hand-off leaves alone what it did not know", async () => {
      const old = await linked(uuid1, mac1);
      const session = await reported(uuid1, mac1);
      const newer = await store.escrowAccount(session, account("rivetnew", "secret"), now());
      await store.settleHandOff(mac1, success(old), now());
      expect((await store.bmc(mac1))?.row.state).toBe(State.STATE_LINKED);
      const failed = { kind: "failed", considered: [old], refused: [old], reason: "test" } as const;
      await store.settleHandOff(mac1, failed, now());
      expect((await store.bmc(mac1))?.row.state).toBe(State.STATE_LINKED);
      const states = (await store.accounts(mac1)).map(({ id, state }) => [id, state]);
      expect(states).toEqual([
        [newer, AccountState.ACCOUNT_STATE_ESCROWED],
        [old, AccountState.ACCOUNT_STATE_VERIFIED],
      ]);
      await store.settleHandOff(mac2, success(old), now());
      expect(await store.bmc(mac2)).toBeUndefined();
    });

    test("what is proved is not taken, what is not proved moves", async () => {
      await linked(uuid1, mac1);
      const other = await begin(uuid2);
      await expect(store.reportBmc(other, factsOf(mac1), now())).rejects.toThrow(ClaimConflictError);
      expect((await store.bmc(mac1))?.row).toMatchObject({ machineUuid: uuid1, state: State.STATE_LINKED });
      expect((await store.bmc(mac1))?.conflicts).toMatchObject([{ machineUuid: uuid2, claimedMac: mac1, count: 1 }]);
      await store.reportBmc(other, factsOf(mac2), now());
      const owner = await begin(uuid1);
      await expect(store.reportBmc(owner, factsOf(mac2), now())).rejects.toThrow(ClaimConflictError);
      await expect(store.reportNoBmc(owner, { tried: [] }, now())).rejects.toThrow(ClaimConflictError);
      const third = await begin("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03");
      await store.reportBmc(third, factsOf(mac2), now());
      expect((await store.bmc(mac2))?.row.machineUuid).toBe(third.machineUuid);
      expect(await store.bmcOfMachine(uuid2)).toBeUndefined();
    });

    test("a machine has one row: without BMC, then with one, then with another", async () => {
      const session = await begin(uuid1);
      await store.reportNoBmc(session, { tried: [{ way: "/dev/ipmi0", reason: "no such file" }] }, now());
      expect((await store.bmcOfMachine(uuid1))?.row).toMatchObject({ key: uuid1, mac: "", drivers: ["Unmanaged"] });
      await store.reportBmc(session, factsOf(mac1), now());
      expect(await store.bmc(uuid1)).toBeUndefined();
      await store.reportBmc(session, factsOf(mac2), now());
      expect((await store.bmcOfMachine(uuid1))?.row.key).toBe(mac2);
      expect((await store.bmc(mac1))?.row.machineUuid).toBeUndefined();
      await store.reportNoBmc(session, { tried: [] }, now());
      expect((await store.bmcOfMachine(uuid1))?.row.key).toBe(uuid1);
    });

    test("changes are told after they were stored, conflicts too", async () => {
      const seen: Change[] = [];
      const unsubscribe = store.subscribe((change) => seen.push(change));
      await linked(uuid1, mac1);
      expect(seen.every(({ key, deleted }) => key === mac1 && !deleted)).toBe(true);
      expect(seen.length).toBeGreaterThanOrEqual(4);
      seen.length = 0;
      const other = await begin(uuid2);
      await store.reportBmc(other, factsOf(mac1), now()).catch(() => undefined);
      expect(seen).toEqual([{ key: mac1, deleted: false }]);
      await store.deleteBmc(mac1, "operator", now());
      expect(seen.at(-1)).toEqual({ key: mac1, deleted: true });
      unsubscribe();
      await store.reportNoBmc(other, { tried: [] }, now());
      expect(seen).toHaveLength(2);
    });

    test("rows are counted by state", async () => {
      expect(await store.countByState()).toEqual(new Map());
      await linked(uuid1, mac1);
      await reported(uuid2, mac2);
      const counts = new Map([
        [State.STATE_LINKED, 1],
        [State.STATE_REPORTED, 1],
      ]);
      expect(await store.countByState()).toEqual(counts);
    });

    test("a deleted row takes its accounts with it and leaves its history", async () => {
      await linked(uuid1, mac1);
      await store.deleteBmc(mac1, "operator", now());
      expect(await store.bmc(mac1)).toBeUndefined();
      expect(await store.accounts(mac1)).toEqual([]);
      expect((await store.history(mac1, 10))[0]).toMatchObject({ action: "deleted", actor: "operator" });
      await expect(store.deleteBmc(mac1, "operator", now())).rejects.toThrow(NoSuchRowError);
      await expect(store.updateDrivers(mac1, ["IPMI"], "operator", now())).rejects.toThrow(NoSuchRowError);
    });

    /** Runs that put accounts into escrow and get no further. */
    async function escrowed(mac: string, runs: number, accountsEach: number): Promise<void> {
      for (let run = 0; run < runs; run += 1) {
        const session = await reported(uuid1, mac);
        for (let i = 0; i < accountsEach; i += 1) {
          await store.escrowAccount(session, account("rivetloop", `secret${run}-${i}`), now());
        }
      }
    }

    test("what no login has tried is not pushed out of an unproved BMC either, by whoever has it confirmed later", async () => {
      const session = await reported(uuid1, mac1);
      const id = await store.escrowAccount(session, account("rivetab12", "secret"), now());
      await escrowed(mac1, 4, 30);
      const later = await reported(uuid1, mac1);
      const newest = await store.escrowAccount(later, account("rivetevil", "secret"), now());
      await store.confirmAccount(later, newest, confirmation, now());
      const kept = await store.accounts(mac1);
      expect(kept).toHaveLength(122);
      expect(kept.at(-1)).toMatchObject({ id, state: AccountState.ACCOUNT_STATE_ESCROWED });
    });

    test("accounts that an unproved BMC has refused do not grow without end", async () => {
      await escrowed(mac1, 4, 30);
      const refused = (await store.accounts(mac1)).map(({ id }) => id);
      await store.settleHandOff(mac1, { kind: "failed", considered: refused, refused, reason: "test" }, now());
      await escrowed(mac1, 1, 2);
      const kept = await store.accounts(mac1);
      expect(kept).toHaveLength(102);
      expect(Buffer.from(kept[0]?.password.reveal() ?? []).toString()).toBe("secret0-1");
    });

    describe("of a proved BMC", () => {
      test("an account that may be live stays, however many come after it, and goes when a login has settled it", async () => {
        const verified = await linked(uuid1, mac1);
        const session = await reported(uuid1, mac1);
        const live = await store.escrowAccount(session, account("rivetlive", "secret"), now());
        await escrowed(mac1, 5, 30);
        const considered = (await store.accounts(mac1)).map(({ id }) => id);
        expect(considered).toHaveLength(152);
        expect(considered.slice(-2)).toEqual([live, verified]);
        expect((await store.bmc(mac1))?.account?.id).toBe(verified);
        await store.settleHandOff(mac1, success(verified, considered), now());
        await store.escrowAccount(await reported(uuid1, mac1), account("rivetnew", "secret"), now());
        // The new one, a hundred of those that were settled, and the one in use.
        const kept = await store.accounts(mac1);
        expect(kept).toHaveLength(102);
        expect(kept.at(-1)).toMatchObject({ id: verified, state: AccountState.ACCOUNT_STATE_VERIFIED });
      });
    });

    test("one enrolment puts so many accounts into escrow, and no more", async () => {
      const session = await reported(uuid1, mac1);
      for (let i = 0; i < 32; i += 1) await store.escrowAccount(session, account("rivetloop", `secret${i}`), now());
      const more = store.escrowAccount(session, account("rivetloop", "secret32"), now());
      await expect(more).rejects.toThrow(TooManyAccountsError);
      await store.escrowAccount(session, account("rivetloop", "secret31"), now());
    });

    describe("the form of a password", () => {
      const kind = { manufacturerId: 10876, productId: 2404, firmwareVersion: "1.74" };
      const form = PasswordForm.PASSWORD_FORM_TWENTY;

      async function confirmed(session: Session, facts = factsOf(mac1, kind), passwordForm: PasswordForm = form) {
        await store.reportBmc(session, facts, now());
        const id = await store.escrowAccount(await again(session), account("rivetab12", `secret${clock}`), now());
        await store.confirmAccount(await again(session), id, { ...confirmation, passwordForm }, now());
        return id;
      }

      test("is known of a kind once it was proved from remote, also after the row was deleted", async () => {
        const id = await confirmed(await begin(uuid1));
        expect(await store.passwordForm(kind)).toBeUndefined();
        const failed = { kind: "failed", considered: [id], refused: [id], reason: "test" } as const;
        await store.settleHandOff(mac1, failed, now());
        expect(await store.passwordForm(kind)).toBeUndefined();
        await store.settleHandOff(mac1, success(id), now());
        expect(await store.passwordForm(kind)).toBe(form);
        await store.deleteBmc(mac1, "operator", now());
        await store[Symbol.asyncDispose]();
        store = await place.open();
        expect(await store.passwordForm(kind)).toBe(form);
        for (const other of [{ manufacturerId: 1 }, { productId: 1 }, { firmwareVersion: "1.75" }]) {
          expect(await store.passwordForm({ ...kind, ...other })).toBeUndefined();
        }
      });

      test("is that of the firmware that took it, and of the BMC that was proved last", async () => {
        const session = await begin(uuid1);
        const id = await confirmed(session);
        await store.settleHandOff(mac1, success(id), now());
        await store.reportBmc(session, factsOf(mac1, { ...kind, firmwareVersion: "1.75" }), now());
        await store.settleHandOff(mac1, success(id), now());
        expect(await store.passwordForm({ ...kind, firmwareVersion: "1.75" })).toBeUndefined();
        const other = await begin(uuid2);
        const later = await confirmed(other, factsOf(mac2, kind), PasswordForm.PASSWORD_FORM_OTHER_SPECIALS);
        await store.settleHandOff(mac2, success(later), now());
        expect(await store.passwordForm(kind)).toBe(PasswordForm.PASSWORD_FORM_OTHER_SPECIALS);
      });

      test("is not kept if it was not told, or of a BMC that does not tell its kind", async () => {
        const unknown = { manufacturerId: 0, productId: 0, firmwareVersion: "" };
        const id = await confirmed(await begin(uuid1), factsOf(mac1, unknown));
        await store.settleHandOff(mac1, success(id), now());
        expect(await store.passwordForm(unknown)).toBeUndefined();
        const untold = await confirmed(await begin(uuid2), factsOf(mac2, kind), PasswordForm.PASSWORD_FORM_UNSPECIFIED);
        await store.settleHandOff(mac2, success(untold), now());
        expect(await store.passwordForm(kind)).toBeUndefined();
      });
    });

    describe("an account that an operator gave", () => {
      const given = (userName: string, password: string) => {
        const { password: secret } = account(userName, password);
        return { userName, password: secret, address: undefined };
      };
      const adopt = (mac: string, userName: string, password: string, considered: string[]) =>
        store.adoptAccount(mac, given(userName, password), { ...success(""), slot: 2 }, considered, "operator", now());
      const states = async () => (await store.accounts(mac1)).map(({ userName, state }) => [userName, state]);

      test("is the one in use, and the others that were known are retired", async () => {
        const session = await reported(uuid1, mac1);
        const old = await store.escrowAccount(session, account("rivetab12", "secret"), now());
        const newer = await store.escrowAccount(session, account("rivetnew", "secret"), now());
        await adopt(mac1, "ADMIN", "secret", [old, newer]);
        expect(await states()).toEqual([
          ["ADMIN", AccountState.ACCOUNT_STATE_VERIFIED],
          ["rivetnew", AccountState.ACCOUNT_STATE_RETIRED],
          ["rivetab12", AccountState.ACCOUNT_STATE_RETIRED],
        ]);
        const record = await store.bmc(mac1);
        expect(record?.account).toMatchObject({
          userName: "ADMIN",
          givenBy: "operator",
          stateReason: 'given by operator "operator"',
          slot: 2,
          channel: 1,
        });
        expect(record?.row).toMatchObject({ state: State.STATE_LINKED, stateReason: "" });
        expect((await store.history(mac1, 1))[0]).toMatchObject({ actor: "operator", action: "account given" });
      });

      test("leaves alone what came while it was proved", async () => {
        const session = await reported(uuid1, mac1);
        await store.escrowAccount(session, account("rivetnew", "secret"), now());
        await adopt(mac1, "ADMIN", "secret", []);
        expect(await states()).toContainEqual(["rivetnew", AccountState.ACCOUNT_STATE_ESCROWED]);
        expect((await store.bmc(mac1))?.row.state).toBe(State.STATE_ESCROWED);
      });

      test("that is known already is the same account, proved again", async () => {
        const id = await linked(uuid1, mac1);
        await adopt(mac1, "rivetab12", "secret", [id]);
        expect(await store.accounts(mac1)).toMatchObject([{ id, givenBy: "", slot: 3 }]);
        await adopt(mac1, "ADMIN", "secret", [id]);
        await adopt(mac1, "ADMIN", "secret", [id]);
        expect(await store.accounts(mac1)).toHaveLength(2);
        await expect(adopt(mac2, "ADMIN", "x", [])).rejects.toThrow(NoSuchRowError);
      });
    });

    describe("former accounts that a run has yet to close", () => {
      /** A run that makes an account of its own and says that it has one to close. */
      async function run(userName: string) {
        const session = await reported(uuid1, mac1);
        const id = await store.escrowAccount(session, account(userName, "secret"), now());
        await store.setFormerAccounts(session, mac1, 1);
        return { session, id };
      }
      const verified = async (id: string) =>
        store.settleHandOff(
          mac1,
          success(
            id,
            (await store.accounts(mac1)).map((each) => each.id),
          ),
          now(),
        );

      test("count once its account is in use, until it has closed them or another run is through", async () => {
        const first = await run("rivet01");
        expect(await store.hasFormerAccounts(mac1)).toBe(false);
        await verified(first.id);
        expect(await store.hasFormerAccounts(mac1)).toBe(true);
        await store.setFormerAccounts(first.session, mac1, 0);
        expect(await store.hasFormerAccounts(mac1)).toBe(false);
        await verified((await run("rivet02")).id);
        expect(await store.hasFormerAccounts(mac1)).toBe(true);
        const last = await reported(uuid1, mac1);
        await verified(await store.escrowAccount(last, account("rivet03", "secret"), now()));
        expect(await store.hasFormerAccounts(mac1)).toBe(false);
      });

      test("stay so with a further password of the run, and with one that an operator asks for", async () => {
        const { session } = await run("rivet01");
        const accountId = await store.escrowAccount(session, account("rivet01", "second"), now());
        await verified(accountId);
        expect(await store.hasFormerAccounts(mac1)).toBe(true);
        const fresh = { ...account("rivet01", "third"), accountId, passwordForm: confirmation.passwordForm };
        await verified(await store.escrowRotation(mac1, fresh, "operator", now()));
        expect(await store.hasFormerAccounts(mac1)).toBe(true);
      });

      test("stay so whatever a session says that has made no account that works", async () => {
        await verified((await run("rivet01")).id);
        const stranger = await run("rivet02");
        await store.setFormerAccounts(stranger.session, mac1, 0);
        expect(await store.hasFormerAccounts(mac1)).toBe(true);
        await linked(uuid2, mac2);
        await store.setFormerAccounts(stranger.session, mac2, 5);
        expect(await store.hasFormerAccounts(mac2)).toBe(false);
      });

      test("are given up after three runs that did not get to the end", async () => {
        const owed: boolean[] = [];
        for (const userName of ["rivet01", "rivet02", "rivet03"]) {
          await verified((await run(userName)).id);
          owed.push(await store.hasFormerAccounts(mac1));
        }
        expect(owed).toEqual([true, true, false]);
      });
    });

    test("history does not grow without end", async () => {
      for (let i = 0; i < place.historyKept + 10; i += 1) {
        const entry = { at: now(), mac: mac1, machineUuid: uuid1, actor: "agent", action: `${i}`, detail: "" };
        await store.addHistory(entry);
      }
      const kept = await store.history(mac1, 5_000);
      expect(kept).toHaveLength(place.historyKept);
      expect(kept[0]?.action).toBe(`${place.historyKept + 9}`);
    });
  });
}
