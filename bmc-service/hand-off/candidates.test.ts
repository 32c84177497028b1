import { expect, test } from "vitest";
import { Secret } from "../../ipmi/secret.ts";
import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { InbandProof } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { AccountRow } from "../store/store.ts";
import { candidates, mostCandidates } from "./candidates.ts";

const { ACCOUNT_STATE_CONFIRMED, ACCOUNT_STATE_REFUSED, ACCOUNT_STATE_RETIRED, ACCOUNT_STATE_VERIFIED } = AccountState;

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
