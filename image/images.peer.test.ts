import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, test, vi } from "vitest";

// Made by `npm run image`, which `npm test` runs before this.
const root = join(import.meta.dirname, "..");
const folder = join(root, "dist/image");
const agent = join(root, "dist/metal-rivet");
const scratch = mkdtempSync(join(tmpdir(), "rivet-images-"));
/** A build packs 90 MB, on a machine that may have other things to do. */
const limitMs = 240_000;
vi.setConfig({ testTimeout: limitMs });
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const build = (out: string, ...more: string[]) =>
  execa(process.execPath, ["image/build.ts", "--fast", "--agent", agent, "--out", out, ...more], {
    cwd: root,
    timeout: limitMs,
    reject: false,
  });
const artefactsIn = (out: string): unknown => JSON.parse(readFileSync(join(out, "manifest.json"), "utf8")).artefacts;

describe("the stick's image", () => {
  const image = join(folder, "metal-rivet.img");
  const partition = `${image}@@1M`;
  const read = async (path: string): Promise<string> =>
    (await execa("mtype", ["-i", partition, `::/${path}`], { timeout: limitMs })).stdout;

  test("is less than 64 MB, with one active FAT32 partition behind the first megabyte", () => {
    expect(statSync(image).size).toBeLessThan(64e6);
    const sector = readFileSync(image).subarray(0, 512);
    expect(sector.readUInt16LE(510)).toBe(0xaa55);
    expect([sector[446], sector[450], sector.readUInt32LE(454)]).toEqual([0x80, 0x0c, 2048]);
    expect(sector.subarray(462, 510).every((byte) => byte === 0)).toBe(true);
  });

  test("has a sound file system by the name RIVET with what people need, and room", async () => {
    const whole = readFileSync(image);
    const file = join(scratch, "partition");
    writeFileSync(file, whole.subarray(1024 * 1024));
    await execa("fsck.vfat", ["-n", file], { timeout: limitMs, env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
    const { stdout } = await execa("mdir", ["-/", "-i", partition, "::/"], { timeout: limitMs });
    expect(stdout).toMatch(/Volume in drive : is RIVET/);
    for (const name of ["BOOTX64", "metal-rivet.yaml", "README", "reports"]) expect(stdout).toContain(name);
    const free = /([\d ]+) bytes free/.exec(stdout)?.[1]?.replaceAll(" ", "");
    expect(Number(free)).toBeGreaterThan(8e6);
    expect(await read("metal-rivet.yaml")).toMatch(/^#service: /m);
  });

  test("holds a document that --config names, for the builder's eyes only", async () => {
    const [document, out] = [join(scratch, "site.yaml"), join(scratch, "with-document")];
    writeFileSync(document, "service: bmc.example.org:4443\ntoken: rvt_0123456789ab_secret\n");
    const { exitCode, stdout, stderr } = await build(out, "--config", document);
    expect(exitCode, stderr).toBe(0);
    expect(`${stdout}${stderr}`).not.toContain("secret");
    const made = join(out, "metal-rivet.img");
    expect(statSync(made).mode & 0o777).toBe(0o600);
    expect(readFileSync(made).includes(readFileSync(document))).toBe(true);
    for (const other of ["initramfs.img", "metal-rivet.efi", "metal-rivet.spdx.json", "manifest.json"]) {
      expect(readFileSync(join(out, other)).includes("rvt_0123456789ab_secret"), other).toBe(false);
    }
  });

  test("is not built with a document that is wrong: line and column are told", async () => {
    const document = join(scratch, "bad.yaml");
    writeFileSync(document, "then: poweroff\nservice: 'x\n");
    const { exitCode, stderr } = await build(join(scratch, "never"), "--config", document);
    expect(exitCode).toBe(78);
    expect(stderr).toMatch(/bad\.yaml: line \d+, column \d+: /);
  });
});

test.each([
  ["--sign-key", "nowhere.pem", 64, "cannot read"],
  ["--sign-cert", "nowhere.pem", 64, "cannot read"],
  ["--sign-key", "text.pem", 78, "not a PEM file without passphrase"],
  ["--sign-key", "other.key", 78, "does not belong to the certificate"],
])("%s %s is refused before anything is built", async (option, name, code, words) => {
  writeFileSync(join(scratch, "text.pem"), "neither key nor certificate\n");
  for (const pair of ["own", "other"]) {
    const [key, cert] = ["key", "pem"].map((suffix) => join(scratch, `${pair}.${suffix}`)) as [string, string];
    const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", cert];
    await execa("openssl", request, { timeout: limitMs });
  }
  const signing = { "--sign-key": join(scratch, "own.key"), "--sign-cert": join(scratch, "own.pem") };
  const files = Object.entries({ ...signing, [option]: join(scratch, name) }).flat();
  const { exitCode, stderr } = await build(join(scratch, "never"), ...files);
  expect([exitCode, stderr]).toEqual([code, expect.stringContaining(words)]);
  expect(stderr).toContain(`${option}: `);
});

test.each(["/usr/bin", "package.json", "/dev/zero"])("--agent %s is refused: it is no program", async (path) => {
  const { exitCode, stderr } = await build(join(scratch, "never"), "--agent", path);
  expect([exitCode, stderr]).toEqual([64, expect.stringContaining(`--agent: ${path} is no program for x64`)]);
});

test("the same sources in another folder, by another person, give the same bytes", async () => {
  const one = join(scratch, "one");
  expect((await build(one)).exitCode).toBe(0);
  // Beside the first one: the modules are hard links then, and the commit is the same.
  const elsewhere = mkdtempSync(join(root, "dist/other place-"));
  try {
    const { stdout } = await execa("git", ["ls-files", "-z", "--cached"], { cwd: root, timeout: limitMs });
    await execa("cpio", ["--pass-through", "--null", "--make-directories", "--quiet", elsewhere], {
      ...{ cwd: root, input: stdout, timeout: limitMs },
    });
    await execa("cp", ["-al", join(root, "node_modules"), elsewhere], { timeout: limitMs });
    const commands = [
      "umask 077",
      '"$0" build.mjs --only metal-rivet',
      '"$0" image/build.ts --fast --agent dist/metal-rivet',
    ].join(" && ");
    const node = join(elsewhere, "node_modules/.bin/node");
    const env = { TZ: "Asia/Kolkata", LC_ALL: "tr_TR.UTF-8", HOME: elsewhere };
    await execa("sh", ["-c", commands, node], { cwd: elsewhere, env, timeout: limitMs });
    expect(readFileSync(join(elsewhere, "dist/metal-rivet")).equals(readFileSync(agent))).toBe(true);
    expect(artefactsIn(join(elsewhere, "dist/image"))).toEqual(artefactsIn(one));
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
});

test("the overlay's agent runs with nothing but its own folder", async () => {
  const out = join(scratch, "plain");
  expect((await build(out, "--plain-overlay")).exitCode).toBe(0);
  const ramdisk = join(scratch, "ramdisk");
  mkdirSync(ramdisk);
  await execa("cpio", ["--extract", "--quiet", "--make-directories"], {
    cwd: ramdisk,
    input: readFileSync(join(out, "overlay.img")),
    timeout: limitMs,
  });
  // What a guest mounts ends with the namespace, before the folder is removed.
  const inside = ["--map-root-user", "--mount", "chroot", ramdisk, "/inito", "--version"];
  const { stdout } = await execa("unshare", inside, { timeout: limitMs });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+/m);
});
