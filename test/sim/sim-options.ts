import { Command, InvalidArgumentError, Option } from "commander";
import { knownProfile } from "../simulator/known-profile.ts";
import type { Profile } from "../simulator/profile.ts";
import { spec } from "../simulator/profiles.ts";

/** What `npm run sim` was asked for. */
export interface SimOptions {
  readonly profile: Profile;
  /** Port of the VM codec on 127.0.0.1. */
  readonly kcs: number;
  /** UDP port of IPMI over LAN on 127.0.0.1. */
  readonly lan: number;
  /** Path of a JSON file with fault rules. */
  readonly faults?: string;
  readonly output: "text" | "json";
  readonly list: boolean;
}

const help = `
A simulated BMC that behaves like the boards of its profile. It keeps its state
until it ends. On 127.0.0.1 it listens twice:
  --kcs  TCP, the VM codec: QEMU ties it to a machine as its KCS interface, so
         that Linux finds /dev/ipmi0 with this BMC behind it
  --lan  UDP, IPMI over LAN (RMCP+, cipher suites 3 and 17)
The first lines say how to connect. Then every command is one line: time, where
it came in, its name, user and channel, completion code. Passwords are not shown,
but for those that the BMC has from the factory.

Chassis Control over LAN switches the machine off or resets it. Nobody is there
to switch it on again: start QEMU anew, it connects by itself.

--faults FILE adds fault rules, a JSON array. Each one says which messages it is
for and what happens to them in turn. Two examples, together in one file:
  [
    { "netFn": 6, "cmd": 71, "operation": "set", "from": 2,
      "effects": [{ "completionCode": 192 }, { "delayMs": 5000 }] },
    { "netFn": 6, "cmd": 67, "user": 3, "count": "always",
      "effects": [{ "drop": "reply" }] }
  ]
A rule matches by netFn, cmd, operation, channel, user and via ("in-band" or
"lan"), as far as they are given; "from" and "count" say which of the matches.
Effects: completionCode, execute (yes, no, pretend), delayMs, drop (request,
reply), late, duplicate, truncate, tooLong, otherCommand, resetMs.

Examples:
  npm run sim -- --list
  npm run sim -- --profile hpe-ilo
  npm run sim -- --profile hpe-ilo --kcs 127.0.0.1:9002 --lan 127.0.0.1:6230
  npm run --silent sim -- --profile openbmc --output json | jq .command

Exit codes:
  0    with --list and --help
  64   wrong usage: an unknown profile, an address that is none
  69   a port is taken
  78   the file of fault rules is wrong
  130  Ctrl-C, 143 SIGTERM: the BMC and what it knew are gone
`;

/** @throws CommanderError for --help and for wrong usage */
export function parseSimOptions(
  args: readonly string[],
  { write, writeError }: { readonly write: (text: string) => void; readonly writeError: (text: string) => void },
): SimOptions {
  const command = new Command("npm run sim --")
    .description("Starts one simulated BMC by hand.")
    .addOption(
      new Option("--profile <NAME>", "which BMC it is; see --list").default(spec, spec.name).argParser(knownProfile),
    )
    .addOption(new Option("--kcs <HOST:PORT>", "VM codec for QEMU").default(9002, "127.0.0.1:9002").argParser(loopback))
    .addOption(new Option("--lan <HOST:PORT>", "IPMI over LAN").default(6230, "127.0.0.1:6230").argParser(loopback))
    .addOption(new Option("--faults <FILE>", "fault rules, beside those of the profile"))
    .addOption(
      new Option("--output <FORMAT>", "text, or one JSON object a line").choices(["text", "json"]).default("text"),
    )
    .addOption(new Option("--list", "list the profiles and end").default(false))
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .configureOutput({ writeOut: write, writeErr: writeError })
    .exitOverride()
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  return command.opts<SimOptions>();
}

/** "127.0.0.1:9002", "localhost:9002" or "9002". Nothing but the loopback: the accounts of these BMCs are no secret. */
function loopback(text: string): number {
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) throw new InvalidArgumentError("It must be 127.0.0.1:PORT.");
  if (host !== "127.0.0.1" && host !== "localhost") {
    throw new InvalidArgumentError("Simulated BMCs listen on 127.0.0.1 only: everybody knows their passwords.");
  }
  return port;
}
