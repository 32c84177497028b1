import { chown, stat } from "node:fs/promises";

/** Gives a file to whom another one belongs, when root works with the files of the service's user: that must read it too. */
export async function giveToOwnerOf(like: string, path: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(like);
  await chown(path, uid, gid);
}
