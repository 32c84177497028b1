import { Command, Option } from "commander";
import { wholeNumber } from "../whole-number.ts";

/** What `npm run bench:fleet` was asked for. */
export interface FleetOptions {
  readonly machines: number;
  readonly concurrency: number;
  /** Only the runs with remote login, or only those without; undefined: all. */
  readonly remote?: boolean;
  readonly output: "table" | "json";
}

const help = `
Enrols simulated machines at a real bmc-service process, each over a TLS connection of its own and with the calls of
the agent in their order, and measures both sides, which share the processors of this machine. Four runs, each with a
new database: with the certificate that all agents share; with enrolment tokens (each machine makes a key and is given a
certificate, two connections); with remote login (each machine has a simulated BMC at a UDP port); and the same with the
service killed (SIGKILL) when half of the machines are through, and started again. After each the service is asked for
all rows: what it has acknowledged has to be there.

What is printed last, between the two comments, stands in README.md. Takes about seven minutes.

Exit codes:
  0    measured, nothing was lost; targets that were missed are marked
  1    an enrolment failed, or something that was acknowledged is not there
  64   wrong usage
  70   something could not be measured: the message says what
  130  Ctrl-C (nothing is left behind)
`;

/** @throws CommanderError for --help and for wrong usage */
export function parseFleetOptions(args: readonly string[]): FleetOptions {
  return new Command("npm run bench:fleet --")
    .description("Measures the service with a whole data centre.")
    .addOption(new Option("--machines <N>", "how many enrol").default(10_000).argParser(wholeNumber(20, 10_000)))
    .addOption(
      new Option("--concurrency <N>", "how many at the same time").default(32).argParser(wholeNumber(1, 1_000)),
    )
    .addOption(new Option("--remote", "only the two runs with remote login"))
    .addOption(new Option("--no-remote", "only the two runs without"))
    .addOption(new Option("--output <FORM>", "what is printed").choices(["table", "json"]).default("table"))
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .exitOverride()
    .parse(args, { from: "user" })
    .opts<FleetOptions>();
}
