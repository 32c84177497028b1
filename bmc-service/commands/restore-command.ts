import { Command } from "commander";
import { databasePath } from "../store/data-directory.ts";
import { StoreLock } from "../store/store-lock.ts";
import { addKeyOptions, damagedText, type Environment, type KeyOptions, keyHelp, keySource } from "./key-options.ts";
import type { Output } from "./output.ts";

const more = `
The service must not run. FILE is copied beside the database; its seal, every page, every secret and the audit log in it
are looked at before anything is changed. FILE stays. A database that is there is put aside by --force, not deleted.

A backup of an older release has no seal, and a database that was put aside has none either: nobody can tell whether they
were changed. --accept-doubtful takes them, and also a backup with a broken seal or a broken audit log, as far as SQLite can read it.

Accounts that were made after the backup are unknown then. A machine whose account has changed since is
linked again when it boots the next time; until then its row may say that the BMC refused every account.
The audit log goes on where it was at the time of the backup; its next entry says what was restored.
Enrolment tokens that were spent or revoked after the backup are good again until they end: look at bmcctl token ls.
${keyHelp}
Examples:
  $ bmc-service restore /srv/backup/bmc-service-monday.db --data /var/lib/bmc-service --pki /etc/bmc-service/pki

Exit codes: 0 restored, 64 wrong usage, 75 a service works with the data directory, 78 there is a database already, or
  FILE is damaged, was changed, is of a newer release, or sealed with another key (the message names which and why).
`;

interface RestoreOptions extends KeyOptions {
  readonly force: boolean;
  readonly acceptDoubtful: boolean;
}

export function restoreCommand(output: Output, environment: Environment): Command {
  return addKeyOptions(new Command("restore"))
    .summary("make a backup the database")
    .description("Checks a backup and puts it in the place of the database.")
    .argument("<FILE>", "the backup")
    .option("--force", "put a database that is there aside", false)
    .option("--accept-doubtful", "take a backup without seal, with a broken one or with a broken audit log", false)
    .addHelpText("after", more)
    .action(async (file: string, options: RestoreOptions) => {
      const { restore } = await import("../store/restore.ts");
      const { requireKeys } = await import("../store/database-key.ts");
      const keys = await requireKeys(await keySource(options, environment));
      const database = await databasePath(options.data);
      using _lock = new StoreLock(database);
      const { force, acceptDoubtful } = options;
      const restored = await restore({ database, file, keys, force, acceptDoubtful, now: new Date() });
      const { aside, schema, secrets, damaged, doubts } = restored;
      output.write(`${database}: restored, schema ${schema}, ${secrets} secrets.\n${damagedText(damaged)}`);
      for (const doubt of doubts) output.error(`Doubtful: ${doubt}.\n`);
      if (aside !== undefined) output.write(`The former database is ${aside}.\n`);
    });
}
