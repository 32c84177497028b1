import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { artifacts } from "../lab/artifacts.ts";

/** The built agent and a config document that is a file: a built program loads its parts in ways of its own. */
let folder: string;
let document: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "config-file-"));
  document = join(folder, "doc.json");
  writeFileSync(document, JSON.stringify({ service: "127.0.0.1:1", log: "loud" }));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(cmdline: string, ...args: string[]) {
  const path = join(folder, "cmdline");
  writeFileSync(path, `${cmdline}\n`);
  const { exitCode, stdout, stderr } = await execa(artifacts.metalRivet, ["run", "--cmdline", path, ...args], {
    reject: false,
    timeout: 30_000,
  });
  // Lines for people end at column 80.
  return { exitCode, said: `${stdout}\n${stderr}`.replaceAll("\n", " ") };
}

describe.each([
  ["by --config", (path: string) => run("", "--config", path)],
  ["on the kernel command line", (path: string) => run(`rivet.config=${path}`)],
])("a document that is named %s", (_how, runWith) => {
  test("is read, and what is wrong in it is told", async () => {
    const { exitCode, said } = await runWith(document);
    expect(said).toContain(`document ${document}: log: "loud" is not allowed`);
    expect(said).not.toContain("bug");
    expect(exitCode).toBe(78);
  });

  test("and is not there ends with exit code 78 and says so", async () => {
    const path = join(folder, "nowhere.json");
    const { exitCode, said } = await runWith(path);
    expect(said).toContain(`document ${path}: document: cannot be read: there is no such file`);
    expect(exitCode).toBe(78);
  });
});
