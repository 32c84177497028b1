import { sql as enrolment } from "./0001-enrolment.ts";
import { sql as sameUuid } from "./0002-same-uuid.ts";
import { sql as givenAccountsAndPasswordForms } from "./0003-given-accounts-and-password-forms.ts";
import { sql as givenAddresses } from "./0004-given-addresses.ts";
import { sql as enrolmentTokens } from "./0005-enrolment-tokens.ts";
import { sql as auditAndConflicts } from "./0006-audit-and-conflicts.ts";
import { sql as formerAccounts } from "./0007-former-accounts.ts";
import { sql as claimsOfPlaces } from "./0008-claims-of-places.ts";
import { sql as usesOfTokens } from "./0009-uses-of-tokens.ts";
import { sql as toldAndProved } from "./0010-told-and-proved.ts";

/** One step of the schema. A step that was ever released is never changed: a later one changes what it made. */
export interface Migration {
  /** The schema's version after it, from 1 without gaps. */
  readonly version: number;
  readonly sql: string;
}

/** All steps in order. They are modules with text, so that they are in the single executable too. */
export const migrations: readonly Migration[] = [
  { version: 1, sql: enrolment },
  { version: 2, sql: sameUuid },
  { version: 3, sql: givenAccountsAndPasswordForms },
  { version: 4, sql: givenAddresses },
  { version: 5, sql: enrolmentTokens },
  { version: 6, sql: auditAndConflicts },
  { version: 7, sql: formerAccounts },
  { version: 8, sql: claimsOfPlaces },
  { version: 9, sql: usesOfTokens },
  { version: 10, sql: toldAndProved },
];
