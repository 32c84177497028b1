import { lstat, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ConfigError } from "../config-error.ts";

/** The files with which a service works. */
export interface OwnFiles {
  /** Path of the database. SQLite, the lock and restore have files of that name with something after it. */
  readonly database: string;
  /** Path of the key; `rekey` has files of that name with something after it. */
  readonly key: string;
  /** Directory of the certificates; undefined: not known here. */
  readonly pki: string | undefined;
}

/**
 * Refuses the name of a file that is the service's own, or would be taken for one, also where nothing of that name is there yet,
 * and by whatever road of links it is named.
 * @throws ConfigError, or the error of a system call
 */
export async function requireNotOwn(file: string, { database, key, pki }: OwnFiles): Promise<void> {
  const wanted = join(await realDirectory(file), basename(file));
  const own = await Promise.all([database, key].map(async (path) => join(await realDirectory(path), basename(path))));
  const inPki = pki !== undefined && /\.(pem|key)\b/.test(basename(file)) && dirname(wanted) === (await real(pki));
  const target = await real(file);
  const isOwn = own.some((path) => [wanted, target].some((name) => belongsTo(path, name)));
  if (!isOwn && !inPki && !(await isSameFile(file, own))) return;
  throw new ConfigError("FILE", `${file} is a file of the service itself: give another name, in another directory`);
}

/** "bmc-service.db-wal" and "secret.key.new" are not to be taken either. */
function belongsTo(path: string, name: string): boolean {
  return name === path || [`${path}.`, `${path}-`].some((beginning) => name.startsWith(beginning));
}

/** Whether it is a second name of one of them (a hard link). */
async function isSameFile(file: string, own: readonly string[]): Promise<boolean> {
  const [wanted, ...others] = await Promise.all([file, ...own].map(inodeOf));
  return wanted !== undefined && others.includes(wanted);
}

async function inodeOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(await realpath(path), { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    return unlessMissing(error);
  }
}

/** Where a link leads; the name itself if nothing is there. */
async function real(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    return unlessMissing(error) ?? path;
  }
}

const realDirectory = (path: string): Promise<string> => real(dirname(path));

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
  throw error;
}
