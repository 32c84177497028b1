import "reflect-metadata";

import { KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BasicConstraintsExtension, X509CertificateGenerator } from "@peculiar/x509";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../config-error.ts";
import { parseCertificateName } from "./certificate-name.ts";
import { initPki } from "./init-pki.ts";
import { loadServerPki } from "./load-pki.ts";

let out: string;
const now = new Date("2026-01-15T12:00:00Z");
const options = () => ({ out, names: [], days: 730, force: false, now });
const read = (name: string) => readFileSync(join(out, name));

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "pki-"));
});

afterEach(() => rmSync(out, { recursive: true }));

test("fifteen files are written, keys for their owner alone", async () => {
  await initPki(options());
  const modes = readdirSync(out).map((name) => `${name} ${(statSync(join(out, name)).mode & 0o777).toString(8)}`);
  expect(modes).toEqual([
    "admin.key 600",
    "admin.pem 644",
    "agent.key 600",
    "agent.pem 644",
    "agents-ca.key 600",
    "agents-ca.pem 644",
    "boot.key 600",
    "boot.pem 644",
    "ca.pem 644",
    "operator.key 600",
    "operator.pem 644",
    "server.key 600",
    "server.pem 644",
    "viewer.key 600",
    "viewer.pem 644",
  ]);
});

test("names and addresses stand as what they are, the loopback ones always", async () => {
  const names = ["BMC.example.org", "10.0.0.5", "2001:db8::5", "localhost"].map(parseCertificateName);
  const made = await initPki({ ...options(), names });
  expect(new X509Certificate(read("server.pem")).subjectAltName).toBe(
    "DNS:bmc.example.org, IP Address:10.0.0.5, IP Address:2001:DB8:0:0:0:0:0:5, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
  );
  expect(made.names).toHaveLength(6);
});

test("each certificate is signed by the CA, carries its role, and ends when told", async () => {
  await initPki(options());
  const ca = new X509Certificate(read("ca.pem"));
  expect(ca.ca).toBe(true);
  for (const role of ["server", "agent", "boot", "viewer", "operator", "admin"]) {
    const certificate = new X509Certificate(read(`${role}.pem`));
    expect(certificate.verify(ca.publicKey) && certificate.checkIssued(ca) && !certificate.ca).toBe(true);
    expect(certificate.subject).toContain(`OU=${role}`);
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: "prime256v1" });
    expect(certificate.validFromDate.toISOString()).toBe("2026-01-14T12:00:00.000Z");
    expect(certificate.validToDate.toISOString()).toBe("2028-01-15T12:00:00.000Z");
  }
  expect(new X509Certificate(read("agent.pem")).subjectAltName).toBeUndefined();
});

test("the authority for agents is one of its own, and can be made for a site that has the rest", async () => {
  await initPki(options());
  const [site, agents] = [new X509Certificate(read("ca.pem")), new X509Certificate(read("agents-ca.pem"))];
  expect(agents.ca && agents.verify(agents.publicKey)).toBe(true);
  expect(agents.verify(site.publicKey)).toBe(false);
  expect(agents.subject).not.toBe(site.subject);
  rmSync(join(out, "agents-ca.pem"));
  rmSync(join(out, "agents-ca.key"));
  const made = await initPki({ ...options(), agentsCaOnly: true });
  expect(made.files).toEqual([join(out, "agents-ca.pem"), join(out, "agents-ca.key")]);
  expect((await loadServerPki(out, now)).agentsCa).toMatchObject({ name: { CN: "metal-rivet agents CA" } });
});

test("what is there already is not replaced unless told to", async () => {
  writeFileSync(join(out, "agent.key"), "precious");
  await expect(initPki(options())).rejects.toThrow(ConfigError);
  await expect(initPki(options())).rejects.toThrow("holds agent.key already; nothing was written");
  expect(readdirSync(out)).toEqual(["agent.key"]);
  await initPki({ ...options(), force: true });
  expect(readdirSync(out)).toHaveLength(15);
  expect(read("agent.key").toString()).toContain("PRIVATE KEY");
});

test("a directory that cannot be is named", async () => {
  writeFileSync(join(out, "file"), "");
  await expect(initPki({ ...options(), out: join(out, "file", "pki") })).rejects.toThrow(join(out, "file", "pki"));
});

describe("a name", () => {
  test.each([
    ["", "it is empty"],
    ["a b", '"a b" is no label'],
    ["-a.example", "no hyphen at its ends"],
    ["bmc.example:4443", "leave out the port"],
    ["[::1]", "without brackets"],
    ["https://bmc.example", "it is a URL"],
    ["*.example.org", "wildcards"],
    ["300.1.1.1", "not a number"],
    [`${"a".repeat(64)}.example`, "1 to 63"],
    [`${"abcdefg.".repeat(32)}example`, "at most 253"],
  ])("%j is refused: %s", (text, problem) => {
    expect(() => parseCertificateName(text)).toThrow(problem);
  });
});

describe("the server's files", () => {
  beforeEach(() => initPki(options()));

  test("are read", async () => {
    const { names, notAfter } = await loadServerPki(out, now);
    expect(names).toContain("DNS:localhost");
    expect(notAfter.toISOString()).toBe("2028-01-15T12:00:00.000Z");
  });

  test.each([
    ["server.pem", "garbage", "it is no PEM certificate"],
    ["ca.pem", "", "it is no PEM certificate"],
    ["server.key", "garbage", "it is no unencrypted PEM private key"],
  ])("%s with %j: %s", async (name, text, problem) => {
    writeFileSync(join(out, name), text);
    await expect(loadServerPki(out, now)).rejects.toThrow(`${join(out, name)}: ${problem}`);
  });

  test("that do not belong together are told apart", async () => {
    writeFileSync(join(out, "server.key"), read("agent.key"));
    await expect(loadServerPki(out, now)).rejects.toThrow("it is not the key of");
    const other = join(out, "other");
    await initPki({ ...options(), out: other });
    writeFileSync(join(other, "ca.pem"), read("ca.pem"));
    await expect(loadServerPki(other, now)).rejects.toThrow("it was not signed by");
    rmSync(join(other, "server.pem"));
    await expect(loadServerPki(other, now)).rejects.toThrow("there is no such file");
  });

  test("the authority for agents may be missing, but not be half there or another's", async () => {
    rmSync(join(out, "agents-ca.key"));
    await expect(loadServerPki(out, now)).rejects.toThrow(
      `${join(out, "agents-ca.key")} is missing, and ${join(out, "agents-ca.pem")} is there`,
    );
    await expect(loadServerPki(out, now)).rejects.toThrow(`bmc-service init-pki --out ${out} --agents-ca-only --force`);
    writeFileSync(join(out, "agents-ca.key"), read("agent.key"), { mode: 0o600 });
    await expect(loadServerPki(out, now)).rejects.toThrow("it is not the key of");
    writeFileSync(join(out, "agents-ca.pem"), read("agent.pem"));
    await expect(loadServerPki(out, now)).rejects.toThrow("it is no certificate of an authority");
    rmSync(join(out, "agents-ca.pem"));
    rmSync(join(out, "agents-ca.key"));
    expect((await loadServerPki(out, now)).agentsCa).toBeUndefined();
  });

  test.each([
    ["metal-rivet agents CA", "P-384", "its key is no EC key on the curve P-256"],
    ["metal-rivet CA", "P-256", "it has the name of the site's own authority"],
  ])("an authority for agents named %s with a key on %s: %s", async (name, namedCurve, problem) => {
    const algorithm = { name: "ECDSA", namedCurve, hash: "SHA-256" };
    const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
    const made = await X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: algorithm,
      notAfter: new Date("2030-01-01"),
      extensions: [new BasicConstraintsExtension(true)],
    });
    writeFileSync(join(out, "agents-ca.pem"), made.toString("pem"));
    const key = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" });
    writeFileSync(join(out, "agents-ca.key"), key, { mode: 0o600 });
    await expect(loadServerPki(out, now)).rejects.toThrow(`${join(out, "agents-ca.pem")}: ${problem}`);
  });

  test.each(["server.key", "agents-ca.key"])("with a %s that others may read are refused", async (name) => {
    chmodSync(join(out, name), 0o644);
    await expect(loadServerPki(out, now)).rejects.toThrow(`Type: chmod 600 ${join(out, name)}`);
  });

  test("with keys that a group may read are taken", async () => {
    for (const name of ["server.key", "agents-ca.key"]) chmodSync(join(out, name), 0o640);
    await expect(loadServerPki(out, now)).resolves.toBeDefined();
  });

  test("that are out of their time say when it was", async () => {
    await expect(loadServerPki(out, new Date("2028-02-01"))).rejects.toThrow("expired at 2028-01-15");
    await expect(loadServerPki(out, new Date("1970-01-02"))).rejects.toThrow("is the clock right?");
  });
});
