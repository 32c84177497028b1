import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { filesHolding, ProcessWatch, textsHolding } from "./canary.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-canary-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the canary sings", () => {
  test.each([
    ["plain", "xx Hunter!2%-Az yy"],
    ["hexadecimal", Buffer.from("Hunter!2%-Az").toString("hex")],
    ["base64", Buffer.from("Hunter!2%-Az").toString("base64")],
    ["UTF-16", Buffer.from("Hunter!2%-Az", "utf16le")],
    ["percent-encoded", "?p=Hunter!2%25-Az"],
  ])("for a password in a file: %s", (_form, content) => {
    writeFileSync(join(directory, "some.log"), content);
    expect(filesHolding("Hunter!2%-Az", directory, [])).toEqual(["some.log"]);
  });

  test("not for a file without it, nor in a directory that is left out", () => {
    mkdirSync(join(directory, "flash"));
    writeFileSync(join(directory, "flash/users"), "Hunter!2%-Az");
    writeFileSync(join(directory, "other.log"), "Hunter!2");
    expect(filesHolding("Hunter!2%-Az", directory, ["flash"])).toEqual([]);
  });

  test("for a password in argv and in the environment", async () => {
    const watch = new ProcessWatch();
    await new Promise<void>((resolve) => {
      const env = { PATH: process.env.PATH, SECRET: "Canary7!x" };
      execFile("sh", ["-c", "sleep 0.4; :", "Hunter!2%-Az"], { env }, () => resolve());
    });
    await watch[Symbol.asyncDispose]();
    expect(textsHolding("Hunter!2%-Az", watch.seen)).not.toEqual([]);
    expect(textsHolding("Canary7!x", watch.seen)).not.toEqual([]);
    expect(textsHolding("NotThere1!", watch.seen)).toEqual([]);
  });
});
