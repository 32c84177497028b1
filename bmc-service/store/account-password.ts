import type { Secret } from "../../ipmi/secret.ts";
import type { AccountRow } from "./store.ts";
import { StoreError } from "./store-error.ts";

/** The password of an account; undefined if what is stored of it is damaged. For who can go on without it. */
export function readablePassword(account: Pick<AccountRow, "password">): Secret | undefined {
  try {
    return account.password;
  } catch (error) {
    if (error instanceof StoreError && error.problem === "damaged secret") return undefined;
    throw error;
  }
}
