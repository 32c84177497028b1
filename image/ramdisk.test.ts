import { zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { packRamdisk, type RamdiskContents, ramdiskParts } from "./ramdisk.ts";
import { parseLdd } from "./shared-libraries.ts";

const contents: RamdiskContents = {
  agent: Buffer.alloc(100_000, "agent "),
  libraries: [{ path: "/lib64/ld-linux-x86-64.so.2", body: Buffer.from("linker") }],
  release: "6.1.0-0-amd64",
  modules: [{ file: { path: "kernel/igb.ko", needs: [] }, body: Buffer.from("module") }],
  aliases: "alias pci:* igb\n",
};

describe("ramdisk", () => {
  test("two builds of the same contents give the same bytes; another agent gives others", async () => {
    const [one, two] = [await packRamdisk(contents, 3), await packRamdisk(contents, 3)];
    expect(one.image.equals(two.image)).toBe(true);
    const other = await packRamdisk({ ...contents, agent: Buffer.from("other") }, 3);
    expect(other.image.equals(one.image)).toBe(false);
  });

  test("unpacks to the archive, and the sizes of the parts add up", async () => {
    const { image, parts } = await packRamdisk(contents, 3);
    expect(zstdDecompressSync(image).equals(Buffer.concat(ramdiskParts(contents)))).toBe(true);
    expect(parts.map(({ name }) => name)).toEqual(["base", "agent", "libraries", "modules"]);
    expect(parts.reduce((sum, { packed }) => sum + packed, 0)).toBe(image.length);
    expect(parts.every(({ packed }) => packed > 0)).toBe(true);
  });

  test("is one zstd frame, because the kernel stops at the end of the first", async () => {
    const { image } = await packRamdisk(contents, 3);
    expect(image.indexOf(Buffer.from("28b52ffd", "hex"), 1)).toBe(-1);
  });
});

describe("ldd's answer", () => {
  test("gives the paths as the linker opens them", () => {
    const text = [
      "\tlinux-vdso.so.1 (0x00007f4692484000)",
      "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f4691e1e000)",
      "\t/lib64/ld-linux-x86-64.so.2 (0x00007f4692486000)",
    ].join("\n");
    expect(parseLdd(text)).toEqual(["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
  });

  test("a missing library is an error that names it", () => {
    expect(() => parseLdd("\tlibatomic.so.1 => not found\n")).toThrow(/libatomic/);
  });
});
