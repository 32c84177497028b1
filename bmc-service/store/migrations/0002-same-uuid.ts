/**
 * Machines that report one UUID are kept apart: the key of the first is the UUID, that of each further one the UUID, "/"
 * and what tells it apart. What a session has told of its machine is kept with it until it is known which machine it is.
 */
export const sql = `
ALTER TABLE machines RENAME COLUMN uuid TO key;
ALTER TABLE machines ADD COLUMN uuid TEXT GENERATED ALWAYS AS (substr(key, 1, 36)) VIRTUAL;
CREATE INDEX machines_of_uuid ON machines (uuid);

ALTER TABLE bmcs RENAME COLUMN machine_uuid TO machine_key;
ALTER TABLE bmcs ADD COLUMN machine_uuid TEXT GENERATED ALWAYS AS (substr(machine_key, 1, 36)) VIRTUAL;
CREATE INDEX bmcs_of_uuid ON bmcs (machine_uuid);

ALTER TABLE sessions RENAME COLUMN machine_uuid TO machine_key;
ALTER TABLE sessions ADD COLUMN machine_uuid TEXT GENERATED ALWAYS AS (substr(machine_key, 1, 36)) VIRTUAL;
ALTER TABLE sessions ADD COLUMN machine BLOB;
ALTER TABLE sessions ADD COLUMN agent_version TEXT;
ALTER TABLE sessions ADD COLUMN inventory BLOB;
`;
