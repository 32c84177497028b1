import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { cpioArchive } from "./cpio.ts";

test("GNU cpio reads the archive", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rivet-cpio-"));
  try {
    const archive = Buffer.concat(
      cpioArchive([
        [
          { kind: "character device", path: "dev/null", major: 1, minor: 3 },
          { kind: "file", path: "init", body: Buffer.from("odd length!"), mode: 0o755 },
          { kind: "link", path: "sbin/init", target: "../init" },
        ],
      ]),
    );
    const cpio = (...args: string[]) =>
      execa("cpio", args, { input: archive, cwd: folder, timeout: 10_000, env: { LC_ALL: "C", TZ: "UTC" } });
    const listed = await cpio("--list", "--verbose", "--numeric-uid-gid");
    const lines = listed.stdout.split("\n").map((line) => line.replace(/\s+/g, " "));
    expect(lines).toEqual([
      "drwxr-xr-x 2 0 0 0 Jan 1 1970 dev",
      "crw------- 1 0 0 1, 3 Jan 1 1970 dev/null",
      "-rwxr-xr-x 1 0 0 11 Jan 1 1970 init",
      "drwxr-xr-x 2 0 0 0 Jan 1 1970 sbin",
      "lrwxrwxrwx 1 0 0 7 Jan 1 1970 sbin/init -> ../init",
    ]);
    await cpio("--extract", "--make-directories", "--no-absolute-filenames", "init", "sbin/init");
    const { stdout } = await execa("cat", ["sbin/init"], { cwd: folder, timeout: 10_000 });
    expect(stdout).toBe("odd length!");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
