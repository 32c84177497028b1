/**
 * A use of an enrolment token belongs to the machine that has taken it, until that is handed over: here are those that are not yet.
 * A machine that dies in its run may begin again with the same token, however often it can be used.
 */
export const sql = `
CREATE TABLE token_uses (
  token_id TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
  machine_uuid TEXT NOT NULL,
  PRIMARY KEY (token_id, machine_uuid)
) STRICT, WITHOUT ROWID;
`;
