import type { World } from "./world.ts";

/**
 * Warns of a file with a secret that others may read.
 * @param mode as stat tells it
 */
export function warnIfOpen(path: string, mode: number, stderr: World["stderr"]): void {
  if ((mode & 0o044) === 0) return;
  const bits = (mode & 0o777).toString(8).padStart(4, "0");
  stderr.write(`bmcctl: warning: others may read ${path} (mode ${bits}); chmod 600 keeps it yours\n`);
}
