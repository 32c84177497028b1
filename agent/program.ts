import { Command, CommanderError, Option } from "commander";
import { ExitCode } from "../proto/exit-code.ts";
import { UsageError } from "./config/config-error.ts";
import { allowedValues, flagOf, type Key, type KeyName, kernelKeyOf, keys } from "./config/keys.ts";
import { version } from "./version.ts";

/** What the command line asks for. */
export type Invocation =
  | { readonly command: "run"; readonly flags: ReadonlyMap<KeyName, string>; readonly cmdline: string }
  | { readonly command: "inspect"; readonly output: "table" | "yaml" | "json"; readonly device: string | undefined }
  /** Help or version was shown, or a usage error was told. */
  | { readonly command: "none"; readonly exitCode: ExitCode };

const exitCodes = `Exit codes:
   0  done: linked, recognised, or no BMC there
  64  the command line is wrong
  69  service, document or network not reached within the limit
  70  a bug of metal-rivet (with its stack)
  75  may work the next time: the BMC is not ready or was not reached from remote
  76  the BMC broke the protocol, or another BMC answered
  77  refused: certificate, CA, or the BMC's login
  78  configuration: a key, a file, a certificate, or the firmware's SMBIOS table`;

/** The table of keys for an 80-column terminal. */
function keyHelp(): string {
  const rows = keys.map((key: Key) => {
    const placeholder = key.placeholder ? ` ${key.placeholder}` : "";
    const places = `${flagOf(key)}${placeholder}, ${kernelKeyOf(key)}=${key.notInDocument ? "" : `, ${key.name}`}`;
    const allowed = ["choice", "seconds", "number"].includes(key.type.kind) ? `; ${allowedValues(key.type)}` : "";
    const standard = key.default === undefined ? "" : `; default ${key.default}`;
    return `  ${places}\n${indented(`${key.description}${allowed}${standard}`)}`;
  });
  return `Configuration: as flag, on the kernel command line, in the document; the first one\nwins.\n${rows.join("\n")}`;
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
      writeErr: write.error,
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    .showHelpAfterError("Try --help.")
    .addHelpText(
      "after",
      `\nAs process 1 it is the init: it does \`run\` and takes its keys from the kernel\ncommand line only.\n\n${exitCodes}`,
    );

  const run = program
    .command("run")
    .description("link this machine to its BMC and follow the hand-off to the service")
    .option("--cmdline <FILE>", "read this file as kernel command line", "/proc/cmdline")
    .addHelpText(
      "after",
      `\n${keyHelp()}\n\nThe document is JSON or YAML; pixie's /certs is understood too, and is read from\nPIXIE_API_URL of the kernel command line when no other document is there.\nThe kernel command line holds 2,048 bytes on x86.\n\nExamples:\n  metal-rivet run --config http://10.0.0.1/metal-rivet.yaml\n  metal-rivet run --service bmc.example.org:4443 --ca ca.pem --cert agent.pem \\\n    --key agent.key\n\n${exitCodes}`,
    );
  for (const key of keys as readonly Key[]) {
    const flag = key.placeholder ? `${flagOf(key)} <${key.placeholder}>` : flagOf(key);
    // the table below the options tells them with their other names
    run.addOption(new Option(flag).hideHelp());
  }
  run.action((options: Record<string, string | true>) => {
    const flags = new Map<KeyName, string>();
    for (const key of keys) {
      const value = options[key.name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
      if (value !== undefined) flags.set(key.name, value === true ? "1" : value);
    }
    invocation = { command: "run", flags, cmdline: String(options.cmdline) };
  });

  program
    .command("inspect")
    .description("print everything that can be found out about machine and BMC; changes nothing")
    .option("--output <FORMAT>", "table, yaml or json", "table")
    .option("--device <PATH>", "device node of the BMC (default: the first of /dev/ipmi0, /dev/ipmi/0, /dev/ipmidev/0)")
    .addHelpText(
      "after",
      "\nNeeds no service and no configuration. Without a BMC it says which ways were tried\nand why each failed, and still exits 0. Passwords are neither read nor shown.\n\nExamples:\n  metal-rivet inspect\n  metal-rivet inspect --output json | jq .bmc.mac",
    )
    .action((options: { output: string; device?: string }) => {
      const { output } = options;
      if (output !== "table" && output !== "yaml" && output !== "json") {
        throw new UsageError("--output", `"${output}" is not allowed; allowed: table, yaml or json`);
      }
      invocation = { command: "inspect", output, device: options.device };
    });

  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { command: "none", exitCode: error.exitCode === 0 ? ExitCode.done : ExitCode.usage };
  }
  return invocation;
}
