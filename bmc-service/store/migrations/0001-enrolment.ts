/** Times are milliseconds since 1970; facts, machine and inventory are messages of metalstack.bmc.v1 as bytes. */
export const sql = `
CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

CREATE TABLE machines (
  uuid TEXT PRIMARY KEY,
  machine BLOB NOT NULL,
  inventory BLOB,
  agent_version TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;

-- key is the MAC of the BMC, or the UUID of a machine that has none (mac is empty then).
CREATE TABLE bmcs (
  key TEXT PRIMARY KEY,
  mac TEXT NOT NULL,
  machine_uuid TEXT UNIQUE REFERENCES machines (uuid),
  drivers TEXT NOT NULL,
  state INTEGER NOT NULL,
  state_reason TEXT NOT NULL,
  facts BLOB,
  remote_guid TEXT NOT NULL,
  chassis BLOB,
  verified_at INTEGER,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;

-- sequence orders the accounts of a BMC; clocks may jump.
CREATE TABLE accounts (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  bmc_key TEXT NOT NULL REFERENCES bmcs (key) ON DELETE CASCADE,
  session_id TEXT NOT NULL,
  user_name TEXT NOT NULL,
  sealed_password BLOB NOT NULL,
  slot INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  proof INTEGER NOT NULL,
  state INTEGER NOT NULL,
  state_reason TEXT NOT NULL,
  verified_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_of_bmc ON accounts (bmc_key, sequence);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  token_hash BLOB NOT NULL UNIQUE,
  machine_uuid TEXT NOT NULL REFERENCES machines (uuid) ON DELETE CASCADE,
  boot_id TEXT NOT NULL,
  bmc_key TEXT REFERENCES bmcs (key) ON DELETE SET NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- No reference to bmcs: what happened stays known after a row was deleted.
CREATE TABLE history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  mac TEXT NOT NULL,
  machine_uuid TEXT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX history_of_mac ON history (mac, id);
CREATE INDEX history_of_machine ON history (machine_uuid, id);
`;
