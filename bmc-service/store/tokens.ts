import type { Database } from "./database.ts";
import {
  type NewToken,
  NoSuchTokenError,
  type TakenUse,
  type TokenLook,
  TokenRefusedError,
  type TokenRow,
  type TokenUse,
} from "./enrolment-token.ts";
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
 * What a token is good for. Writes nothing, and is cheap: strangers ask.
 * @param use without `keyHash`: for whatever key
 */
export function lookAtToken(database: Database, tokenHash: Uint8Array, use: TokenUse, now: Date): TokenLook {
  const found = database.get("SELECT * FROM tokens WHERE hash = ?", tokenHash);
  if (found === undefined) return { problem: "unknown" };
  const token = tokenRow(found);
  if (token.revokedAt !== undefined) return { token, problem: "revoked" };
  if (token.machineUuid !== "" && token.machineUuid !== use.machineUuid) return { token, problem: "another machine's" };
  const taken = takenUse(database, token.id, use, now);
  if (taken?.isRepeated) return { token, taken };
  if (token.expiresAt <= now) return { token, problem: "expired" };
  if (taken !== undefined) return { token, taken };
  if (token.used >= token.uses) return { token, problem: "spent" };
  return { token };
}

function takenUse(
  database: Database,
  tokenId: string,
  { machineUuid, bootId, keyHash }: TokenUse,
  now: Date,
): TakenUse | undefined {
  const use = "SELECT 1 FROM token_uses WHERE token_id = ? AND machine_uuid = ?";
  if (database.get(use, tokenId, machineUuid) === undefined) return undefined;
  const { ends, repeated } =
    database.get(
      `SELECT max(expires_at) AS ends, max(boot_id = ? AND key_hash = coalesce(?, key_hash)) AS repeated FROM sessions
       WHERE token_id = ? AND machine_uuid = ? AND expires_at > ?`,
      bootId,
      keyHash ?? null,
      tokenId,
      machineUuid,
      now.getTime(),
    ) ?? {};
  return { until: typeof ends === "number" ? new Date(ends) : undefined, isRepeated: Number(repeated) === 1 };
}

/** A token that a session was begun with. */
export interface SpentToken {
  readonly token: TokenRow;
  /** When the session ends. */
  readonly expiresAt: Date;
  /** Whether the session took a use now. Else its machine goes on with the one that it took before. */
  readonly tookUse: boolean;
}

/**
 * Takes one use of a token for a session, unless its machine has taken one before and was not handed over since: the answer was lost,
 * or the machine has died in its run. While the session of that time lasts, it ends when that one would have: else a token that is
 * spent could be used without end.
 * @throws TokenRefusedError
 */
export function spendToken(
  database: Database,
  tokenHash: Uint8Array,
  { machine, bootId, binding, now, expiresAt }: NewSession,
): SpentToken {
  const use = { machineUuid: machine.uuid, bootId, keyHash: binding.keyHash };
  const look = lookAtToken(database, tokenHash, use, now);
  if (look.problem !== undefined) throw new TokenRefusedError(look.problem);
  const { token, taken } = look;
  if (taken === undefined) {
    database.run("UPDATE tokens SET used = used + 1 WHERE id = ?", token.id);
    database.run("INSERT INTO token_uses (token_id, machine_uuid) VALUES (?, ?)", token.id, machine.uuid);
  }
  return { token, expiresAt: taken?.until ?? expiresAt, tookUse: taken === undefined };
}

/** The session has led to the hand-off of its machine: the use of a token that it was begun with is over. Another one of it goes on. */
export function endTokenUse(database: Database, sessionId: string): void {
  database.run(
    `DELETE FROM token_uses WHERE (token_id, machine_uuid) IN
       (SELECT token_id, machine_uuid FROM sessions WHERE id = ? AND ended = '')`,
    sessionId,
  );
}
