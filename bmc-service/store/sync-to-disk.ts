import { open } from "node:fs/promises";

/** Resolves when a file's content, or the names in a directory, outlast a loss of power. */
export async function syncToDisk(path: string): Promise<void> {
  const opened = await open(path, "r");
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
