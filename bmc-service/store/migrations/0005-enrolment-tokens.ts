/**
 * Enrolment tokens; of each only the SHA-256 is kept. A session is bound to a certificate (SHA-256 of it). Those that began before
 * are bound to none. `ended` says why a session is over before its time; empty: it is not.
 */
export const sql = `
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  machine_uuid TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL,
  revoked_at INTEGER,
  created_by TEXT NOT NULL
) STRICT;

ALTER TABLE sessions ADD COLUMN certificate BLOB;
ALTER TABLE sessions ADD COLUMN key_hash BLOB;
ALTER TABLE sessions ADD COLUMN token_id TEXT;
ALTER TABLE sessions ADD COLUMN ended TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_of_machine ON sessions (machine_key);
CREATE INDEX sessions_of_token ON sessions (token_id);
`;
