import { Command, InvalidArgumentError, Option } from "commander";
import { wholeNumber } from "../whole-number.ts";
import { type Case, faults, parseCase } from "./fault.ts";

/** What `npm run chaos` was asked for. */
export interface ChaosOptions {
  readonly runs: number;
  readonly seed?: number;
  /** Only this one. */
  readonly only?: Case;
  readonly lanes: number;
  readonly output: "table" | "json";
  readonly report?: string;
}

const help = `
Enrols simulated machines at a real BMC service, in a process of its own with its database, TLS and remote
login, while something dies. The cases are each fault at each instant (before and after each step of the run,
each write to the BMC, each call to the service, each command that the service sends to the BMC while it
rotates a password); as many of them as --runs says, in an order that the seed gives, and one with two or
three faults at random for every four. Half of the BMCs are of the strictest kind; the others are like those
of npm run sim -- --list with which a machine can be linked, a further kind for every 60 runs. A machine is
new (with the agents' certificate or an enrolment token) or known, gets a new account, has accounts of ours on its BMC that nobody knows, or gets a new password
from remote (bmcctl rotate). After that all is healed, and the machine boots, or the password is rotated,
until it is linked. At every instant: accounts of others are as they were; every password on the BMC
is on the service's disk; from the first confirmation on, one of the logins that the service would try opens
the BMC. In the end one account of ours is open.

Faults: ${Object.keys(faults).join(", ")}.

The table counts runs by the first fault and the step it came in. "linked after boots" 0: the same run linked in
spite of it. The machine's time jumps where only it is waited for. Ctrl-C ends it early, with the table so far.

Examples:
  npm run chaos
  npm run chaos -- --runs 300 --seed 7
  npm run chaos -- --seed 7 --case "rotation bmc-reset-lost@after:write:set-user-password:1"
  npm run chaos -- --seed 7 --case "remote on=hpe-ilo service-killed@after:lan:set-user-password:1"

Exit codes: 0 all of it held, 1 it did not, 64 wrong usage, 130 all of it held until Ctrl-C.
`;

/** @throws CommanderError for --help and for wrong usage */
export function parseChaosOptions(args: readonly string[]): ChaosOptions {
  const options = new Command("npm run chaos --")
    .description("Proves that nothing is lost, whatever dies when.")
    .addOption(new Option("--runs <N>", "how many enrolments").default(2_500).argParser(wholeNumber(1, 1_000_000)))
    .addOption(
      new Option("--seed <S>", "of all that is random; another one each time if not given").argParser(
        wholeNumber(0, 2 ** 31 - 1),
      ),
    )
    .addOption(new Option("--case <CASE>", "only this enrolment; a failure names it").argParser(readCase))
    .addOption(new Option("--lanes <N>", "how many at the same time").default(2).argParser(wholeNumber(1, 64)))
    .addOption(new Option("--output <FORM>", "what is printed").choices(["table", "json"]).default("table"))
    .addOption(new Option("--report <FILE>", "write the table into this file too"))
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .exitOverride()
    .allowExcessArguments(false)
    .parse(args, { from: "user" })
    .opts<Omit<ChaosOptions, "only"> & { readonly case?: Case }>();
  const { case: only, ...others } = options;
  return { ...others, ...(only === undefined ? {} : { only }) };
}

function readCase(text: string): Case {
  try {
    return parseCase(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
