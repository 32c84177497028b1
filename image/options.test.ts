import { describe, expect, test } from "vitest";
import { readOptions, UsageError } from "./options.ts";

describe("options of the image builder", () => {
  test("each kind of machine has a folder of its own", () => {
    expect(readOptions("/p", [])).toMatchObject({ out: "/p/dist/image", target: { name: "x64", bios: true } });
    expect(readOptions("/p", ["--arch", "arm64"])).toMatchObject({
      out: "/p/dist/image-arm64",
      target: { name: "arm64", bios: false },
    });
  });

  test("key and certificate", () => {
    const { signWith } = readOptions("/p", ["--sign-key", "db.key", "--sign-cert", "db.crt"]);
    expect(signWith).toEqual({ keyFile: "db.key", certFile: "db.crt" });
  });

  test.each([
    [["--arch", "riscv"], /x64 or arm64/],
    [["--sign-key", "db.key"], /give both or none/],
    [["--command-line", "rivet.log=json rivet.token=rvt_x"], /no token and no key/],
    [["--command-line", "a=$b"], /without quotes/],
    [["--frobnicate"], /frobnicate/],
  ] as const)("%j is refused", (args, message) => {
    expect(() => readOptions("/p", args)).toThrow(UsageError);
    expect(() => readOptions("/p", args)).toThrow(message);
  });
});
