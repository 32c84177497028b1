import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { insertAccount } from "./account-life.ts";
import { inheritFormerAccounts } from "./former-accounts.ts";
import { type NewPassword, NoSuchRowError } from "./store.ts";
import type { Tables } from "./tables.ts";

/** See Store.escrowRotation. An account of nobody's session that no operator gave: only a rotation makes those. */
export function escrowRotation(
  tables: Tables,
  key: string,
  { accountId, slot, password, passwordForm }: NewPassword,
  actor: string,
  now: Date,
): string {
  const row = tables.bmc(key);
  const former = tables.accounts(key).find(({ id }) => id === accountId);
  if (row === undefined || former === undefined) {
    throw new NoSuchRowError(`BMC ${key} or its account was deleted meanwhile: nothing was changed on it`);
  }
  const { userName, channel, proof } = former;
  const id = insertAccount(tables, key, { userName, password, slot }, now);
  const { manufacturerId = 0, productId = 0, firmwareVersion = "" } = row.facts ?? {};
  tables.database.run(
    `UPDATE accounts SET channel = ?, proof = ?, password_form = ?, manufacturer_id = ?, product_id = ?, firmware_version = ?
     WHERE id = ?`,
    channel,
    proof,
    passwordForm,
    manufacturerId,
    productId,
    firmwareVersion,
    id,
  );
  inheritFormerAccounts(tables, id, accountId);
  tables.setState(key, State.STATE_ESCROWED, `operator "${actor}" is giving it a new password`, now);
  const { machineUuid = "" } = row;
  const detail = `new password of account "${userName}" in slot ${slot}`;
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor, action: "escrowed", detail });
  return id;
}

/** See Store.interruptedRotations. */
export function interruptedRotations({ database }: Tables): string[] {
  const sql = `SELECT key FROM bmcs WHERE state = ? AND (
      SELECT session_id = '' AND given_by = '' AND state = ? FROM accounts WHERE bmc_key = key ORDER BY sequence DESC LIMIT 1)
    ORDER BY key`;
  return database.all(sql, State.STATE_ESCROWED, AccountState.ACCOUNT_STATE_ESCROWED).map(({ key }) => String(key));
}
