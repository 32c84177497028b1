import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a directory with those above it; one that is there already stays as it is. Not by Node's own `recursive`: that
 * names a read-only file system "no such file", and never ends below /proc.
 * @throws the error of the system call
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A read-only file system may say so before it looks whether there is anything to do.
    if (code !== "ENOENT" && (await isDirectory(path))) return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path || (await isDirectory(parent))) throw error;
    await makeDirectory(parent, mode);
    await mkdir(path, mode);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
