import { join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";
import { makeDirectory } from "../make-directory.ts";
import { isThere } from "./is-there.ts";

const databaseIn = (data: string) => join(data, "bmc-service.db");

/**
 * The path of the database in a data directory, which is made if it is missing.
 * @throws ConfigError
 */
export async function databasePath(data: string): Promise<string> {
  try {
    await makeDirectory(data, 0o700);
  } catch (error) {
    throw new ConfigError("--data", `${data}: ${systemReason(error)}`, { cause: error });
  }
  return databaseIn(data);
}

/**
 * The path of a database that has to be there.
 * @throws ConfigError
 */
export async function existingDatabase(data: string): Promise<string> {
  const path = databaseIn(data);
  if (await databaseIsThere(path)) return path;
  throw new ConfigError("--data", `${path}: there is no such file; name the directory that the service has as --data`);
}

/** @throws ConfigError if that cannot be told */
export async function databaseIsThere(path: string): Promise<boolean> {
  try {
    return await isThere(path);
  } catch (error) {
    throw new ConfigError("--data", `${path}: ${systemReason(error)}`, { cause: error });
  }
}
