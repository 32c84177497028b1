import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";

/** What the linter has to say of import() in the folders that become programs. */
const root = join(import.meta.dirname, "..");
const folders = ["ipmi", "inband", "outband-client/cli", "agent/config", "bmc-service/store", "proto"];
const late = `export const read = async () => (await import("node:fs/promises")).readFile;\n`;
const own = `export const other = async () => await import("./other.ts");\n`;

test("import() of a module of Node is an error in what is built, and of a file of ours it is none", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rivet-late-"));
  try {
    const config = JSON.parse(await readFile(join(root, "biome.json"), "utf8"));
    await writeFile(join(folder, "biome.json"), JSON.stringify({ ...config, vcs: { enabled: false } }));
    await copyFile(join(root, "no-late-builtins.grit"), join(folder, "no-late-builtins.grit"));
    for (const each of folders) {
      await mkdir(join(folder, each), { recursive: true });
      for (const [name, text] of [
        ["late.ts", late],
        ["own.ts", own],
        ["late.test.ts", late],
      ] as const) {
        await writeFile(join(folder, each, name), text);
      }
    }
    const args = ["lint", "--max-diagnostics=none", "--reporter=github", "."];
    const { stdout } = await execa(join(root, "node_modules/.bin/biome"), args, {
      cwd: folder,
      reject: false,
      timeout: 20_000,
    });
    const found = [...stdout.matchAll(/^::error title=plugin,file=([^,]+),line=1,.*import\(\)/gm)].map(
      ([, file = ""]) => relative(folder, resolve(folder, file)),
    );
    expect(found.sort()).toEqual(folders.map((each) => `${each}/late.ts`).sort());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
