import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeToken } from "../../bmc-service/tokens/token-text.ts";
import { valuesHolding } from "./search.ts";

/* The kernel command line may hold a token. The program reads it once, and never says it. */

const program = join(import.meta.dirname, "../../agent/main.ts");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-cmdline-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A pipe with a name in the place of /proc/cmdline: whoever opens it gets the line, and is counted. */
class CountedFile {
  readonly path = join(directory, "cmdline");
  opened = 0;
  readonly #line: string;
  readonly #served: Promise<void>;
  #ended = false;

  constructor(line: string) {
    this.#line = line;
    this.#make();
    this.#served = this.#serve();
  }

  #make(): void {
    rmSync(this.path, { force: true });
    execFileSync("mkfifo", [this.path]);
  }

  async #serve(): Promise<void> {
    for (;;) {
      // This waits until somebody reads.
      const reader = await open(this.path, "w");
      // The next one has a pipe of its own.
      this.#make();
      await reader.write(this.#line);
      await reader.close();
      if (this.#ended) return;
      this.opened += 1;
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    await readFile(this.path);
    await this.#served;
  }
}

async function runWith(line: string): Promise<{ opened: number; said: string; exitCode: number }> {
  const file = new CountedFile(line);
  const args = ["--disable-warning=ExperimentalWarning", program, "run", "--cmdline", file.path];
  const child = spawn(process.execPath, args);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      said += data.toString();
    });
  }
  const [exitCode] = await once(child, "close");
  await file.end();
  return { opened: file.opened, said, exitCode: Number(exitCode) };
}

const token = makeToken().text.toString();

test.each([
  ["shown as [hidden] where it is wrong", `${token}\u00e9`, "rivet.token: [hidden] holds bytes", 78],
  ["not shown where it is right", token, "document http://127.0.0.1:1/none: ", 69],
])("a token on the kernel command line is read once, and %s", async (_title, given, told, code) => {
  // It gets no further than to its document: this machine has a BMC perhaps.
  const others = "quiet rivet.log=json rivet.config=http://127.0.0.1:1/none rivet.service_limit=1";
  const { opened, said, exitCode } = await runWith(`${others} rivet.token=${given}`);
  expect(said).toContain(told);
  expect(exitCode, said).toBe(code);
  expect(opened).toBe(1);
  expect(valuesHolding(token, { said })).toEqual([]);
});
