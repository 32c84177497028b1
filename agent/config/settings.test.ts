import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configTable, type KeyName, keys } from "../../proto/agent-keys.ts";
import { ConfigError, UsageError } from "./config-error.ts";
import { maxDocumentBytes, readDocument } from "./document.ts";
import { type DocumentDate, DocumentUnavailableError, fetchDocument } from "./fetch-document.ts";
import { makePair, type Pair } from "./pair.fixture.ts";
import { canGoOffline, completeSettings, findDocument, loadDocument, localSettings, type Source } from "./settings.ts";

const source = (kind: Source["kind"], values: Partial<Record<KeyName, string>>, after?: string): Source => ({
  kind,
  name: kind === "flag" ? "flags" : kind === "kernel" ? "kernel command line" : "document /c.yaml",
  values: new Map([...Object.entries(values), ...(after ? [["then", after]] : [])] as [KeyName, string][]),
});

let folder: string;
let pair: Pair;
let other: Pair;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rivet-config-"));
  [pair, other] = [makePair("agent"), makePair("other")];
  await Promise.all([
    writeFile(join(folder, "ca.pem"), pair.cert),
    writeFile(join(folder, "agent.pem"), pair.cert),
    writeFile(join(folder, "agent.key"), pair.key),
    writeFile(join(folder, "other.key"), other.key),
    writeFile(join(folder, "noise.pem"), "no certificate at all\n"),
    writeFile(
      join(folder, "garbled.pem"),
      "-----BEGIN CERTIFICATE-----\nMIIBAAAAAAAAAAAA\n-----END CERTIFICATE-----\n",
    ),
  ]);
});
afterAll(() => rm(folder, { recursive: true }));

const files = () => ({
  ca: join(folder, "ca.pem"),
  cert: join(folder, "agent.pem"),
  key: join(folder, "agent.key"),
});

test("a run that is longer than the BMC's watchdog counts is refused with it, wherever the two stand", () => {
  const longest = { limit: "6493" };
  expect(localSettings([source("kernel", { ...longest, watchdog: "1" })])).toMatchObject({ watchdog: true });
  expect(localSettings([source("kernel", { limit: "6494", watchdog: "0" })])).toMatchObject({ limitMs: 6_494_000 });
  const both = () => localSettings([source("kernel", { watchdog: "1" }), source("document", { limit: "6494" })]);
  expect(both).toThrow(ConfigError);
  expect(both).toThrow('document /c.yaml: limit: "6494" is too long; with watchdog at most 6493 seconds');
  const flag = () => localSettings([source("flag", { limit: "86400", watchdog: "1" })]);
  expect(flag).toThrow(ConfigError);
});

describe("a run that is kept on the stick", () => {
  const reportKey = `x25519:${"A".repeat(43)}=`;
  const local = { stick: "1", report_key: reportKey };

  test("needs no service", async () => {
    const settings = await completeSettings([
      source("kernel", { ...local, user_prefix: "rack7", privilege: "operator" }),
    ]);
    expect(settings).toMatchObject({ service: "", credentials: "none", reportKey });
    expect(settings.offlinePolicy).toEqual({ userNamePrefix: "rack7", privilege: 3 });
  });

  test("is the only one where it always is, and else only where no service is named", async () => {
    const named = { ...local, ...files(), service: "10.0.0.1:4443" };
    const online = await completeSettings([source("kernel", named)]);
    expect([online.service, canGoOffline(online)]).toEqual(["10.0.0.1:4443", true]);
    expect(await completeSettings([source("kernel", { ...named, offline: "1" })])).toMatchObject({
      credentials: "none",
    });
    expect(canGoOffline(localSettings([source("kernel", { ...named, offline: "0" })]))).toBe(false);
    await expect(completeSettings([source("kernel", { ...local, offline: "0" })])).rejects.toThrow(
      "service: is not set",
    );
  });

  test.each([
    [{ offline: "1", report_key: reportKey }, "configuration: stick: is not set, and offline=1 needs it"],
    [{ offline: "1", stick: "1" }, "configuration: report_key: is not set, and offline=1 needs it"],
    [{ stick: "1", report_key: "x25519:short" }, 'rivet.report_key: "x25519:short" is not allowed; allowed: what'],
    [{ stick: "1" }, "service: is not set"],
  ])("needs a stick and a key: %j", async (values, message) => {
    await expect(completeSettings([source("kernel", values)])).rejects.toThrow(message);
  });
});

describe("sources", () => {
  test("the first one wins, key by key", () => {
    const settings = localSettings([
      source("flag", { log: "json" }),
      source(
        "kernel",
        { log: "text", rotate: "yes", user_slot: "05", kcs: "IO:0xE4,spacing=4", ipmi_driver: "0" },
        "exec:/sbin/init2",
      ),
      source("document", { limit: "60", interface: "52-54-00-AA-BB-CC" }, "halt"),
    ]);
    expect(settings).toEqual({
      log: "json",
      afterwards: { action: "exec", path: "/sbin/init2" },
      rotate: true,
      userSlot: 5,
      harden: false,
      interface: "52:54:00:aa:bb:cc",
      limitMs: 60_000,
      tries: 10,
      stuck: "reboot",
      stuckLimitMs: 120_000,
      watchdog: false,
      networkLimitMs: 180_000,
      serviceLimitMs: 300_000,
      bmcLimitMs: 180_000,
      ntp: [],
      kcs: { port: 0xe4, spacing: 4 },
      ipmiDriver: false,
      stick: false,
      offline: "auto",
      reportKey: undefined,
      site: "",
      outcomeFile: "/run/metal-rivet/outcome.json",
      keepNetwork: false,
      screen: "auto",
      led: "auto",
      ip: undefined,
      vlan: undefined,
      proxy: undefined,
      offlinePolicy: { userNamePrefix: "rivet", privilege: 4 },
    });
    expect(localSettings([])).toMatchObject({ kcs: undefined, ipmiDriver: true });
    expect(localSettings([source("document", { site: "Rack 12, Hall B" })]).site).toBe("Rack 12, Hall B");
    const ntp = "ntp.example.org,10.0.0.1:1123,[fd00::1]";
    expect(localSettings([source("kernel", { ntp })]).ntp).toEqual(ntp.split(","));
  });

  test.each([
    ["log", "xml", '"xml" is not allowed; allowed: text or json'],
    ["rotate", "2", "allowed: 1, true, yes, on or 0, false, no, off"],
    ["user_slot", "1", "allowed: 2 to 63, a whole number"],
    ["user_slot", "64", "allowed: 2 to 63, a whole number"],
    ["limit", "9", "allowed: 10 to 86400 seconds, a whole number"],
    ["limit", "1e3", "allowed: 10 to 86400 seconds, a whole number"],
    ["service", "10.0.0.1", "allowed: HOST:PORT"],
    ["service", "10.0.0.1:65536", "allowed: HOST:PORT"],
    ["service", "http://10.0.0.1:1", "allowed: HOST:PORT"],
    ["then", "exec:relative", "allowed: wait, poweroff"],
    ["interface", "eth0;rm", "allowed: the name of an interface"],
    ["ntp", "10.0.0.1,", "allowed: HOST[:PORT][,HOST[:PORT]], at most 4"],
    ["ntp", "a,b,c,d,e", "at most 4"],
    ["ntp", "http://ntp", "at most 4"],
    ["kcs", "0xca2", "allowed: io:0xca2 or io:0xca2,spacing=N"],
    ["kcs", "mem:0xfed00ca2", "registers in memory (mem:) only the kernel's driver can reach"],
    ["kcs", "io:0x0", "allowed: io:0xca2"],
    ["kcs", "io:0xffff", "allowed: io:0xca2"],
    ["kcs", "io:0x10ca2", "allowed: io:0xca2"],
    ["kcs", "io:0xca2,spacing=3", "with 1, 2, 4, 8 or 16 bytes"],
    ["ipmi_driver", "2", "allowed: 1 or 0"],
    ["site", "x".repeat(65), "allowed: 1 to 64 printable ASCII characters"],
    ["site", "Halle 3, Süd", "allowed: 1 to 64 printable ASCII characters"],
    ["site", " Hall 3", "no space at either end"],
  ] as const)("%s=%s is refused, also when another source overrides it", (name, value, message) => {
    const good = source("flag", {
      log: "text",
      rotate: "0",
      limit: "10",
      service: "h:1",
      interface: "e",
    });
    const bad = () => localSettings([good, source("kernel", { [name]: value })]);
    expect(bad).toThrow(ConfigError);
    expect(bad).toThrow(`kernel command line: rivet.${name}: `);
    expect(bad).toThrow(message);
    expect(() => localSettings([source("flag", { [name]: value })])).toThrow(UsageError);
  });

  test("a bad value of the document is named by its key, a bad key text is not shown", async () => {
    const bad = source("document", { ...files(), service: "h:1", key: "s3cret" });
    await expect(completeSettings([bad])).rejects.toThrow("document /c.yaml: ca: is not a PEM text");
    const key = source("document", { service: "h:1", ca: pair.cert, cert: pair.cert, key: "s3cret" });
    await expect(completeSettings([key])).rejects.toThrow(/^document \/c.yaml: key: is not a PEM text((?!s3cret).)*$/);
  });

  test("what is missing is named with every place to give it", async () => {
    await expect(completeSettings([source("flag", {}), source("kernel", files())])).rejects.toThrow(
      "service: is not set (looked at: flags, kernel command line); give --service, rivet.service= or service in the document",
    );
  });

  test("the document is the given one, else the default one, else pixie's", async () => {
    const kernel = [source("kernel", { config: "http://u:p@h/c?t=1" })];
    const [yes, no] = [async () => true, async () => false];
    expect((await findDocument(kernel, "http://p", yes))?.source).toBe("document http://[hidden]@h/c?[hidden]");
    expect((await findDocument([], "http://p/", yes))?.location).toBe("/etc/metal-rivet/config.yaml");
    expect((await findDocument([], "http://p/", no))?.location).toBe("http://p/certs");
    expect(await findDocument([], undefined, no)).toBeUndefined();
  });

  test.each([
    ["http://10.0.1.1:4242", "http://10.0.1.1:4242/certs"],
    ["http://10.0.1.1:4242/", "http://10.0.1.1:4242/certs"],
    ["http://10.0.1.1:4242/certs", "http://10.0.1.1:4242/certs"],
    ["http://10.0.1.1:4242/certs/", "http://10.0.1.1:4242/certs"],
    ["https://pixie.example.org/a/", "https://pixie.example.org/a/certs"],
    ["http://[fd00::1]:4242/a/certs", "http://[fd00::1]:4242/a/certs"],
    ["http://10.0.1.1:4242/mycerts", "http://10.0.1.1:4242/mycerts/certs"],
    ["http://10.0.1.1:4242/certs?a=1", "http://10.0.1.1:4242/certs?a=1"],
  ])("PIXIE_API_URL=%s is asked at %s", async (given, asked) => {
    expect((await findDocument([], given, async () => false))?.location).toBe(asked);
  });
});

describe("certificates", () => {
  test("paths from flags, texts from a document", async () => {
    const fromFiles = await completeSettings([source("flag", { service: "h:1", ...files() })]);
    const inline = { service: "h:1", ca: pair.cert, cert: pair.cert, key: pair.key };
    const fromDocument = await completeSettings([source("document", inline)]);
    expect(fromFiles).toEqual(fromDocument);
    expect(fromFiles.credentials).toEqual({ ca: pair.cert, cert: pair.cert, key: pair.key });
  });

  test("neither certificate nor token: both ways are named", async () => {
    const { ca } = files();
    await expect(completeSettings([source("flag", { service: "h:1", ca })])).rejects.toThrow(
      "configuration: cert: there is neither a certificate nor an enrolment token; give cert and key, or an enrolment token " +
        "(bmcctl token create) as rivet.token= or token in the document",
    );
    await expect(completeSettings([source("flag", { service: "h:1", ca, cert: ca })])).rejects.toThrow(
      "key: is not set",
    );
  });

  test("a token takes the place of certificate and key; with them, it is kept beside", async () => {
    const token = `rvt_${"5e".repeat(24)}`;
    const { ca } = files();
    const kernel = source("kernel", { token });
    const alone = await completeSettings([kernel, source("flag", { service: "h:1", ca })]);
    expect(alone).toMatchObject({ credentials: { ca: pair.cert }, token: Buffer.from(token) });
    const both = await completeSettings([kernel, source("flag", { service: "h:1", ...files() })]);
    expect(both).toMatchObject({ credentials: { cert: pair.cert, key: pair.key }, token: Buffer.from(token) });
  });

  test("a bad token is not shown", () => {
    const bad = () => localSettings([source("kernel", { token: "s3cret" })]);
    expect(bad).toThrow("kernel command line: rivet.token: [hidden] is not allowed; allowed: the text that");
  });

  test("the pinned authority alone is trusted, wherever the others came from", async () => {
    const fingerprint = new X509Certificate(pair.cert).fingerprint256;
    for (const ca_sha256 of [fingerprint, fingerprint.replaceAll(":", "").toLowerCase()]) {
      const inline = { service: "h:1", ca: other.cert + pair.cert, cert: pair.cert, key: pair.key };
      const settings = await completeSettings([source("kernel", { ca_sha256 }), source("document", inline)]);
      expect(settings.credentials).toMatchObject({ ca: new X509Certificate(pair.cert).toString() });
    }
  });

  test("another authority than the pinned one is refused, also with a pin in the document itself", async () => {
    const ca_sha256 = new X509Certificate(other.cert).fingerprint256;
    const inline = { service: "h:1", ca: pair.cert, cert: pair.cert, key: pair.key };
    const settings = completeSettings([source("kernel", { ca_sha256 }), source("document", inline)]);
    await expect(settings).rejects.toThrow(ConfigError);
    await expect(settings).rejects.toThrow("document /c.yaml: ca: is not the certificate that ca_sha256 pins");
    await expect(readDocument(Buffer.from(`ca_sha256: ${ca_sha256}`), "d")).rejects.toThrow("unknown key");
  });

  test("without TLS nothing is read", async () => {
    const settings = await completeSettings([source("kernel", { service: "127.0.0.1:1", insecure_plaintext: "1" })]);
    expect(settings).toMatchObject({ credentials: "plaintext", token: undefined });
  });

  test.each([
    ["ca", "missing.pem", "cannot be read: there is no such file"],
    ["ca", "noise.pem", "holds no whole PEM certificate"],
    ["cert", "garbled.pem", "certificate 1 of 1 is garbled: "],
    ["cert", "agent.key", "holds a PRIVATE KEY, not a CERTIFICATE"],
    ["key", "agent.pem", "holds a CERTIFICATE, not a PRIVATE KEY"],
    ["key", "other.key", "does not belong to the certificate of rivet.cert"],
    ["key", ".", "cannot be read: it is a directory"],
  ] as const)("%s=%s: the file and the reason", async (name, file, reason) => {
    const bad = completeSettings([source("kernel", { service: "h:1", ...files(), [name]: join(folder, file) })]);
    await expect(bad).rejects.toThrow(ConfigError);
    await expect(bad).rejects.toThrow(`kernel command line: rivet.${name} ${join(folder, file)}: ${reason}`);
  });
});

describe("document", () => {
  const parse = (text: string | Uint8Array) =>
    readDocument(typeof text === "string" ? Buffer.from(text) : text, "document x");

  test("YAML and JSON", async () => {
    const yaml = await parse("service: 10.0.0.1:4443\nrotate: true\nlimit: 0060\nca: |\n  -----BEGIN\n  x\n");
    expect(Object.fromEntries(yaml.values)).toEqual({
      service: "10.0.0.1:4443",
      rotate: "true",
      limit: "0060",
      ca: "-----BEGIN\nx\n",
    });
    const json = await parse('{"service": "10.0.0.1:4443", "rotate": 1}');
    expect(Object.fromEntries(json.values)).toEqual({ service: "10.0.0.1:4443", rotate: "1" });
  });

  test("pixie's /certs", async () => {
    const { values, form } = await parse(
      JSON.stringify({
        debug: true,
        address: "10.0.0.1:50051",
        ca_cert: "C",
        cert: "D",
        key: "E",
        hmac: "h",
        logging: {},
      }),
    );
    expect(form).toBe("pixie");
    expect(Object.fromEntries(values)).toEqual({ service: "10.0.0.1:50051", ca: "C", cert: "D", key: "E" });
  });

  test.each([
    [["0.pool.ntp.org", "10.0.0.1"], "0.pool.ntp.org,10.0.0.1"],
    [["a", "http://b", 7, ["c"], "[fd00::1]:123", "d", "e", "f"], "a,7,[fd00::1]:123,d"],
    [["not a name"], undefined],
    [[], undefined],
    [null, undefined],
    ["a", undefined],
  ])("pixie's NTP servers %j are asked unless rivet.ntp names others", async (ntp_servers, ntp) => {
    const { values } = await parse(JSON.stringify({ ca_cert: "C", ntp_servers }));
    expect(values.get("ntp")).toBe(ntp);
    const document: Source = { name: "pixie", kind: "document", values };
    expect(localSettings([document]).ntp.join(",")).toBe(ntp ?? "");
    expect(localSettings([source("kernel", { ntp: "mine" }), document]).ntp).toEqual(["mine"]);
  });

  test.each([
    ["service: a\nservice: b", "line 2, column 1: neither JSON nor YAML: a key given twice"],
    ['{"service": "a"\n "log": "json"}', "line 2, column 2: neither JSON nor YAML: a missing"],
    ["service:\n\t- a", "line 2, column 1: neither JSON nor YAML: a tab"],
    ["log: text\nservce: a", 'line 2, column 1: unknown key "servce"; known are service, ca'],
    ["config: x", 'line 1, column 1: unknown key "config"'],
    ["log: [text]", "line 1, column 1: log: must have a single value"],
    ["log:", "line 1, column 1: log: must have a single value"],
    ["- a", "line 1, column 1: must be a mapping"],
    ["", "document: is empty, or holds comments (#) only"],
    ["# log: json\n", "document: is empty, or holds comments (#) only"],
    ["<html>\n<p>not found", "line 1, column 1: must be a mapping"],
  ])("refuses %j", async (text, message) => {
    await expect(parse(text)).rejects.toThrow(ConfigError);
    await expect(parse(text)).rejects.toThrow(`document x: ${message}`);
  });

  test("bytes that are no text, and too many of them", async () => {
    await expect(parse(Uint8Array.of(0xff, 0xfe, 0x61))).rejects.toThrow("document x: document: is not UTF-8 text");
    await expect(parse(new Uint8Array(maxDocumentBytes + 1))).rejects.toThrow("262145 bytes, more than 262144");
  });

  test("a syntax error never quotes what stands there", async () => {
    const secret = "Zm9vYmFyc2VjcmV0";
    for (const text of [
      `key: "${secret}`,
      `key: *${secret}`,
      `key: {${secret}`,
      `%${secret}\nkey: 1`,
      `key: !${secret} }`,
    ]) {
      await parse(text).then(
        () => undefined,
        (error: Error) => expect(error.message).not.toContain(secret),
      );
    }
  });

  test("the bytes of a document are wiped when it was read, or could not be", async () => {
    for (const text of ["token: rvt_0123456789abcdef", "token: [\n"]) {
      const bytes = Buffer.from(text);
      const url = { location: "http://10.0.0.1/c", source: "document http://10.0.0.1/c" };
      await loadDocument(url, async () => bytes).catch(() => undefined);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    }
  });

  test("a file that is not there", async () => {
    const missing = loadDocument({ location: "/nope.yaml", source: "document /nope.yaml" }, () => Promise.reject());
    await expect(missing).rejects.toThrow("document /nope.yaml: document: cannot be read: there is no such file");
  });
});

describe("document by HTTP", () => {
  let answers: { status: number; body?: string; location?: string }[] = [];
  const server = createServer((_request, response) => {
    const { status, body, location } = answers.shift() ?? { status: 404 };
    response.writeHead(status, location ? { location } : {}).end(body);
  });
  let url: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/c.yaml`;
  });
  afterAll(() => server.close());

  test("reads it after a 503, saying so, and follows a redirection", async () => {
    answers = [{ status: 503 }, { status: 302, location: "/d.yaml" }, { status: 200, body: "log: json" }];
    const said: string[] = [];
    const dates: DocumentDate[] = [];
    const bytes = await fetchDocument(url, {
      limitMs: 5_000,
      onDate: (date) => dates.push(date),
      onRetry: (attempt, waitMs, reason) => said.push(`${attempt} ${waitMs > 0} ${reason}`),
    });
    expect(Buffer.from(bytes).toString()).toBe("log: json");
    expect(said).toEqual(["1 true the server answers 503"]);
    expect(dates).toMatchObject([{ server: new URL(url).host, date: expect.any(Date) }]);
    expect(Math.abs(Date.now() - Number(dates[0]?.date))).toBeLessThan(5_000);
  });

  test("no way to the server is told without our own end of the connection", async () => {
    // no connection is made to a multicast address: as without a route
    await expect(fetchDocument("http://224.0.0.1:9/x", { limitMs: 100 })).rejects.toThrow(
      "not read within 0.1 s: connect ENETUNREACH 224.0.0.1:9; check the URL",
    );
  });

  test("404 and a flood of bytes are mistakes, not retried", async () => {
    answers = [{ status: 404 }];
    await expect(fetchDocument(url, { limitMs: 5_000 })).rejects.toThrow("the server answers 404; check the URL");
    answers = [{ status: 200, body: "x".repeat(maxDocumentBytes + 1) }];
    await expect(fetchDocument(url, { limitMs: 5_000 })).rejects.toThrow("is larger than 262144 bytes");
  });

  test("nobody there: retried until the limit, then said", async () => {
    const nobody = fetchDocument("http://127.0.0.1:1/c?token=t", { limitMs: 300 });
    await expect(nobody).rejects.toThrow(DocumentUnavailableError);
    await expect(nobody).rejects.toThrow(
      /document http:\/\/127.0.0.1:1\/c\?\[hidden\]: not read within 0.3 s: .*ECONNREFUSED/,
    );
  });
});

test("the table has one row a key", () => {
  const lines = configTable().split("\n");
  expect(lines).toHaveLength(keys.length + 2);
  expect(lines[2]).toBe(
    "| `--service HOST:PORT` | `rivet.service=` | `service` | - | address of the BMC service; its certificate must name this host |",
  );
  expect(new Set(lines.map((line) => line.replaceAll("\\|", "").split("|").length))).toEqual(new Set([7]));
});
