import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readDocument } from "../../agent/config/document.ts";
import { completeSettings } from "../../agent/config/settings.ts";
import { readLocalSources } from "../../agent/configure.ts";
import { explainFailure } from "../../agent/failure.ts";
import { readInvocation } from "../../agent/program.ts";
import { requireUuid } from "../../bmc-service/rpc/fields.ts";
import { makeToken } from "../../bmc-service/tokens/token-text.ts";
import { run } from "../../outband-client/cli/fixture/run.ts";
import { Random } from "../fuzz/random.ts";
import { valuesHolding } from "./search.ts";

/* People mistype: a token or a password in the wrong place is not quoted by who complains of it. */

const token = makeToken().text.toString();
const password = 'Hu~ter!2%<A"z-9x';
const secrets = [token, password];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-canary-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was wrong with it");
}

const finds = (error: unknown) => valuesHolding(secrets, { error, told: explainFailure(error) });

const otherKeys = "rivet.service=10.0.0.1:4443 rivet.ca=/nonexistent/ca.pem";

test.each([
  "rivet.toekn=TOKEN",
  "rivet.token:TOKEN",
  "rivet.tokenTOKEN",
  "rivet.TOKEN",
  "rivet.token.TOKEN=1",
  "rivet.token=TOKEN rivet.token=TOKEN",
  "rivet.token=TOKEN,TOKEN",
  "rivet.token=TOKEN\u00e9",
  "rivet.token=rivet.token=TOKEN",
  "rivet.service=TOKEN",
  "rivet.service=https://TOKEN@10.0.0.1:4443/",
  "rivet.ca=TOKEN",
  "rivet.ca_sha256=TOKEN",
  "rivet.kcs=TOKEN",
  "rivet.then=TOKEN",
  "rivet.limit=TOKEN",
  "PIXIE_API_URL=TOKEN rivet.nothing=1",
  `rivet.token=TOKEN ${"x".repeat(1_980)}`,
  `${"x".repeat(1_985)} rivet.token=TOKEN`,
])("kernel command line %j", async (line) => {
  const text = line.replaceAll("TOKEN", token);
  const cmdline = `${text.includes("rivet.service") || text.includes("rivet.ca=") ? "" : otherKeys} ${text}`.slice(
    0,
    2047,
  );
  const error = await failureOf(() => {
    const from = readLocalSources(new Map(), Buffer.from(cmdline, "latin1"));
    return completeSettings(from.sources);
  });
  expect(finds(error)).toEqual([]);
});

describe("configuration document", () => {
  const settle = async (text: string) => {
    const document = await readDocument(Buffer.from(text), "document http://10.0.0.1/rivet.yaml");
    const source = { name: "document", kind: "document" as const, values: document.values };
    return await completeSettings([source]);
  };

  test.each([
    "token:TOKEN",
    "token TOKEN",
    "TOKEN",
    "- TOKEN",
    "TOKEN: 1",
    "tokken: TOKEN",
    "token: [TOKEN",
    "token: [TOKEN]",
    'token: "TOKEN',
    'token: "TOKEN\\q"',
    "token: {a: TOKEN}",
    "token: TOKEN: 1",
    "token: *TOKEN",
    "token: !TOKEN x",
    "token: @TOKEN",
    "token: `TOKEN`",
    "%TOKEN\n---\nservice: 10.0.0.1:4443",
    "token: TOKEN\n\tservice: 10.0.0.1:4443",
    "token: TOKEN\n service: 10.0.0.1:4443",
    "token: TOKEN\ntoken: TOKEN",
    "token: TOKEN\n---\ntoken: TOKEN",
    "? [TOKEN]\n: 1",
    "service: TOKEN",
    "ca: TOKEN",
    "cert: TOKEN",
    "key: TOKEN",
    '{"token": "TOKEN",, "service": "10.0.0.1:4443"}',
    '{"token": "TOKEN"',
    "ca_cert: TOKEN\naddress: TOKEN",
  ])("%j", async (text) => {
    expect(finds(await failureOf(() => settle(text.replaceAll("TOKEN", token))))).toEqual([]);
  });

  test("with a character changed anywhere", async () => {
    const random = new Random(1);
    const valid = `service: 10.0.0.1:4443\ntoken: ${token}\nca: |\n  -----BEGIN CERTIFICATE-----\n`;
    let refused = 0;
    for (let i = 0; i < 300; i += 1) {
      const at = random.below(valid.length - token.length - 40);
      const from = at < valid.indexOf(token) ? at : at + token.length;
      const character = "{}[]:,\"'&*!|>%@`#?-\t\n \u0000"[random.below(24)] ?? "";
      const changed = valid.slice(0, from) + character + valid.slice(from + random.below(2));
      const error = await failureOf(() => settle(changed));
      refused += 1;
      expect(finds(error), changed).toEqual([]);
    }
    expect(refused).toBe(300);
  });
});

test.each([
  [["run", `--token=${token}`]],
  [["run", "--token", token]],
  [["run", token]],
  [[token]],
  [["run", "--service", token]],
  [["plan", "--output", token]],
  [["inspect", "--kcs", token]],
])("metal-rivet %j", async (args) => {
  const said: string[] = [];
  const write = (text: string) => said.push(text);
  const invocation = await Promise.try(() => readInvocation(args, { out: write, error: write })).catch(
    (error: unknown) => explainFailure(error),
  );
  if ("flags" in invocation) {
    const error = await failureOf(() => readLocalSources(invocation.flags, Buffer.alloc(0)));
    expect(finds(error)).toEqual([]);
  }
  expect(valuesHolding(secrets, { said, invocation: "flags" in invocation ? "" : invocation })).toEqual([]);
});

describe("bmcctl", () => {
  const mac = "52:54:00:b1:00:01";
  const somewhere = ["--service", "127.0.0.1:1", "--pki", "/nonexistent"];

  test.each([
    [["update", mac, "--user", "ADMIN", `--password=${password}`]],
    [["update", mac, "--user", "ADMIN", "--password", password]],
    [["update", mac, "--user", "ADMIN", "--password-file", password]],
    [["update", mac, "--user", password]],
    [["describe", token]],
    [["token", "revoke", token]],
    [["token", "revoke", `${token}!`]],
    [["token", "create", "--machine", token]],
    [["token", "create", "--ttl", token]],
    [["ls", token]],
    [[token]],
    [["ls", "--service", token]],
    [["ls", "--role", token]],
  ])("%j", async (args) => {
    const { code, stdout, stderr } = await run([...somewhere, ...args]);
    expect(code).not.toBe(0);
    expect(valuesHolding(secrets, { stdout, stderr })).toEqual([]);
  });

  test.each([
    ["two lines", `${password}\n${password}\n`],
    ["too long", `${password}${password}`],
    ["a byte that is no text", `${password}\u0007`],
    ["in YAML", `password: ${password}`],
  ])("a password file: %s", async (_what, content) => {
    const file = join(directory, "password");
    writeFileSync(file, content, { mode: 0o600 });
    const args = [...somewhere, "update", mac, "--user", "ADMIN", "--password-file"];
    for (const ran of [await run([...args, file]), await run([...args, "-"], { stdin: content })]) {
      expect(ran.code).toBe(78);
      expect(valuesHolding(secrets, ran as never)).toEqual([]);
    }
  });
});

test("the service, where a token is given as UUID", async () => {
  const error = await failureOf(() => requireUuid("machine_uuid", token));
  expect(valuesHolding(secrets, { error })).toEqual([]);
});
