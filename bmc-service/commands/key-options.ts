import type { Command } from "commander";
import { chooseKeySource, type KeySource } from "../store/key-file.ts";

/** What the commands that work with a data directory share. */
export interface KeyOptions {
  readonly data: string;
  readonly key?: string;
  readonly pki?: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export function addKeyOptions(command: Command): Command {
  return command
    .requiredOption("--data <DIR>", "data directory of the service")
    .option("--key <FILE>", "key of the secrets in the database, if the service has --key")
    .option("--pki <DIR>", "directory of the service's certificates; without --key the key is DIR/secret.key");
}

/** @throws ConfigError */
export function keySource({ key, pki }: KeyOptions, environment: Environment): Promise<KeySource> {
  return chooseKeySource({ key, pki }, environment);
}

/** For the end of a --help. */
export const keyHelp = `
The key is that of --key; else $CREDENTIALS_DIRECTORY/bmc-service.key, where systemd has set that; else PKI/secret.key.
`;

/** What a person is told of secrets that do not open: they are no reason to do without the rest. */
export function damagedText(places: readonly string[]): string {
  if (places.length === 0) return "";
  const named = places.slice(0, 5).join(", ");
  return `Damaged, and of no use any more: ${places.length} (${named}${places.length > 5 ? ", ..." : ""}).\n`;
}
