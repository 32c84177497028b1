import { Command } from "commander";
import { existingDatabase } from "../store/data-directory.ts";
import { addKeyOptions, damagedText, type Environment, type KeyOptions, keyHelp, keySource } from "./key-options.ts";
import type { Output } from "./output.ts";

const more = `
The service may run, or not. FILE holds everything that was stored when the backup began; it is one SQLite file
with mode 0600, written under another name until it is whole, read back and on the disk. Its secrets stay sealed:
the key is not in it. A seal over all of it is made with that key: restore refuses a file of which one bit was changed.
The audit log says that it was made. Keep a copy of the key too, elsewhere; a backup from before \`bmc-service rekey\`
needs the key of that time. --force replaces nothing but an older backup.
${keyHelp}
Examples:
  $ bmc-service backup /srv/backup/bmc-service-monday.db --data /var/lib/bmc-service --pki /etc/bmc-service/pki
  $ bmc-service backup --force /srv/backup/bmc-service.db --data data --pki pki

Exit codes: 0 written, 64 wrong usage, 75 the database was locked all the time, 78 FILE is there already, is no
  backup or one of the service's own files, or cannot be written (disk full), or database or key are not usable (the message names which and why).
`;

interface BackupOptions extends KeyOptions {
  readonly force: boolean;
}

export function backupCommand(output: Output, environment: Environment): Command {
  return addKeyOptions(new Command("backup"))
    .summary("copy the database while the service runs")
    .description("Copies the database into one file and reads it back, with every secret in it.")
    .argument("<FILE>", "where to write the backup")
    .option("--force", "replace FILE if it is a backup", false)
    .addHelpText("after", more)
    .action(async (file: string, options: BackupOptions) => {
      const { backUp } = await import("../store/backup.ts");
      const { requireKeys } = await import("../store/database-key.ts");
      const database = await existingDatabase(options.data);
      const source = await keySource(options, environment);
      const keys = await requireKeys(source);
      const progress = (share: number) => {
        if (output.errorIsTerminal) output.error(`\r${Math.floor(share * 100)} %\x1b[K`);
      };
      const { bytes, secrets, damaged, schema, auditHolds, notAudited } = await backUp({
        own: { database, key: source.path, pki: options.pki },
        file,
        keys,
        force: options.force,
        progress,
      });
      if (output.errorIsTerminal) output.error("\r\x1b[K");
      output.write(
        `${file}: ${bytes} bytes, schema ${schema}, ${secrets} secrets; read back.\n${damagedText(damaged)}`,
      );
      output.write("The key is not in it: back that up too, and not beside it.\n");
      if (!auditHolds) output.error("The audit log in it does not hold: bmcctl audit --verify says where.\n");
      if (notAudited !== undefined) output.error(`The audit log does not say that it was made: ${notAudited}\n`);
    });
}
