/**
 * The audit log is append-only: see audit/audit-log.ts. A conflict is a claim against a proved row; one that is made again while it
 * is open is counted. Sessions and machines have the common name of the certificate that the agent showed. What an agent reports of
 * a BMC that is proved stays beside the facts until a remote login has held it.
 */
export const sql = `
CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  result TEXT NOT NULL,
  origin TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_of_subject ON audit (subject, number);
CREATE TRIGGER audit_entries_stay BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_entries_remain BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- bmc_key is empty for the one entry that counts what did not fit.
CREATE TABLE conflicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bmc_key TEXT NOT NULL,
  machine_uuid TEXT NOT NULL,
  board_serial TEXT NOT NULL,
  claimed_mac TEXT NOT NULL,
  claimed_by TEXT NOT NULL,
  text TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  count INTEGER NOT NULL,
  decision INTEGER NOT NULL DEFAULT 0,
  decided_by TEXT NOT NULL DEFAULT '',
  decided_at INTEGER
) STRICT;
CREATE UNIQUE INDEX open_conflicts ON conflicts (bmc_key, machine_uuid, board_serial, claimed_mac) WHERE decision = 0;

ALTER TABLE sessions ADD COLUMN claimed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE machines ADD COLUMN claimed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE bmcs ADD COLUMN reported_facts BLOB;
`;
