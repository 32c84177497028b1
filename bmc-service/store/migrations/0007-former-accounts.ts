/** How many former accounts the run that made an account has yet to close. */
export const sql = `
ALTER TABLE accounts ADD COLUMN former_accounts INTEGER NOT NULL DEFAULT 0;
`;
