import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** Stand-ins for dpkg-query, apt-get and sudo come first in PATH, so that nothing is installed. */
const setup = join(import.meta.dirname, "setup.mjs");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rivet-setup-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** A clone in /root is closed to every other account, so these tests only claim not to be root. */
const asSomebody = ["--import", "data:text/javascript,process.getuid = () => 1000"];

async function run(args: readonly string[], notRoot = false, script = setup, others = `:${process.env.PATH}`) {
  return await execa(process.execPath, [...(notRoot ? asSomebody : []), script, ...args], {
    env: { PATH: `${folder}${others}` },
    reject: false,
    timeout: 20_000,
  });
}

describe("setup", () => {
  test("without root and with a sudo that asks, names the command to type and exits 78", async () => {
    await program("dpkg-query", "echo 'binutils ii '; exit 1");
    await program("sudo", "exit 1");
    const { exitCode, stderr } = await run(["--for", "image", "--", "echo", "ran"], true);
    expect(exitCode).toBe(78);
    expect(stderr).toMatch(/sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends [a-z0-9 -]*kmod/);
    expect(stderr).not.toMatch(/recommends [a-z0-9 -]*binutils/);
  });

  test("where there is no sudo, the command to type does without it", async () => {
    await program("dpkg-query", "exit 1");
    await rm(join(folder, "sudo"), { force: true });
    const { exitCode, stderr } = await run(["--for", "fast", "--", "echo", "ran"], true, setup, "");
    expect(exitCode).toBe(78);
    expect(stderr).toMatch(/ su - -c 'apt-get update && apt-get install -y --no-install-recommends libatomic1'$/m);
  });

  test("in a bare clone, the libraries of the pinned Node are there before npm runs anything on it", async () => {
    const clone = join(folder, "clone");
    await mkdir(join(clone, "test"), { recursive: true });
    await copyFile(setup, join(clone, "test/setup.mjs"));
    await writeFile(join(clone, "package-lock.json"), '{ "packages": {} }');
    await program("dpkg-query", `cat ${clone}/installed 2>/dev/null; exit 1`);
    await program("sudo", `shift; [ "$1" = true ] || exec "$@"`);
    await program("apt-get", `case "$*" in *" install "*) echo 'libatomic1 ii ' > ${clone}/installed;; esac`);
    await program("npm", `cat ${clone}/installed && mkdir -p node_modules/.bin && touch node_modules/.bin/node`);
    const { exitCode, stdout, stderr } = await run(
      ["--for", "fast", "--", "echo", "ran"],
      true,
      join(clone, "test/setup.mjs"),
    );
    expect(stderr).toMatch(/installing libatomic1.*running npm ci/s);
    expect([exitCode, stdout]).toEqual([0, "ran"]);
  });

  test("installs what is missing by sudo, then runs the command", async () => {
    const state = join(folder, "installed");
    await program("dpkg-query", `echo 'binutils ii '; cat ${state} 2>/dev/null; exit 0`);
    await program("sudo", `shift; [ "$1" = true ] || exec "$@"`);
    await program(
      "apt-get",
      `case "$*" in *install*) for name do :; echo "$name ii "; done > ${state};; esac; echo "apt-get $*" >&2`,
    );
    const { exitCode, stdout, stderr } = await run(["--for", "image", "--", "echo", "ran"], true);
    expect(stderr).toMatch(/installing [a-z0-9 -]*kmod/);
    expect(stderr.indexOf(" update")).toBeLessThan(stderr.indexOf(" install "));
    expect(stdout).toBe("ran");
    expect(exitCode).toBe(0);
  });

  test("is silent when nothing is missing; the command's exit code and signals pass through", async () => {
    await program("dpkg-query", "echo 'libatomic1 ii '");
    const done = await run(["--for", "fast", "--", "sh", "-c", "exit 7"]);
    expect([done.exitCode, done.stderr, done.stdout]).toEqual([7, "", ""]);

    const cleanUp = "trap 'echo cleaned; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    const child = execa(process.execPath, [setup, "--for", "fast", "--", "sh", "-c", cleanUp], {
      env: { PATH: `${folder}:${process.env.PATH}` },
      reject: false,
      timeout: 20_000,
    });
    child.stdout.once("data", () => child.kill("SIGTERM"));
    const ended = await child;
    expect([ended.exitCode, ended.stdout]).toEqual([3, "up\ncleaned"]);
  });

  test("an unknown purpose is wrong usage", async () => {
    const { exitCode, stderr } = await run(["--for", "everything"]);
    expect(exitCode).toBe(64);
    expect(stderr).toMatch(/fast\|build\|image/);
  });
});
