/**
 * given_by names the operator who gave an account, empty for one that an agent made. The form of an account's password is
 * kept with the BMC that took it; password_forms holds those that were proved from remote, one for each kind of BMC.
 */
export const sql = `
ALTER TABLE accounts ADD COLUMN given_by TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN password_form INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN manufacturer_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN product_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN firmware_version TEXT NOT NULL DEFAULT '';

CREATE TABLE password_forms (
  manufacturer_id INTEGER NOT NULL,
  product_id INTEGER NOT NULL,
  firmware_version TEXT NOT NULL,
  form INTEGER NOT NULL,
  proved_at INTEGER NOT NULL,
  PRIMARY KEY (manufacturer_id, product_id, firmware_version)
) STRICT;
`;
