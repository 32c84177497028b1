/** What a database file is to the person who reads about it in an error, and what to do. */
export interface DatabaseRole {
  /** Whose content it is: named where that is damaged, foreign, too new or sealed with another key. */
  readonly content: string;
  /** Where it lies: named where it cannot be read or written. */
  readonly place: string;
  readonly ifDamaged: string;
  readonly ifForeign: string;
  readonly ifNewer: string;
  readonly ifOtherKey: string;
}

/** The database of the service. */
export function ownDatabase(path: string): DatabaseRole {
  return {
    content: `database ${path}`,
    place: `database ${path}`,
    ifDamaged: "bring it back from your backup (bmc-service restore)",
    ifForeign: "Nothing was changed. Give another directory (--data)",
    ifNewer: "Nothing was changed. Run the newer release, or bring back the backup from before it",
    ifOtherKey: "Nothing was changed. Give the key that belongs to this database (--key)",
  };
}

/** A backup of it that is being made: what is wrong in it was wrong in the database. */
export function backupInMaking(database: string, file: string): DatabaseRole {
  return { ...ownDatabase(database), place: `backup ${file}` };
}

/** A copy of a backup that is to become the database. */
export function backupInRestore(file: string, database: string): DatabaseRole {
  return {
    content: `backup ${file}`,
    place: `database ${database}`,
    ifDamaged: "nothing was changed; take another backup",
    ifForeign: "Nothing was changed. Take a file that bmc-service backup has made",
    ifNewer: "Nothing was changed. Run the newer release, or take a backup from before it",
    ifOtherKey: "Nothing was changed. Give the key of the time when it was made (--key), or take another backup",
  };
}
