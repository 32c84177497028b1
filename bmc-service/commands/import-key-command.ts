import { Command } from "commander";
import { reportKeyText } from "../../proto/report-seal.ts";
import { addReportKey, readReportKeys, reportKeysPath } from "../import/report-keys.ts";
import type { Output } from "./output.ts";

const more = `
Machines at sites without network write their reports on the stick that they are booted from, and seal the passwords
in them to this key: put the line that is printed into metal-rivet.yaml on the stick. What the stick holds opens
nothing; "bmcctl import" brings the reports to the service, which opens them.

The private key lies in DIR/report.key, mode 0600, and is made when it is missing. Back it up as secret.key: without it
the reports that are on their way are worth nothing. A service that runs takes up a new key by itself. --new makes another
one; older ones stay in the file, so that reports that were sealed to them can still be imported.

Examples:
  $ bmc-service import-key --pki /etc/bmc-service/pki >> /media/RIVET/metal-rivet.yaml

Exit codes: 0 printed, 64 wrong usage, 78 the file cannot be read or written, or others may read it.
`;

interface ImportKeyFlags {
  readonly pki: string;
  readonly new: boolean;
}

export function importKeyCommand(output: Output): Command {
  return new Command("import-key")
    .summary("print the key that sealed reports are for")
    .description("Prints the public key to which agents without network seal their reports, as a line of YAML.")
    .requiredOption("--pki <DIR>", "directory of the service's certificates")
    .option("--new", "make a new key; the older ones are kept", false)
    .addHelpText("after", more)
    .action(async ({ pki, new: another }: ImportKeyFlags) => {
      const path = reportKeysPath(pki);
      const [current] = another ? [] : await readReportKeys(path);
      const key = current ?? (await addReportKey(path));
      output.write(`report_key: ${reportKeyText(key.publicKey)}\n`);
    });
}
