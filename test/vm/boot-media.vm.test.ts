import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { artifacts, ensureBuilt, repository } from "../lab/artifacts.ts";
import { type Firmware, startFromDisk, testCertificate, testKey } from "../lab/boot-media.ts";

const directory = mkdtempSync(join(tmpdir(), "rivet-media-"));
const signed = join(directory, "signed");
const unsigned = join(directory, "unsigned");
const bootLimitMs = 90_000;
const toolLimitMs = 300_000;

beforeAll(async () => {
  await ensureBuilt(join(directory, "build.log"));
  const keyFile = join(directory, "signing.key");
  await execa("openssl", ["rsa", "-in", testKey, "-passin", "pass:snakeoil", "-out", keyFile], {
    timeout: toolLimitMs,
  });
  const build = async (out: string, ...more: string[]) => {
    const words = ["image/build.ts", "--fast", "--agent", artifacts.metalRivet, "--out", out];
    // The last console is the one that the agent writes to.
    const toSerial = ["--command-line", "console=ttyS0,115200"];
    await execa(process.execPath, [...words, ...toSerial, ...more], { cwd: repository, timeout: toolLimitMs });
  };
  await build(unsigned);
  await build(signed, "--sign-key", keyFile, "--sign-cert", testCertificate);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Boots the stick's image and waits for a line of the serial port. */
async function bootStick(name: string, firmware: Firmware, folder: string, wanted: RegExp): Promise<string> {
  const own = join(directory, name);
  mkdirSync(own);
  await using machine = await startFromDisk(own, firmware, join(folder, "metal-rivet.img"));
  return await machine.console.waitFor(`${wanted} from ${firmware}`, bootLimitMs, (line) =>
    wanted.test(line) ? line : undefined,
  );
}

const firstLine = /^metal-rivet \S+ on \d/;

describe("the stick's image", () => {
  test("is less than 64 MB", () => {
    expect(statSync(join(unsigned, "metal-rivet.img")).size).toBeLessThan(64e6);
  });

  test("boots by BIOS", async () => {
    expect(await bootStick("bios", "bios", unsigned, firstLine)).toMatch(firstLine);
  });

  test("boots by UEFI, and the agent looks for its document there", async () => {
    expect(await bootStick("uefi", "uefi", unsigned, /metal-rivet\.yaml/)).toContain("metal-rivet.yaml");
  });

  test("boots where Secure Boot is enforced, if it is signed", async () => {
    expect(await bootStick("secure", "secure", signed, firstLine)).toMatch(firstLine);
  });

  test("is refused there if it is not", async () => {
    const line = await bootStick("refused", "secure", unsigned, /Access Denied|metal-rivet \S+ on/);
    expect(line).toContain("Access Denied");
  });
});
