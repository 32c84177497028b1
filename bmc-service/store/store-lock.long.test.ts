import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const asRoot = ["--user", "--map-root-user", "--mount"];
const mayMount = spawnSync("unshare", [...asRoot, "true"]).status === 0;
/** Root in a CI job may mount: there it fails rather than being skipped. */
const mustMount = Boolean(process.env.CI) && process.getuid?.() === 0;

test.runIf(mayMount || mustMount)("the lock is taken on a full disk too (needs unshare and user namespaces)", () => {
  const directory = mkdtempSync(join(tmpdir(), "store-lock-"));
  try {
    const module = join(import.meta.dirname, "store-lock.ts");
    const program = `import { StoreLock } from ${JSON.stringify(module)}; new StoreLock(process.argv[1], 0); console.log("held")`;
    const script =
      'mount -t tmpfs -o size=100k none "$1" || exit 9; head -c 200k /dev/zero > "$1/fill" 2>/dev/null; ' +
      'exec "$2" --input-type=module -e "$3" "$1/x.db"';
    const run = ["sh", "-c", script, "sh", directory, process.execPath, program];
    const { stdout, stderr } = spawnSync("unshare", [...asRoot, ...run], { encoding: "utf8" });
    expect({ stdout, stderr }).toEqual({ stdout: "held\n", stderr: "" });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
