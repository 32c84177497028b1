import type { Database } from "./database.ts";
import { type NewToken, NoSuchTokenError, TokenRefusedError, type TokenRow } from "./enrolment-token.ts";
import { tokenRow } from "./rows.ts";
import type { NewSession } from "./store.ts";

/** How long a token that is over is still listed, ms. */
const listedMs = 30 * 86_400_000;

/** Stores a token; those that were over long ago are forgotten. */
export function createToken(database: Database, token: NewToken): void {
  const since = token.createdAt.getTime() - listedMs;
  database.run("DELETE FROM tokens WHERE expires_at < ? OR revoked_at < ?", since, since);
  database.run(
    `INSERT INTO tokens (id, hash, machine_uuid, created_at, expires_at, uses, used, created_by)
     VALUES (?, ?, ?, ?, ?, ?, 0, ?)`,
    token.id,
    token.hash,
    token.machineUuid,
    token.createdAt.getTime(),
    token.expiresAt.getTime(),
    token.uses,
    token.createdBy,
  );
}

/** The token, if it is unused and has half of its time left. Else it is revoked, unless it was used: its enrolment goes on. */
export function keepToken(database: Database, id: string, createdBy: string, now: Date): TokenRow | undefined {
  const found = database.get("SELECT * FROM tokens WHERE id = ? AND created_by = ?", id, createdBy);
  if (found === undefined) return undefined;
  const token = tokenRow(found);
  if (token.used > 0 || token.revokedAt !== undefined) return undefined;
  const halfMs = (token.expiresAt.getTime() - token.createdAt.getTime()) / 2;
  if (token.expiresAt.getTime() - now.getTime() >= halfMs) return token;
  database.run("UPDATE tokens SET revoked_at = ? WHERE id = ?", now.getTime(), id);
  return undefined;
}

/** Newest first. */
export function listTokens(database: Database): TokenRow[] {
  return database.all("SELECT * FROM tokens ORDER BY created_at DESC, id").map(tokenRow);
}

/** @throws NoSuchTokenError */
export function revokeToken(database: Database, id: string, now: Date): TokenRow {
  database.run("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", now.getTime(), id);
  const found = database.get("SELECT * FROM tokens WHERE id = ?", id);
  if (found === undefined) throw new NoSuchTokenError(`there is no token ${id}`);
  database.run("UPDATE sessions SET ended = 'its enrolment token was revoked' WHERE token_id = ? AND ended = ''", id);
  return tokenRow(found);
}

/**
 * Takes one use of a token for a session, unless the session repeats one that took it: the answer to it was lost.
 * @throws TokenRefusedError
 */
export function spendToken(database: Database, tokenHash: Uint8Array, session: NewSession): TokenRow {
  const { machine, bootId, binding, now } = session;
  const found = database.get("SELECT * FROM tokens WHERE hash = ?", tokenHash);
  if (found === undefined) throw new TokenRefusedError("unknown");
  const token = tokenRow(found);
  if (token.revokedAt !== undefined) throw new TokenRefusedError("revoked");
  if (token.machineUuid !== "" && token.machineUuid !== machine.uuid) throw new TokenRefusedError("another machine's");
  const repeated = database.get(
    "SELECT 1 FROM sessions WHERE token_id = ? AND machine_uuid = ? AND boot_id = ? AND key_hash = ?",
    token.id,
    machine.uuid,
    bootId,
    binding.keyHash,
  );
  if (repeated !== undefined) return token;
  if (token.expiresAt <= now) throw new TokenRefusedError("expired");
  if (token.used >= token.uses) throw new TokenRefusedError("spent");
  database.run("UPDATE tokens SET used = used + 1 WHERE id = ?", token.id);
  return token;
}
