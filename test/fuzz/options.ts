import { randomInt } from "node:crypto";
import { Command, InvalidArgumentError, Option } from "commander";
import { wholeNumber } from "../whole-number.ts";
import type { FuzzedDecoder } from "./fuzzed-decoder.ts";

/** What `npm run fuzz` was asked for. */
export interface FuzzCommandOptions {
  readonly inputs: number;
  readonly seed: number;
  readonly decoder: string | undefined;
  /** Only the input of this number. */
  readonly at: number | undefined;
  /** Only this input. */
  readonly hex: Uint8Array | undefined;
  readonly list: boolean;
}

const defaultInputs = 1_000_000;
const seedLimit = 2 ** 31;

const help = `
Feeds what reads bytes that somebody else made: IPMI replies and requests, LAN
parameters, FRU, SMBIOS, RMCP+, raw KCS, the VM codec, DHCP, the kernel command
line, the configuration document, certificates, what agents send to the service,
and the whole inspection of a BMC that lies. Half of the inputs are random bytes,
half are valid encodings with mistakes in them: bits turned, lengths changed, pieces
cut out, repeated, inserted, taken from elsewhere.

A decoder must give a value or refuse with its own class of error (DecodeError,
ConfigError), in 200 ms of processor time and 16 MB at most, and what it gives may
not be larger than its input accounts for. Anything else is a fault: the input is
shown, made as small as the fault allows, with the command that repeats it.

The same seed gives the same inputs; it stands in the first line.

Examples:
  npm run fuzz
  npm run fuzz -- --inputs 20000 --seed 7
  npm run fuzz -- --decoder FRU                        all whose name has FRU in it
  npm run fuzz -- --decoder "FRU image" --seed 7 --at 5
  npm run fuzz -- --decoder "FRU image" --hex 0100ff

Exit codes:
  0    no decoder failed
  1    at least one did
  64   wrong usage
`;

/** @throws CommanderError for --help and for wrong usage */
export function parseFuzzOptions(args: readonly string[]): FuzzCommandOptions {
  const command = new Command("npm run fuzz --")
    .description("Looks for inputs that a decoder cannot stand.")
    .addOption(
      new Option("--inputs <N>", "how many inputs in all").default(defaultInputs).argParser(wholeNumber(1, 1e9)),
    )
    .addOption(
      new Option("--seed <S>", "what the inputs are made from; another one each time if not given").argParser(
        wholeNumber(0, seedLimit - 1),
      ),
    )
    .addOption(new Option("--decoder <NAME>", "only this decoder, or all whose name contains this"))
    .addOption(new Option("--at <INDEX>", "only the input of this number of the seed").argParser(wholeNumber(0, 1e9)))
    .addOption(new Option("--hex <BYTES>", "only this input").conflicts("at").argParser(hexBytes))
    .addOption(new Option("--list", "the names of the decoders").default(false))
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .exitOverride()
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  const options = command.opts<Partial<FuzzCommandOptions>>();
  if ((options.at ?? options.hex) !== undefined && options.decoder === undefined) {
    command.error("error: one input is for one decoder: which is it? Give --decoder too.");
  }
  if (options.at !== undefined && options.seed === undefined) {
    command.error("error: --at is the number of an input of a seed: give --seed too.");
  }
  return {
    inputs: options.inputs ?? defaultInputs,
    seed: options.seed ?? randomInt(seedLimit),
    decoder: options.decoder,
    at: options.at,
    hex: options.hex,
    list: options.list === true,
  };
}

function hexBytes(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/i.test(text)) throw new InvalidArgumentError("It must be pairs of hexadecimal digits.");
  return Uint8Array.from(Buffer.from(text, "hex"));
}

/** The decoder of exactly this name, else all whose names contain it in any case. */
export function chooseDecoders(all: readonly FuzzedDecoder[], name: string | undefined): readonly FuzzedDecoder[] {
  if (name === undefined) return all;
  const exact = all.filter((each) => each.name === name);
  return exact.length > 0 ? exact : all.filter((each) => each.name.toLowerCase().includes(name.toLowerCase()));
}

/** How many inputs each decoder gets: as its share is, at least one, `total` in all if that is enough for one each. */
export function shareOut(decoders: readonly FuzzedDecoder[], total: number): number[] {
  const shares = decoders.map(({ share = 1 }) => share);
  const sum = shares.reduce((all, each) => all + each, 0);
  const counts = shares.map((each) => Math.max(1, Math.floor((total * each) / sum)));
  // What rounding left over goes to the first ones.
  let left = total - counts.reduce((all, each) => all + each, 0);
  for (let i = 0; left > 0 && i < counts.length; i += 1, left -= 1) counts[i] = (counts[i] ?? 0) + 1;
  // What those with at least one got too much comes off the largest.
  for (; left < 0; left += 1) {
    const most = Math.max(...counts);
    if (most === 1) break;
    counts[counts.indexOf(most)] = most - 1;
  }
  return counts;
}
