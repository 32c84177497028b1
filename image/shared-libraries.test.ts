import { describe, expect, test } from "vitest";
import { parseLdd } from "./shared-libraries.ts";

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
