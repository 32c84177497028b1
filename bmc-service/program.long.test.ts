import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newSite, type Site } from "./fixture/service.ts";
import { runProgram } from "./program.ts";

let site: Site;

beforeEach(async () => {
  site = await newSite();
});

afterEach(() => site[Symbol.dispose]());

async function run(...args: string[]) {
  let out = "";
  let err = "";
  const code = await runProgram(args, {
    environment: {},
    errorIsTerminal: false,
    stop: async () => undefined,
    write: (text) => {
      out += text;
    },
    error: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

const serve = (...more: string[]) =>
  run(
    ...["serve", "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--data", site.data, "--pki", site.pki],
    ...["--log-level", "silent", ...more],
  );

describe("help", () => {
  test.each([[[]], [["init-pki"]], [["serve"]], [["backup"]], [["restore"]], [["rekey"]]])(
    "of %j has examples and exit codes",
    async (command) => {
      const { code, out } = await run(...command, "--help");
      expect(code).toBe(0);
      expect(out).toContain("$ bmc-service");
      expect(out).toContain("Exit codes");
    },
  );

  test("and version are no errors, nothing and nonsense are", async () => {
    expect(await run("--version")).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect((await run()).code).toBe(64);
    expect((await run("sreve")).code).toBe(64);
    expect(await run("serve", "--data", "x")).toMatchObject({ code: 64, err: expect.stringContaining("--pki") });
  });
});

test("a service that is told to stop ends with 0", async () => {
  expect(await serve()).toEqual({ code: 0, out: "", err: "" });
});

describe("init-pki", () => {
  test("says what it made", async () => {
    const out = join(site.directory, "new");
    const made = await run("init-pki", "--out", out, "--name", "bmc.example.org", "10.0.0.5", "--name", "10.0.0.6");
    expect(made.code).toBe(0);
    expect(made.out).toContain(join(out, "operator.key"));
    expect(made.out).toContain("bmc.example.org, 10.0.0.5, 10.0.0.6, localhost");
    const again = await run("init-pki", "--out", out);
    expect(again).toMatchObject({ code: 78, err: expect.stringContaining("--force") });
  });

  test("adds the authority for agents to a site that has the rest", async () => {
    for (const name of ["agents-ca.pem", "agents-ca.key"]) rmSync(join(site.pki, name));
    const made = await run("init-pki", "--out", site.pki, "--agents-ca-only");
    expect(made).toMatchObject({
      code: 0,
      out: expect.stringMatching(/agents-ca\.pem\n.*agents-ca\.key\nValid until/),
    });
    expect(await serve()).toMatchObject({ code: 0 });
  });

  test.each([
    ["--name", "bad_name"],
    ["--name", "host:1"],
    ["--days", "0"],
    ["--days", "9999"],
  ])("refuses %s %s", async (option, value) => {
    const out = join(site.directory, "new");
    const refused = await run("init-pki", "--out", out, option, value);
    expect(refused).toMatchObject({ code: 64, err: expect.stringContaining(value) });
    expect(readdirSync(site.directory)).toEqual(["pki"]);
  });
});

describe("serve refuses", () => {
  test("to speak without TLS to others than its own machine", async () => {
    const refused = await run(
      "serve",
      "--listen",
      "0.0.0.0:0",
      "--data",
      site.data,
      "--pki",
      site.pki,
      "--insecure-plaintext",
    );
    expect(refused).toMatchObject({ code: 78, err: expect.stringContaining("it serves 127.0.0.1 and [::1] only") });
  });

  test.each([
    ["--listen", "4443"],
    ["--listen", "127.0.0.1:99999"],
    ["--health", "::1:80"],
    ["--bmc-address", "52:54:00:b1:00:01"],
    ["--bmc-address", "52:54:00:b1:00=127.0.0.1:9001"],
    ["--bmc-address", "27:53:57:51:6b:c8=127.0.0.1:9001"],
    ["--bmc-address", "52:54:00:b1:00:01=127.0.0.1"],
    ["--bmc-networks", "10.0.0.0/33"],
    ["--bmc-networks", "10.0.0.0/8,bmc7"],
    ["--fresh-for", "soon"],
    ["--max-logins", "0"],
    ["--user-prefix", "Rivet"],
    ["--privilege", "god"],
    ["--log-level", "loud"],
  ])("%s %s as wrong usage", async (option, value) => {
    const refused = await serve(option, value);
    expect(refused).toMatchObject({ code: 64, err: expect.stringContaining(option) });
    expect(readdirSync(site.directory)).toEqual(["pki"]);
  });

  test("a directory without certificates", async () => {
    rmSync(join(site.pki, "server.key"));
    const refused = await serve();
    expect(refused).toMatchObject({ code: 78, err: expect.stringContaining(join(site.pki, "server.key")) });
    expect(readdirSync(site.directory)).toEqual(["pki"]);
  });

  test("a database of a newer schema, with both numbers", async () => {
    await serve();
    const database = new DatabaseSync(join(site.data, "bmc-service.db"));
    database.exec("PRAGMA user_version = 99");
    database.close();
    const refused = await serve();
    expect(refused.code).toBe(78);
    expect(refused.err).toMatch(/schema 99, this release knows up to schema \d+\./);
  });

  test("a database whose key is missing, or another one", async () => {
    await serve();
    const key = join(site.pki, "secret.key");
    rmSync(key);
    expect(await serve()).toMatchObject({ code: 78, err: expect.stringContaining(`${key} is missing`) });
    expect(readdirSync(site.pki)).not.toContain("secret.key");
    writeFileSync(key, `${Buffer.alloc(32, 1).toString("base64")}\n`, { mode: 0o600 });
    expect(await serve()).toMatchObject({ code: 78, err: expect.stringContaining("another key") });
  });

  test("a database that another service works with", async () => {
    await serve();
    const other = spawn(process.execPath, [
      ...[
        "-e",
        "new (require('node:sqlite').DatabaseSync)(process.argv[1]).exec('BEGIN EXCLUSIVE'); console.log('held'); setInterval(() => {}, 1000)",
      ],
      join(site.data, "bmc-service.db.lock"),
    ]);
    await once(other.stdout, "data");
    const refused = await serve();
    expect(refused).toMatchObject({ code: 75, err: expect.stringContaining("another bmc-service works with it") });
    other.kill("SIGKILL");
    await once(other, "exit");
    expect((await serve()).code).toBe(0);
  });

  test("what is no database", async () => {
    mkdirSync(site.data);
    writeFileSync(join(site.data, "bmc-service.db"), "x".repeat(5_000));
    writeFileSync(join(site.pki, "secret.key"), `${Buffer.alloc(32, 1).toString("base64")}\n`, { mode: 0o600 });
    expect(await serve()).toMatchObject({ code: 78, err: expect.stringContaining("no SQLite database") });
  });

  test("a data directory that is a file", async () => {
    writeFileSync(site.data, "");
    expect(await serve()).toMatchObject({ code: 78, err: expect.stringContaining(site.data) });
  });

  test("an address that is taken, and leaves nothing open", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    for (const option of ["--listen", "--health"]) {
      const refused = await serve(option, `127.0.0.1:${port}`);
      const said = `${option}: 127.0.0.1:${port}: another program listens there already (EADDRINUSE)`;
      expect(refused).toMatchObject({ code: 78, err: expect.stringContaining(said) });
    }
    await new Promise((resolve) => other.close(resolve));
    expect((await serve()).code).toBe(0);
  });
});
