import { Command, CommanderError, Option } from "commander";
import { type KcsAddress, parseKcsAddress } from "../inband/kcs/kcs-address.ts";
import {
  allowedKcsAddresses,
  allowedValues,
  flagOf,
  type Key,
  type KeyName,
  kernelKeyOf,
  keys,
} from "../proto/agent-keys.ts";
import { ExitCode } from "../proto/exit-code.ts";
import { hideTokens } from "../proto/hide-tokens.ts";
import { UsageError } from "./config/config-error.ts";
import type { PlanRequest } from "./plan.ts";
import { version } from "./version.ts";

/** What the command line asks for. */
export type Invocation =
  | { readonly command: "run"; readonly flags: ReadonlyMap<KeyName, string>; readonly cmdline: string }
  | {
      readonly command: "inspect";
      readonly output: "table" | "yaml" | "json";
      readonly device: string | undefined;
      readonly kcs: KcsAddress | undefined;
    }
  | ({ readonly command: "plan" } & PlanRequest)
  | { readonly command: "check"; readonly file: string }
  /** Help or version was shown, or a usage error was told. */
  | { readonly command: "none"; readonly exitCode: ExitCode };

const exitCodes = `Exit codes:
   0  done: linked, recognised, no BMC there, or one that is closed to its own
      machine: then an operator gives its account
  64  the command line is wrong
  69  service, document or network not reached within the limit
  70  a bug of metal-rivet (with its stack)
  75  may work the next time: the BMC is not ready or was not reached from remote
  76  the BMC broke the protocol, or another BMC answered
  77  refused: certificate, CA, the BMC's login, or no free user ID on it
  78  configuration: a key, a file, a certificate, or the firmware's SMBIOS table`;

/** The keys on which it depends what the run writes. */
const planKeys = ["rotate", "user_slot", "harden", "bmc_limit", "limit", "kcs"];

/** The table of keys for an 80-column terminal. */
function keyHelp(shown: readonly Key[], withDocument: boolean): string {
  const rows = shown.map((key) => {
    const placeholder = key.placeholder ? ` ${key.placeholder}` : "";
    const flag = key.notAsFlag ? "" : `${flagOf(key)}${placeholder}, `;
    const places = `${flag}${kernelKeyOf(key)}=${withDocument && !key.notInDocument ? `, ${key.name}` : ""}`;
    const allowed = ["choice", "seconds", "number"].includes(key.type.kind) ? `; ${allowedValues(key.type)}` : "";
    const standard = key.default === undefined ? "" : `; default ${key.default}`;
    return `  ${places}\n${indented(`${key.description}${allowed}${standard}`)}`;
  });
  return rows.join("\n");
}

function indented(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last.length + 1 + word.length > 72) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines.map((line) => `      ${line}`).join("\n");
}

const deviceHelp =
  "device node of the BMC, and no other way (default: the first of /dev/ipmi0, /dev/ipmi/0, /dev/ipmidev/0, then raw KCS where SMBIOS names its ports)";

type Options = Readonly<Record<string, string | true | undefined>>;

/** The table of keys tells them with their other names, so they are not among the options of the help. */
function addKeys(command: Command, taken: readonly Key[]): void {
  for (const key of taken) {
    if (key.notAsFlag) continue;
    const flag = key.placeholder ? `${flagOf(key)} <${key.placeholder}>` : flagOf(key);
    command.addOption(new Option(flag).hideHelp());
  }
}

/** The keys that were given, as they were typed. */
function flagsOf(options: Options): Map<KeyName, string> {
  const flags = new Map<KeyName, string>();
  for (const { name } of keys) {
    const value = options[name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (value !== undefined) flags.set(name, value === true ? "1" : value);
  }
  return flags;
}

/** Reads the command line (without the program's own name). Help and usage errors are written here. */
export function readInvocation(
  args: readonly string[],
  write: { readonly out: (text: string) => void; readonly error: (text: string) => void },
): Invocation {
  let invocation: Invocation = { command: "none", exitCode: ExitCode.usage };
  const program = new Command("metal-rivet")
    .description(
      "Fastens this machine to its BMC: finds out which machine it is and which BMC is its own, makes an account on it, and hands both over to the BMC service. Runs as root, from a boot ramdisk or as its init.",
    )
    .version(version, "-V, --version", "print the version")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: write.out,
      writeErr: (text) => write.error(hideTokens(text)),
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    .showHelpAfterError("Try --help.")
    .addHelpText(
      "after",
      `\nAs process 1 it is the init: it does \`run\` and takes its keys from the kernel\ncommand line only. As /inito it is a guest in another ramdisk: it brings up\nwhat is missing, does \`run\` within 120 s (rivet.limit=), puts all back, and\nends.\n\n${exitCodes}`,
    );

  const run = program
    .command("run")
    .description("link this machine to its BMC and follow the hand-off to the service")
    .option("--cmdline <FILE>", "read this file as kernel command line", "/proc/cmdline")
    .addHelpText(
      "after",
      `\nConfiguration: as flag, on the kernel command line, in the document; the first one\nwins.\n${keyHelp(keys, true)}\n\nThe document is JSON or YAML; pixie's /certs is understood too, and is read from\nPIXIE_API_URL of the kernel command line when no other document is there.\nThe kernel command line holds 2,048 bytes on x86.\n\nExamples:\n  metal-rivet run --config http://10.0.0.1/metal-rivet.yaml\n  metal-rivet run --service bmc.example.org:4443 --ca ca.pem --cert agent.pem \\\n    --key agent.key\n\n${exitCodes}`,
    );
  addKeys(run, keys);
  run.action((options: Options) => {
    invocation = { command: "run", flags: flagsOf(options), cmdline: String(options.cmdline) };
  });

  const planned: readonly Key[] = keys.filter(({ name }) => planKeys.includes(name));
  const plan = program
    .command("plan")
    .description("tell what `run` would do to the BMC; writes nothing and enrols nowhere")
    .option("--output <FORMAT>", "text, yaml or json", "text")
    .option("--device <PATH>", deviceHelp)
    .option("--account <NAME>", "user name of an account that an earlier run made on this BMC")
    .option("--cmdline <FILE>", "read this file as kernel command line", "/proc/cmdline")
    .addHelpText(
      "after",
      `\nConfiguration: as flag or on the kernel command line; no document is read.\n${keyHelp(planned, false)}\n\nIt does the run, but sends the BMC only what reads: every other command is kept\nback and listed, with user ID and name (the random part as stars) and without\nthe password. It needs no service and asks none, for that would enrol the\nmachine; so it does not know which accounts the service made here before. Name\none of those by --account to see how it is recognised, or replaced with\n--rotate. Which prefix and privilege the account gets is the service's policy;\nthe standard one is assumed. Whether the BMC takes a command is known only when\nit is sent.\n\nExamples:\n  metal-rivet plan\n  metal-rivet plan --account rivet7k2m9x0q4z --rotate\n  metal-rivet plan --output json | jq '.commands[] | [.command, .effect]'\n\nIt exits as the run would:\n${exitCodes}`,
    );
  addKeys(plan, planned);
  plan.action((options: Options & { output: string; device?: string; account?: string; cmdline: string }) => {
    const { device, account, cmdline } = options;
    // As other commands call what is for people.
    const output = options.output === "table" ? "text" : options.output;
    if (output !== "text" && output !== "yaml" && output !== "json") {
      throw new UsageError("--output", `"${output}" is not allowed; allowed: text, yaml or json`);
    }
    if (account !== undefined && !/^[\x21-\x7e]{1,16}$/.test(account)) {
      throw new UsageError("--account", `"${account}" is no user name of a BMC: 1 to 16 characters, ASCII`);
    }
    invocation = { command: "plan", output, device, account, flags: flagsOf(options), cmdline };
  });

  program
    .command("inspect")
    .description("print everything that can be found out about machine and BMC; changes nothing")
    .option("--output <FORMAT>", "table, yaml or json", "table")
    .option("--device <PATH>", deviceHelp)
    .option("--kcs <ADDRESS>", "where the BMC's KCS registers are, as io:0xca2,spacing=1")
    .addHelpText(
      "after",
      "\nNeeds no service and no configuration. Without a BMC it says which ways were tried\nand why each failed, and still exits 0. Passwords are neither read nor shown.\n\nExamples:\n  metal-rivet inspect\n  metal-rivet inspect --output json | jq .bmc.mac",
    )
    .action((options: { output: string; device?: string; kcs?: string }) => {
      const output = options.output === "text" ? "table" : options.output;
      if (output !== "table" && output !== "yaml" && output !== "json") {
        throw new UsageError("--output", `"${output}" is not allowed; allowed: table, yaml or json`);
      }
      const kcs = options.kcs === undefined ? undefined : parseKcsAddress(options.kcs);
      if (kcs === undefined && options.kcs !== undefined) {
        throw new UsageError("--kcs", `"${options.kcs}" is not allowed; allowed: ${allowedKcsAddresses}`);
      }
      invocation = { command: "inspect", output, device: options.device, kcs };
    });

  program
    .command("check")
    .description("tell whether a document of configuration is right; does nothing else")
    .argument("<FILE>", "JSON or YAML, as for `run --config`")
    .addHelpText(
      "after",
      "\nSays what is wrong and where: line and column, or the key. Keys that are not in it\nmay come from elsewhere, so none is missing. Exit code 0, or 78 if it is wrong.\n\nExample:\n  metal-rivet check site.yaml",
    )
    .action((file: string) => {
      invocation = { command: "check", file };
    });

  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { command: "none", exitCode: error.exitCode === 0 ? ExitCode.done : ExitCode.usage };
  }
  return invocation;
}
