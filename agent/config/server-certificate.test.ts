import { createServer as createPlainServer } from "node:http";
import { createServer, type Server } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, beforeAll, expect, test } from "vitest";
import { type Authority, makeAuthority, type Validity } from "../../outband-client/service/fixture/pki.ts";
import { retryWithCorrectClock } from "../clock/correct-clock.ts";
import { sntpReply, startSntpServer } from "../clock/sntp-server.fixture.ts";
import { readLocalSources, readSettings } from "../configure.ts";
import type { Console } from "../console.ts";
import { fetchDocument } from "./fetch-document.ts";
import { CertificateError } from "./server-certificate.ts";

const year = (number: number) => new Date(Date.UTC(number, 0, 1));
const past: Validity = { notBefore: year(2020), notAfter: year(2021) };
const future: Validity = { notBefore: year(2090), notAfter: year(2091) };
const publicAuthorities = getCACertificates("default");
const forever = new AbortController().signal;

/** Stands for a public authority. */
let known: Authority;
let unknown: Authority;
beforeAll(async () => {
  [known, unknown] = await Promise.all([makeAuthority("known"), makeAuthority("of the site")]);
  setDefaultCACertificates([...publicAuthorities, known.ca]);
  return () => setDefaultCACertificates(publicAuthorities);
});

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function start(authority: Authority, validity?: Validity, name = "127.0.0.1") {
  let asked = 0;
  const started = createServer(await authority.server([name], validity), (_, answer) => {
    asked += 1;
    answer.end("log: json\n");
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(started.address() as AddressInfo).port}/c.yaml?token=secret`;
  return { url, asked: () => asked, renew: async () => started.setSecureContext(await authority.server([name])) };
}

const failure = async (url: string, proxy?: string): Promise<CertificateError> => {
  const error: unknown = await fetchDocument(url, { limitMs: 5_000, proxy }).catch((each: unknown) => each);
  expect(error).toBeInstanceOf(CertificateError);
  return error as CertificateError;
};

test("a public authority's is good", async () => {
  const { url } = await start(known);
  expect(Buffer.from(await fetchDocument(url, { limitMs: 5_000 })).toString()).toBe("log: json\n");
});

test("a site's own authority: once, with ways out that are there at a console", async () => {
  const { url, asked } = await start(unknown);
  const { message, clockFault, code } = await failure(url);
  expect(message).toMatch(
    /^document https:\/\/127\.0\.0\.1:\d+\/c\.yaml\?\[hidden\]: document: the certificate of 127/,
  );
  expect(message).toContain("is of no public authority");
  expect(message).toContain("use http:// with rivet.ca_sha256=");
  expect(message).not.toMatch(/Node\.js|secret/);
  expect({ clockFault, code, asked: asked() }).toEqual({ clockFault: undefined, code: "configuration", asked: 0 });
});

test("another host's", async () => {
  const { url } = await start(known, undefined, "other.example.org");
  expect((await failure(url)).message).toContain("the certificate of 127.0.0.1 is for other names");
});

test.each([
  ["has expired", past, "expired"],
  ["is not yet valid", future, "not yet valid"],
] as const)("one that %s by the clock tells when it is valid", async (words, validity, kind) => {
  const { url, asked } = await start(known, validity);
  const { message, clockFault } = await failure(url);
  expect(message).toContain(`the certificate of 127.0.0.1 ${words} by the clock here, ${new Date().getUTCFullYear()}-`);
  expect(message).toContain("rivet.ntp=");
  expect(clockFault?.kind).toBe(kind);
  expect(clockFault?.validFrom.getTime()).toBeGreaterThanOrEqual(validity.notBefore.getTime());
  expect(asked()).toBe(0);
});

test("the clock says nothing of one that nobody known has signed, or that is for another host", async () => {
  for (const [authority, name] of [
    [unknown, "127.0.0.1"],
    [known, "other.example.org"],
  ] as const) {
    const { clockFault, message } = await failure((await start(authority, past, name)).url);
    expect(clockFault).toBeUndefined();
    expect(message).toContain("also of no public authority, or for another name");
    server?.close();
  }
});

test("with the clock set it is fetched again", async () => {
  // The chain is valid in 2020 only where the authority is: its own time counts as well.
  const { url, renew, asked } = await start(known, { notBefore: year(2020), notAfter: new Date(Date.now() - 1_000) });
  const fetch = () => fetchDocument(url, { limitMs: 5_000 });
  const said: string[] = [];
  const inside = new Date(Date.now() - 3_600_000);
  const world = {
    sources: [{ name: "the NTP server a", now: async () => inside }],
    now: () => new Date(),
    // Here it is the server that changes, because OpenSSL goes by the clock of the machine that tests run on.
    set: () => void renewed.push(renew()),
    note: (text: string) => void said.push(text),
    whose: "The document server's",
  };
  const renewed: Promise<void>[] = [];
  const bytes = await fetch().catch((error: Error) =>
    retryWithCorrectClock(
      error,
      async () => {
        await Promise.all(renewed);
        return await fetch();
      },
      world,
      forever,
    ),
  );
  expect(Buffer.from(bytes).toString()).toBe("log: json\n");
  expect(asked()).toBe(1);
  expect(said).toEqual([
    expect.stringMatching(/^The document server's certificate is expired by the clock: clock set from .*, by the NTP/),
  ]);
});

test("a run asks the servers of rivet.ntp for the time, which is told and not taken if it does not help", async () => {
  let questions = 0;
  await using ntp = await startSntpServer((nonce) => {
    questions += 1;
    return [sntpReply({ nonce, seconds: 3_155_587_200 })]; // the last day of 1999
  });
  const { url } = await start(known, past);
  const said: string[] = [];
  const from = readLocalSources(new Map(), Buffer.from(`rivet.config=${url} rivet.ntp=${ntp.server}`));
  const console = { note: (text: string) => void said.push(text) } as Console;
  await expect(readSettings(from, console, forever)).rejects.toBeInstanceOf(CertificateError);
  expect(questions).toBe(1);
  expect(said).toEqual([
    expect.stringContaining(`the NTP server ${ntp.server} says 1999-12-31T00:00:00`),
    expect.stringContaining("the certificate cannot tell how long ago it expired"),
  ]);
});

test("by a proxy it is the server's all the same", async () => {
  const { url } = await start(unknown);
  const proxy = createPlainServer().on("connect", ({ url: to = "" }, socket) => {
    const [host = "", port] = to.split(":");
    const onward = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    onward.on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { message } = await failure(url, `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  expect(message).toContain("the certificate of 127.0.0.1 is of no public authority");
  proxy.closeAllConnections();
  proxy.close();
});
