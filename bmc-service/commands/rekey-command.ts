import { Command } from "commander";
import { existingDatabase } from "../store/data-directory.ts";
import { StoreLock } from "../store/store-lock.ts";
import { addKeyOptions, damagedText, type Environment, type KeyOptions, keyHelp, keySource } from "./key-options.ts";
import type { Output } from "./output.ts";

const more = `
The service must not run. All secrets are sealed anew in one transaction; then everything that the old key has
sealed is removed from the database, its free parts and its write-ahead log. Interrupted at any moment, the next
start of the service (or of this command) finds the key that fits and ends what was begun.

Without --new-key-file the new key takes the place of the old one, which is overwritten and deleted. Disks that write
elsewhere than they are told (flash, snapshots) may keep it all the same.

With LoadCredential= in systemd, name the file that it loads by --key, as root; if the change was interrupted, run it
again. With LoadCredentialEncrypted=, decrypt the old key to a file for --key, name a new one by --new-key-file, encrypt
that and put it in the place of the credential. Or load both, as bmc-service.key and bmc-service.key.new: the service
takes the one that fits. The old file is yours to destroy then (shred -u).

A database that \`restore --force\` has put aside (DATA/bmc-service.db.before-TIME) would still open with the old key: while
there is one this command refuses, and --delete-former deletes it. Backups that lie elsewhere are not touched: they need the
old key. Make a new one, and delete those of which the key became known.
${keyHelp}
Examples:
  $ bmc-service rekey --data /var/lib/bmc-service --pki /etc/bmc-service/pki
  $ bmc-service rekey --data /var/lib/bmc-service --key old.key --new-key-file new.key

Exit codes: 0 changed, 64 wrong usage, 75 a service works with the data directory, 78 database or key are not usable,
  secrets are damaged, or a former database is there (the message names which and why).
`;

interface RekeyOptions extends KeyOptions {
  readonly newKeyFile?: string;
  readonly forgetDamaged: boolean;
  readonly deleteFormer: boolean;
}

export function rekeyCommand(output: Output, environment: Environment): Command {
  return addKeyOptions(new Command("rekey"))
    .summary("change the key of the secrets")
    .description("Seals every secret in the database with a new key.")
    .option("--new-key-file <FILE>", "the new key, made if it is missing (default: a new one in the old one's place)")
    .option("--forget-damaged", "empty secrets that do not open; without it they are a reason to refuse", false)
    .option("--delete-former", "delete former databases that restores have put aside", false)
    .addHelpText("after", more)
    .action(async (options: RekeyOptions) => {
      const { rekey } = await import("../store/rekey.ts");
      const database = await existingDatabase(options.data);
      const source = await keySource(options, environment);
      using _lock = new StoreLock(database);
      const { newKeyFile: newKey, forgetDamaged, deleteFormer } = options;
      const { secrets, damaged } = await rekey({ database, source, newKey, forgetDamaged, deleteFormer });
      output.write(`${database}: ${secrets} secrets are sealed with the key in ${newKey ?? source.path} now.\n`);
      output.write(damagedText(damaged));
      output.write("Backups from before need the old key: make a new one (bmc-service backup).\n");
    });
}
