import { Command, InvalidArgumentError, Option } from "commander";
import { type CertificateName, parseCertificateName } from "../pki/certificate-name.ts";
import type { Output } from "./output.ts";

const more = `
Files written to DIR:
  ca.pem                      the site's certificate authority (its key is thrown away:
                              nobody can sign another certificate, renewing one is renewing all)
  server.pem, server.key      for bmc-service itself (--pki DIR)
  agent.pem, agent.key        for metal-rivet in the ramdisks (role "agent": may enrol machines)
  boot.pem, boot.key          for bmc-service boot-api (may make tokens for one enrolment each, and nothing else)
  viewer.pem, viewer.key      for bmcctl --role viewer (may see everything but secrets)
  operator.pem, operator.key  for bmcctl (may also control BMCs and see secrets)
  admin.pem, admin.key        for bmcctl --role admin (may also delete rows, decide conflicts, read the audit log)
  agents-ca.pem, agents-ca.key  an authority of bmc-service itself (--pki DIR): it signs a certificate for one
                              enrolment when a machine comes with a token (bmcctl token create)
Keys are EC P-256 with mode 0600. localhost, 127.0.0.1 and ::1 are always among the server's names.

Examples:
  $ bmc-service init-pki --out /etc/bmc-service/pki --name bmc.example.org --name 10.0.0.5
  $ bmc-service init-pki --out pki --name 2001:db8::5 --days 365

Exit codes: 0 written, 64 wrong usage (also a bad --name), 78 files are there already or DIR cannot be written.
`;

interface InitPkiFlags {
  readonly out: string;
  readonly name: readonly CertificateName[];
  readonly days: number;
  readonly force: boolean;
  readonly agentsCaOnly: boolean;
}

export function initPkiCommand(output: Output): Command {
  return new Command("init-pki")
    .summary("make the certificates of a site")
    .description("Makes a certificate authority and the certificates of service, agents and operators.")
    .requiredOption("--out <DIR>", "directory to write to; made if it is missing")
    .addOption(
      new Option(
        "--name <NAME|IP...>",
        "DNS name or IP address (no port, no brackets) under which agents and operators reach the service; may be repeated",
      )
        .argParser(addName)
        .default([], "the loopback names only"),
    )
    .addOption(
      new Option("--days <N>", "how long all of them are valid, from now")
        .argParser(parseDays)
        .default(730, "730: two years"),
    )
    .option("--agents-ca-only", "make agents-ca alone, for a site that has all the others", false)
    .option("--force", "replace files that are there already: all old certificates are worth nothing then", false)
    .addHelpText("after", more)
    .action(async (options: InitPkiFlags) => {
      // Only here: the X.509 library is as large as everything else together.
      const { initPki } = await import("../pki/init-pki.ts");
      const { out, days, force, agentsCaOnly } = options;
      const made = await initPki({ out, days, force, agentsCaOnly, names: options.name, now: new Date() });
      const names = made.names.map(({ value }) => value).join(", ");
      output.write(`${made.files.join("\n")}\n`);
      const reached = agentsCaOnly ? "" : `The service can be reached as ${names}. `;
      output.write(`${reached}Valid until ${made.notAfter.toISOString()}.\n`);
    });
}

function addName(text: string, before: readonly CertificateName[]): CertificateName[] {
  try {
    return [...before, parseCertificateName(text)];
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function parseDays(text: string): number {
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (days < 1 || days > 3_650) throw new InvalidArgumentError("give a number from 1 to 3650");
  return days;
}
