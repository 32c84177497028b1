import { describe, expect, test } from "vitest";
import { type CpioEntry, cpioArchive } from "./cpio.ts";

/** Reads the newc form independently of the writer. */
function readArchive(archive: Buffer) {
  const found: {
    path: string;
    mode: number;
    inode: number;
    owner: number[];
    time: number;
    device: number[];
    body: Buffer;
  }[] = [];
  for (let at = 0; ; ) {
    expect(archive.toString("latin1", at, at + 6)).toBe("070701");
    const number = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const [size, nameSize] = [number(6), number(11)];
    const path = archive.toString("utf8", at + 110, at + 110 + nameSize - 1);
    const bodyAt = at + Math.ceil((110 + nameSize) / 4) * 4;
    if (path === "TRAILER!!!") return found;
    const body = archive.subarray(bodyAt, bodyAt + size);
    const owner = [number(2), number(3)];
    found.push({
      path,
      mode: number(1),
      inode: number(0),
      owner,
      time: number(5),
      device: [number(9), number(10)],
      body,
    });
    at = bodyAt + Math.ceil(size / 4) * 4;
  }
}

const file = (path: string, text: string, mode?: number): CpioEntry => ({
  kind: "file",
  path,
  body: Buffer.from(text),
  ...(mode === undefined ? {} : { mode }),
});

describe("cpio archive", () => {
  test("holds what was put in, folders before what is in them", () => {
    const entries = readArchive(
      Buffer.concat(
        cpioArchive([
          [
            { kind: "character device", path: "dev/console", major: 5, minor: 1 },
            { kind: "folder", path: "tmp", mode: 0o1777 },
          ],
          [file("lib/b/two", "22", 0o755), file("lib/a", "1"), { kind: "link", path: "lib/z", target: "a" }],
        ]),
      ),
    );
    expect(entries.map(({ path, mode, body }) => [path, mode.toString(8), body.toString()])).toEqual([
      ["dev", "40755", ""],
      ["dev/console", "20600", ""],
      ["tmp", "41777", ""],
      ["lib", "40755", ""],
      ["lib/a", "100644", "1"],
      ["lib/b", "40755", ""],
      ["lib/b/two", "100755", "22"],
      ["lib/z", "120777", "a"],
    ]);
    expect(entries[1]?.device).toEqual([5, 1]);
    expect(new Set(entries.map(({ inode }) => inode)).size).toBe(entries.length);
    expect(entries.every(({ owner, time }) => owner.join() === "0,0" && time === 0)).toBe(true);
  });

  test("is the same for the same entries in another order, and of whole blocks", () => {
    const one = Buffer.concat(cpioArchive([[file("b", "x"), file("a/c", "y")]]));
    const two = Buffer.concat(cpioArchive([[file("a/c", "y"), file("b", "x")]]));
    expect(one.equals(two)).toBe(true);
    expect(one.length % 512).toBe(0);
  });

  test("a folder named in a later group is written once, with its own mode", () => {
    const paths = readArchive(
      Buffer.concat(cpioArchive([[{ kind: "folder", path: "etc", mode: 0o700 }], [file("etc/hosts", "h")]])),
    );
    expect(paths.map(({ path, mode }) => [path, mode.toString(8)])).toEqual([
      ["etc", "40700"],
      ["etc/hosts", "100644"],
    ]);
  });

  test.each(["/etc/hosts", "../etc", "a/../b", "", "a//b"])("refuses the path %j", (path) => {
    expect(() => cpioArchive([[file(path, "")]])).toThrow(/not a path within the archive/);
  });

  test("refuses a path that appears twice", () => {
    expect(() => cpioArchive([[file("a", "1")], [file("a", "2")]])).toThrow(/twice/);
  });
});
