import { Command, CommanderError } from "commander";
import { ExitCode } from "../proto/exit-code.ts";
import { backupCommand } from "./commands/backup-command.ts";
import { bootApiCommand } from "./commands/boot-api-command.ts";
import { importKeyCommand } from "./commands/import-key-command.ts";
import { initPkiCommand } from "./commands/init-pki-command.ts";
import type { Output } from "./commands/output.ts";
import { rekeyCommand } from "./commands/rekey-command.ts";
import { restoreCommand } from "./commands/restore-command.ts";
import { serveCommand } from "./commands/serve-command.ts";
import { ConfigError } from "./config-error.ts";
import { StoreError } from "./store/store-error.ts";
import { version } from "./version.ts";

/** What the program may touch of its process. */
export interface ProgramWorld extends Output {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Resolves when the process is told to end. */
  readonly stop: () => Promise<unknown>;
}

const more = `
Every command has its own --help.

First steps:
  $ bmc-service init-pki --out pki --name bmc.example.org
  $ bmc-service serve --listen 0.0.0.0:4443 --data data --pki pki

Machines that boot from the network get kernel, ramdisk and a token:
  $ bmc-service boot-api --listen 10.0.0.1:8080 --service 10.0.0.1:4443 --pki pki --images dist/image --allow all

From time to time:
  $ bmc-service backup /srv/backup/bmc-service-monday.db --data data --pki pki

Exit codes follow sysexits: 0 done, 64 wrong usage, 70 a bug, 75 try again, 78 wrong configuration.
`;

/**
 * Runs one command line.
 * @param args without the program's own name
 * @returns the exit code; only a bug is thrown
 */
export async function runProgram(args: readonly string[], world: ProgramWorld): Promise<ExitCode> {
  const program = new Command("bmc-service")
    .description("The remote BMC service: machines enrol their BMCs here, operators control them from here.")
    .version(version, "--version", "print the version")
    .helpCommand(false)
    .addHelpText("after", more);
  program.addCommand(initPkiCommand(world));
  program.addCommand(serveCommand(world.environment, world.stop));
  program.addCommand(bootApiCommand(world.stop));
  program.addCommand(backupCommand(world, world.environment));
  program.addCommand(restoreCommand(world, world.environment));
  program.addCommand(rekeyCommand(world, world.environment));
  program.addCommand(importKeyCommand(world));
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .showHelpAfterError(`(${command === program ? "" : "bmc-service "}${command.name()} --help says more)`)
      .configureOutput({ writeOut: (text) => world.write(text), writeErr: (text) => world.error(text) });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return ExitCode.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    if (error instanceof ConfigError || error instanceof StoreError) {
      world.error(`bmc-service: ${error.message}\n`);
      return error instanceof StoreError && error.problem === "locked" ? ExitCode.temporary : ExitCode.configuration;
    }
    throw error;
  }
}
