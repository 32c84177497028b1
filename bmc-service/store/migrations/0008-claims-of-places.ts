/**
 * A claim also says where the BMC is and which GUID it has: another place is another claim. What an operator has accepted stands with
 * the row until the machine that claimed is linked, and nothing else may use it.
 */
export const sql = `
ALTER TABLE conflicts ADD COLUMN claimed_address TEXT NOT NULL DEFAULT '';
ALTER TABLE conflicts ADD COLUMN claimed_guid TEXT NOT NULL DEFAULT '';
DROP INDEX open_conflicts;
CREATE UNIQUE INDEX open_conflicts
  ON conflicts (bmc_key, machine_uuid, board_serial, claimed_mac, claimed_address, claimed_guid) WHERE decision = 0;

-- JSON, see AcceptedClaim in store.ts.
ALTER TABLE bmcs ADD COLUMN accepted_claim TEXT;
`;
