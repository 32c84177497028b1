/** given_address is where an operator said that a BMC is ("10.0.0.8:623"), for one that tells no address; empty: nowhere. */
export const sql = `
ALTER TABLE bmcs ADD COLUMN given_address TEXT NOT NULL DEFAULT '';
`;
