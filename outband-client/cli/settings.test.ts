import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useFakeService } from "./fixture/hooks.ts";
import { run } from "./fixture/run.ts";

const inUse = useFakeService();

/** Nine names, each for eight of the one before. */
const bomb = [..."bcdefghi"]
  .map((name, i) => `${name}: &${name} [${Array(8).fill(`*${"abcdefgh"[i]}`).join(",")}]\n`)
  .join("");

describe("configuration", () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "bmcctl-home-"));
    await mkdir(join(home, ".config"));
    await mkdir(join(home, "xdg"));
  });
  afterAll(() => rm(home, { recursive: true }));

  const settings = () => `service: ${inUse.service.address}\npki: ${inUse.service.pki}\n`;

  test("comes from ~/.config/bmcctl.yaml", async () => {
    await writeFile(join(home, ".config/bmcctl.yaml"), `${settings()}output: json\n`);
    expect(JSON.parse((await run(["ls"], { env: { HOME: home } })).stdout)).toHaveLength(4);
    // A flag comes first.
    expect((await run(["ls", "--output", "table"], { env: { HOME: home } })).stdout).toMatch(/^MAC /);
    expect((await run(["ls", "--pki", "/nonexistent"], { env: { HOME: home } })).code).toBe(78);
  });

  test("comes from XDG_CONFIG_HOME, or from --config before that", async () => {
    const env = { HOME: "/nonexistent", XDG_CONFIG_HOME: join(home, "xdg") };
    await writeFile(join(home, "xdg/bmcctl.yaml"), settings());
    expect((await run(["ls"], { env })).code).toBe(0);
    await writeFile(join(home, "other.yaml"), "service: 127.0.0.1:1\npki: /nonexistent\n");
    expect((await run(["ls", "--config", join(home, "other.yaml")], { env })).stderr).toContain("/nonexistent/ca.pem");
  });

  test("a relative PKI directory is relative to the file, and ~ is the home directory", async () => {
    await writeFile(join(home, "relative.yaml"), `service: ${inUse.service.address}\npki: some/pki\n`);
    expect((await run(["ls", "--config", join(home, "relative.yaml")])).stderr).toContain(`${home}/some/pki/ca.pem`);
    await writeFile(join(home, "tilde.yaml"), `service: ${inUse.service.address}\npki: ~/p\n`);
    const { stderr } = await run(["ls", "--config", join(home, "tilde.yaml")], { env: { HOME: "/home/me" } });
    expect(stderr).toContain("/home/me/p/ca.pem: no such file");
  });

  test.each([
    ["service: [\n", ":2:1: not YAML"],
    ["service: a:1\n  pki: x\n", "1:"],
    ["service: a:1\nservice: b:1\n", ":2:1: not YAML"],
    ["pki: /p\nsevrice: a:1\n", ':2:10: unknown key "sevrice"; the keys are service, pki, role, output, timeout'],
    ["service: 5\n", ":1:10: service: give a text"],
    ["service: nowhere\n", ":1:10: service address"],
    ["output: xml\n", ":1:9: output: give table, yaml, json"],
    ["role: root\n", ":1:7: role: give viewer, operator, admin"],
    ["timeout: -1\n", ":1:10: timeout: give seconds"],
    ["timeout: 1e30\n", ":1:10: timeout: give seconds"],
    ["pki: /p\nservice: *nowhere\n", ":2:10: not YAML: the anchor of *nowhere is missing"],
    [`a: &a [x,x,x,x,x,x,x,x]\n${bomb}`, "not YAML: Excessive alias count"],
    ["- service\n", "the keys are"],
    ["just text\n", "the keys are"],
  ])("%j is exit code 78 with file, line and column", async (text, said) => {
    const file = join(home, "bad.yaml");
    await writeFile(file, text);
    const { code, stderr } = await run(["ls", "--config", file]);
    expect(code).toBe(78);
    expect(stderr.startsWith(`bmcctl: ${file}`)).toBe(true);
    expect(stderr).toContain(said);
  });

  test("an empty file is no configuration at all: exit code 64 says what is missing", async () => {
    const file = join(home, "empty.yaml");
    await writeFile(file, "# nothing\n");
    const { code, stderr } = await run(["ls", "--config", file]);
    expect(code).toBe(64);
    expect(stderr).toContain(`give --service HOST:PORT, or "service:" in ${file}`);
    expect((await run(["ls", "--config", file, "--service", "a:1"])).stderr).toContain("--pki DIR");
  });

  test("a named file that is missing is exit code 78", async () => {
    expect(await run(["ls", "--config", "/nonexistent/c.yaml"])).toMatchObject({
      code: 78,
      stderr: "bmcctl: /nonexistent/c.yaml: no such file\n",
    });
  });

  test.each([
    ["ca.pem", "hello", "there is no certificate"],
    ["operator.pem", "", "there is no certificate"],
    ["operator.key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "cannot be used"],
    ["operator.key", undefined, "no such file"],
  ])("a PKI directory with a bad %s (%j) is exit code 78 and names the file", async (name, content, said) => {
    const pki = join(home, "pki");
    await cp(inUse.service.pki, pki, { recursive: true });
    if (content === undefined) await rm(join(pki, name));
    else await writeFile(join(pki, name), content);
    const { code, stderr } = await run(["ls", "--service", inUse.service.address, "--pki", pki]);
    expect(code).toBe(78);
    expect(stderr).toContain(`bmcctl: ${join(pki, name)}: `);
    expect(stderr).toContain(said);
    expect(stderr).not.toContain("c2VjcmV0");
  });

  test("a key that others may read is used, with a warning", async () => {
    const pki = join(home, "open");
    await cp(inUse.service.pki, pki, { recursive: true });
    const key = join(pki, "operator.key");
    const there = ["--service", inUse.service.address, "--pki", pki, "ls"];
    await chmod(key, 0o640);
    const { code, stderr } = await run(there);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `bmcctl: warning: others may read ${key} (mode 0640); chmod 600 keeps it yours\n`,
    });
    await chmod(key, 0o600);
    expect((await run(there)).stderr).toBe("");
  });

  test("a role without files is exit code 78 and says which roles there are", async () => {
    const { code, stderr } = await run([
      "--service",
      inUse.service.address,
      "--pki",
      inUse.service.pki,
      "--role",
      "viewer",
      "ls",
    ]);
    expect(code).toBe(78);
    expect(stderr).toContain(join(inUse.service.pki, "viewer.pem"));
    expect(stderr).toContain("; it has the files for --role operator, --role admin\n");
    const asOperator = ["--service", inUse.service.address, "--pki", inUse.service.pki];
    expect((await run([...asOperator, "--role", "root", "ls"])).code).toBe(64);
    expect((await run([...asOperator, "ls"])).code).toBe(0);
  });
});
