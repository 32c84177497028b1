import { styleText } from "node:util";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import { hideTokens } from "../../proto/hide-tokens.ts";
import { addAudit } from "./commands/audit.ts";
import { addBoot } from "./commands/boot.ts";
import { addConflicts } from "./commands/conflicts.ts";
import { addDelete } from "./commands/delete.ts";
import { addDescribe } from "./commands/describe.ts";
import { addHistory } from "./commands/history.ts";
import { addImport } from "./commands/import.ts";
import { addLed } from "./commands/led.ts";
import { addLs } from "./commands/ls.ts";
import { addPower } from "./commands/power.ts";
import { addRotate } from "./commands/rotate.ts";
import { addToken } from "./commands/token.ts";
import { addUpdate } from "./commands/update.ts";
import { addWatch } from "./commands/watch.ts";
import { exitCodeHelp, explain, helpAdvice } from "./failure.ts";
import { mostSeconds, outputFormats, roles } from "./settings.ts";
import { type World, wantsColour } from "./world.ts";

/** Set by the bundler. */
declare const METAL_RIVET_VERSION: string | undefined;
const version = typeof METAL_RIVET_VERSION === "string" ? METAL_RIVET_VERSION : "0.1.0-dev";

/** Each adds one command. Order is the order of --help. */
const commands = [
  addLs,
  addDescribe,
  addPower,
  addBoot,
  addLed,
  addHistory,
  addWatch,
  addUpdate,
  addRotate,
  addDelete,
  addImport,
  addToken,
  addConflicts,
  addAudit,
];

/**
 * The operator's command: runs it and says how it ended. Never throws; all failures go to stderr.
 * "interrupted" means that Ctrl-C came before the command's own end.
 */
export async function bmcctl(world: World): Promise<ExitCode | "interrupted"> {
  const made = program(world);
  let typed = made.name();
  made.hook("preAction", (_program, command) => {
    typed = fullName(command);
  });
  try {
    await made.parseAsync(world.args, { from: "user" });
    return ExitCode.done;
  } catch (error) {
    // Commander has said what is wrong on stderr, or has shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    if (world.interrupt.aborted) return "interrupted";
    const { exitCode, message, advice } = explain(error, typed);
    const name = wantsColour(world.stderr, world.env)
      ? styleText("red", "bmcctl:", { validateStream: false })
      : "bmcctl:";
    world.stderr.write(`${name} ${hideTokens(message)}\n${advice === undefined ? "" : `  ${advice}\n`}`);
    return exitCode;
  }
}

function program(world: World): Command {
  const made = new Command("bmcctl")
    .description("See and control BMCs through the BMC service.")
    .version(version, "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .addOption(new Option("--service <host:port>", "BMC service; a DNS name, an IPv4 address or [an IPv6 address]"))
    .addOption(new Option("--pki <dir>", "directory with ca.pem and the role's .pem and .key"))
    .addOption(new Option("--role <role>", "whose certificate to use (default: operator)").choices(roles))
    .addOption(new Option("--output <format>", "form of the output").choices(outputFormats))
    .addOption(new Option("--timeout <seconds>", "longest wait for one answer").argParser(parseSeconds))
    .option("--insecure-plaintext", "no TLS and no certificates; only to a service on 127.0.0.1 or [::1]")
    .addOption(new Option("--config <file>", "configuration file (default: ~/.config/bmcctl.yaml)"))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => world.stdout.write(text),
      writeErr: (text) => world.stderr.write(text),
      outputError: (text, write) => write(hideTokens(withoutValue(text)).replace(/^error: /, "bmcctl: ")),
      getOutHelpWidth: () => 120,
      getErrHelpWidth: () => 120,
    })
    .exitOverride()
    .addHelpText(
      "after",
      `
service, pki, role, output and timeout may stand in the configuration file instead ("service: bmc.example.org:4443");
what is given here comes first. Connections are TLS 1.3 with certificates on both sides.
A viewer sees everything but secrets; an operator controls and changes; an admin also deletes, decides conflicts and reads the
audit log.

Examples:
  bmcctl --service 127.0.0.1:4443 --pki ./pki ls
  bmcctl describe 92:33:b8:0e:df:8f
  bmcctl power 92:33:b8:0e:df:8f cycle
  bmcctl update 92:33:b8:0e:df:8f --user admin --password-file ./password
  bmcctl rotate 92:33:b8:0e:df:8f
${exitCodeHelp}`,
    );
  for (const add of commands) add(made, world);
  pointToHelp(made);
  return made;
}

/** After an error in the use of a command, that command's own help is named. */
function pointToHelp(command: Command): void {
  command.showHelpAfterError(`  ${helpAdvice(fullName(command))}`);
  for (const each of command.commands) pointToHelp(each);
}

/** "bmcctl token create" */
function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

/** An option that does not exist may have a secret as its value: --password=... */
function withoutValue(text: string): string {
  return text.replace(/(unknown option '-[^=']*)=.*'/s, "$1'");
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= mostSeconds)) {
    throw new InvalidArgumentError(`Give seconds, more than 0 and at most ${mostSeconds}.`);
  }
  return seconds;
}
