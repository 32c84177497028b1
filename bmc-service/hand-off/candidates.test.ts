import { describe, expect, test } from "vitest";
import { Secret } from "../../ipmi/secret.ts";
import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { InbandProof, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { AccountRow } from "../store/store.ts";
import { candidates, loginId, mostCandidates, refusedByNow } from "./candidates.ts";

const {
  ACCOUNT_STATE_CONFIRMED,
  ACCOUNT_STATE_ESCROWED,
  ACCOUNT_STATE_REFUSED,
  ACCOUNT_STATE_RETIRED,
  ACCOUNT_STATE_VERIFIED,
} = AccountState;

function account(userName: string, state: AccountState, slot = 3): AccountRow {
  return {
    id: userName,
    bmcKey: "52:54:00:b1:00:01",
    sessionId: "s",
    userName,
    password: Secret.fromBytes(Buffer.from(`password of ${userName}`)),
    slot,
    channel: 1,
    proof: InbandProof.INBAND_PROOF_UNSPECIFIED,
    givenBy: "",
    passwordForm: PasswordForm.PASSWORD_FORM_UNSPECIFIED,
    kind: { manufacturerId: 0, productId: 0, firmwareVersion: "" },
    state,
    stateReason: "",
    verifiedAt: undefined,
    createdAt: new Date(0),
  };
}

const shown = (accounts: AccountRow[]) =>
  candidates(accounts).map(({ nameOf, passwordOf }) => `${nameOf.userName}/${passwordOf.userName}`);

test("the newest account is tried first, then the older one, then mixed pairs of one slot", () => {
  const accounts = [account("new", ACCOUNT_STATE_CONFIRMED), account("old", ACCOUNT_STATE_VERIFIED)];
  expect(shown(accounts)).toEqual(["new/new", "old/old", "new/old", "old/new"]);
});

test("accounts in different slots are not mixed, retired ones not tried", () => {
  const accounts = [
    account("new", ACCOUNT_STATE_CONFIRMED, 4),
    account("old", ACCOUNT_STATE_VERIFIED),
    account("gone", ACCOUNT_STATE_RETIRED),
  ];
  expect(shown(accounts)).toEqual(["new/new", "old/old"]);
});

test("what was refused before comes last", () => {
  const accounts = [account("new", ACCOUNT_STATE_REFUSED, 4), account("old", ACCOUNT_STATE_VERIFIED)];
  expect(shown(accounts)).toEqual(["old/old", "new/new"]);
});

test("no BMC is asked often enough to lock us out, and the verified account is always asked for", () => {
  const accounts = [
    ...Array.from({ length: 9 }, (_, i) => account(`new${i}`, ACCOUNT_STATE_CONFIRMED)),
    account("old", ACCOUNT_STATE_VERIFIED),
  ];
  expect(shown(accounts)).toHaveLength(mostCandidates);
  expect(shown(accounts)).toContain("old/old");
  expect(shown(accounts)[0]).toBe("new0/new0");
});

describe("several passwords under one name in one slot", () => {
  const ladder = (states: readonly AccountState[]) =>
    states.map((state, i) => ({
      ...account("rivet", state),
      id: `${i}`,
      password: Secret.fromBytes(Buffer.from(`password ${i}`)),
    }));
  const tried = (accounts: AccountRow[]) =>
    candidates(accounts).map(({ nameOf, passwordOf }) => `${nameOf.id}/${passwordOf.id}`);

  test("the confirmed one is tried first, then the others, the newest first, none twice", () => {
    const [e0, e1, c2, e3] = [
      ACCOUNT_STATE_ESCROWED,
      ACCOUNT_STATE_ESCROWED,
      ACCOUNT_STATE_CONFIRMED,
      ACCOUNT_STATE_ESCROWED,
    ];
    expect(tried(ladder([e0, e1, c2, e3]))).toEqual(["2/2", "0/0", "1/1", "3/3"]);
  });

  test("none confirmed: the newest first, the old account and the interrupted change among them", () => {
    const accounts = [...ladder(Array(8).fill(ACCOUNT_STATE_ESCROWED)), account("old", ACCOUNT_STATE_VERIFIED)];
    expect(tried(accounts)).toEqual(["0/0", "1/1", "old/old", "0/old"]);
  });

  test("what was refused makes room for the rest the next time", () => {
    const r = ACCOUNT_STATE_REFUSED;
    const e = ACCOUNT_STATE_ESCROWED;
    expect(tried(ladder([r, r, r, r, e, e]))).toEqual(["4/4", "5/5", "0/0", "1/1"]);
  });
});

test("an account that an operator gave is not mixed with ours, also in one slot", () => {
  const given = { ...account("ADMIN", ACCOUNT_STATE_VERIFIED), givenBy: "operator" };
  expect(shown([account("new", ACCOUNT_STATE_CONFIRMED), given])).toEqual(["new/new", "ADMIN/ADMIN"]);
});

describe("after runs that died one after the other", () => {
  const accounts = [
    account("new3", ACCOUNT_STATE_ESCROWED),
    account("new2", ACCOUNT_STATE_ESCROWED),
    account("new1", ACCOUNT_STATE_ESCROWED),
    account("old", ACCOUNT_STATE_VERIFIED),
  ];
  const byName = new Map(accounts.map((each) => [each.userName, each]));
  const names = [...byName.keys()];
  /** The newest three passwords may have been written with their name or under an older name's, which is what a lost write leaves. */
  const logins = names.flatMap((name) => names.map((password) => `${name}/${password}`));

  test.each(logins)("%s is found in a few hand-offs, each of them within the limit", (login) => {
    let refused: ReadonlySet<string> = new Set();
    const tried: string[] = [];
    for (let handOff = 1; !tried.includes(login); handOff += 1) {
      expect(handOff).toBeLessThanOrEqual(6);
      const now = candidates(accounts, refused);
      expect(now.length).toBeLessThanOrEqual(mostCandidates);
      tried.push(...now.map(({ nameOf, passwordOf }) => `${nameOf.userName}/${passwordOf.userName}`));
      refused = refusedByNow(accounts, refused, now);
    }
  });

  test("a new name with an old password is found in the first two, also by a service that was restarted in between", () => {
    const [first, ...others] = candidates(accounts);
    const refused = new Set([first, ...others].map((each) => each?.nameOf));
    const now = accounts.map((each) =>
      refused.has(each) && each.state === ACCOUNT_STATE_ESCROWED ? { ...each, state: ACCOUNT_STATE_REFUSED } : each,
    );
    expect(shown(now)).toEqual(expect.arrayContaining(["new3/old", "old/old"]));
    expect(shown(now).filter((each) => each.endsWith("/old"))).toHaveLength(3);
  });

  test("when all was refused it begins anew", () => {
    const one = [account("new", ACCOUNT_STATE_CONFIRMED)];
    expect(refusedByNow(one, new Set(), candidates(one))).toEqual(new Set());
    expect(refusedByNow(accounts, new Set(), candidates(accounts)).size).toBe(mostCandidates);
    expect(candidates(accounts, new Set(candidates(accounts).map(loginId))).map(loginId)).not.toEqual(
      candidates(accounts).map(loginId),
    );
  });
});

test("a machine that died in a hundred runs costs no time", () => {
  const accounts = Array.from({ length: 100 }, (_, i) => account(`new${i}`, ACCOUNT_STATE_ESCROWED));
  const startedAt = performance.now();
  expect(shown(accounts)).toHaveLength(mostCandidates);
  expect(performance.now() - startedAt).toBeLessThan(200);
});
