/**
 * What a session says of a machine or BMC that is proved waits until the session was handed over itself: reported_by is the session
 * whose report waits beside the facts.
 */
export const sql = `
ALTER TABLE sessions ADD COLUMN handed_off INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bmcs ADD COLUMN reported_by TEXT NOT NULL DEFAULT '';
`;
