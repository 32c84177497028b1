import { randomUUID } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, refusal } from "../fixture/clients.ts";
import { mac1, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";
import { TokenMachine } from "../fixture/token-machine.ts";
import { newLog } from "../log.ts";
import { createCertificateAuthority } from "../pki/certificate-authority.ts";
import { runProgram } from "../program.ts";
import { parseAllowRule } from "./allow.ts";
import { type BootApiSettings, startBootApi } from "./boot-api.ts";

const stack = new AsyncDisposableStack();
let site: Site;
let service: TestService;
let images: string;

beforeAll(async () => {
  site = stack.use(await newSite());
  service = stack.use(await startTestService(site, new FakeBmc(mac1).connect));
  images = join(site.directory, "images");
  mkdirSync(images);
  for (const name of ["vmlinuz", "initramfs.img"]) writeFileSync(join(images, name), name);
});
afterAll(() => stack.disposeAsync());

const log: string[] = [];

function start(host: string, more: Partial<BootApiSettings> = {}) {
  const endpoint = { host, port: service.running.port };
  const anyPort = { host: "127.0.0.1", port: 0 };
  const settings: BootApiSettings = {
    ...{
      listen: anyPort,
      health: anyPort,
      url: new URL("http://boot.example.org"),
      pki: site.pki,
      role: "boot",
      images,
    },
    ...{ service: endpoint, serviceForMachines: endpoint },
    ...{ kernel: "vmlinuz", initrds: ["initramfs.img"], uki: "metal-rivet.efi", words: "", config: undefined },
    ...{ allow: [parseAllowRule("all")], tokenTtlMs: 60_000, mostPerMinute: 600, throughPixiecore: false },
    ...more,
  };
  return startBootApi(settings, { log: newLog("debug", { write: (line) => void log.push(line) }) });
}

async function tokenFrom(port: number, path: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  return /rvt_[0-9a-f]{48}/.exec(await answer.text())?.[0] ?? `none: ${answer.status}`;
}

describe("with the service itself", () => {
  test.each([
    ["127.0.0.1", "52:54:00:00:00:01", uuid1],
    ["localhost", "52:54:00:00:00:02", uuid2],
  ])("a token of a service at %s opens one enrolment", async (host, mac, uuid) => {
    await using server = await start(host);
    const path = `/v1/boot/${mac}`;
    const token = await tokenFrom(server.port, path);
    expect(await tokenFrom(server.port, path)).toBe(token);
    using machine = await TokenMachine.make(service.running.port, site.pki, uuid);
    await machine.beginWith(token);
    using other = await TokenMachine.make(service.running.port, site.pki, randomUUID());
    expect(await refusal(other.beginWith(token))).toMatchObject({ details: expect.stringContaining("it was used") });
  });

  test("a token for a UUID is another machine's to every other one", async () => {
    await using server = await start("127.0.0.1");
    const token = await tokenFrom(server.port, `/boot.ipxe?mac=52:54:00:00:00:03&uuid=${uuid1}`);
    using other = await TokenMachine.make(service.running.port, site.pki, uuid2);
    expect(await refusal(other.beginWith(token))).toMatchObject({
      details: expect.stringContaining("another machine"),
    });
  });

  test("the audit log says for whom and by whom", async () => {
    const { bmc } = service.admin;
    const { entries } = await call(bmc, bmc.listAudit, { limit: 100, key: "", before: 0n });
    const made = entries.filter(({ action, result }) => action === "CreateToken" && result === "OK");
    expect(made.map(({ actor, role }) => `${actor}/${role}`)).toContain("boot/boot");
    expect(made.map(({ detail }) => detail).join()).toContain("for 52:54:00:00:00:03, machine");
  });

  test("another CA than the service's is told, and no token is handed out", async () => {
    using foreign = await newSite();
    writeFileSync(join(foreign.pki, "ca.pem"), await foreignCa());
    await using server = await start("127.0.0.1", { pki: foreign.pki });
    expect(await tokenFrom(server.port, "/v1/boot/52:54:00:00:00:04")).toBe("none: 503");
    expect(log.join("")).toContain(`BMC service 127.0.0.1:${service.running.port}: `);
  });

  test("the certificate of a viewer makes none", async () => {
    using own = await newSite();
    for (const end of ["pem", "key"]) copyFileSync(join(own.pki, `viewer.${end}`), join(own.pki, `boot.${end}`));
    await using server = await start("127.0.0.1", { pki: own.pki });
    expect(await tokenFrom(server.port, "/v1/boot/52:54:00:00:00:05")).toBe("none: 503");
    expect(log.join("")).toContain('CreateToken needs role \\"operator\\"');
  });
});

const run = async (...args: string[]) => {
  const errors: string[] = [];
  const code = await runProgram(["boot-api", ...args], {
    environment: {},
    stop: async () => undefined,
    write: () => undefined,
    error: (text) => void errors.push(text),
    errorIsTerminal: false,
  });
  return { code, error: errors.join("") };
};

describe("the command", () => {
  const base = () => ["--listen", "127.0.0.1:0", "--pki", site.pki, "--images", images, "--log-level", "silent"];
  const told = () => [...base(), "--url", "http://10.0.0.1:8080", "--service", "10.0.0.1:4443"];

  test("starts, and ends when it is told to", async () => {
    expect(await run(...told(), "--allow", "all")).toEqual({ code: 0, error: "" });
  });

  test.each([
    [[], "--allow"],
    [["--allow", "everybody"], "allow <RULE>' argument 'everybody' is invalid. \"everybody\" is neither all"],
    [["--allow", "all", "--cmdline", "rivet.token=rvt_012345678901"], "rivet.token is not for every machine"],
    [["--allow", "all", "--url", "https://10.0.0.1"], "give http://HOST"],
    [["--allow", "all", "--url", "http://10.0.0.1/x"], "give http://HOST"],
    [["--allow", "all", "--max-boots", "0"], "give a number"],
  ])("%j is wrong usage", async (args, problem) => {
    const { code, error } = await run(...told(), ...args);
    expect({ code, error }).toEqual({ code: 64, error: expect.stringContaining(problem) });
  });

  test.each([
    [["--service", "127.0.0.1:4443"], "--service-for-machines: no other machine reaches 127.0.0.1:4443"],
    [["--service", "10.0.0.1:4443", "--token-ttl", "2h"], "--token-ttl: an hour"],
  ])("%j is a wrong configuration", async (args, problem) => {
    const { code, error } = await run(...base(), "--url", "http://10.0.0.1", "--allow", "all", ...args);
    expect({ code, error }).toEqual({ code: 78, error: expect.stringContaining(problem) });
  });
});

test("the example for systemd is a command that starts", async () => {
  const unit = readFileSync(join(import.meta.dirname, "..", "bmc-boot-api.service"), "utf8");
  const [, words = ""] = /^ExecStart=\S+bmc-service boot-api (.*)$/m.exec(unit) ?? [];
  const here: Record<string, string> = {
    "10.0.0.1:8080": "127.0.0.1:0 --url http://10.0.0.1:8080",
    "/etc/bmc-boot-api/pki": site.pki,
    "/srv/metal-rivet": images,
  };
  const args = words.split(" ").flatMap((word) => (here[word] ?? word).split(" "));
  expect(await run(...args, "--log-level", "silent")).toEqual({ code: 0, error: "" });
});

async function foreignCa(): Promise<string> {
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 60_000) };
  return (await createCertificateAuthority(validity)).certificate;
}
