import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { newSite, type Site } from "../fixture/service.ts";
import { newLog } from "../log.ts";
import { parseAllowRule } from "./allow.ts";
import { type BootApiSettings, type RunningBootApi, startBootApi } from "./boot-api.ts";
import { FakeTokenMaker } from "./fixture/fake-token-maker.ts";
import { smallUki } from "./fixture/small-uki.ts";
import { readUkiCommandLine } from "./uki-command-line.ts";

const mac = "52:54:00:12:34:56";
const uuid = "37c43c25-69fe-4f88-b69d-4e71dc4070d0";
const publicUrl = "http://boot.example.org:8080";
const anyPort = { host: "127.0.0.1", port: 0 };

let site: Site;
let images: string;
let log: string[];
let maker: FakeTokenMaker;
let server: RunningBootApi | undefined;

beforeAll(async () => {
  // The keys of all tests of a file are made once.
  (await newSite())[Symbol.dispose]();
});
beforeEach(async () => {
  site = await newSite();
  images = join(site.directory, "images");
  mkdirSync(images);
  writeFileSync(join(images, "vmlinuz"), "kernel");
  writeFileSync(join(images, "initramfs.img"), "0123456789");
  log = [];
  maker = new FakeTokenMaker();
});
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
  site[Symbol.dispose]();
});

async function start(more: Partial<BootApiSettings> = {}): Promise<void> {
  const settings: BootApiSettings = {
    ...{ listen: anyPort, health: anyPort, url: new URL(publicUrl), pki: site.pki, role: "boot", images },
    ...{ service: { host: "127.0.0.1", port: 4443 }, serviceForMachines: { host: "bmc.example.org", port: 4443 } },
    ...{ kernel: "vmlinuz", initrds: ["initramfs.img"], uki: "metal-rivet.efi", words: "quiet", config: undefined },
    ...{ allow: [parseAllowRule("all")], tokenTtlMs: 900_000, mostPerMinute: 600, throughPixiecore: false },
    ...more,
  };
  server = await startBootApi(settings, { log: newLog("debug", { write: (line) => void log.push(line) }), maker });
}

const here = () => `http://127.0.0.1:${server?.port}`;
const get = (path: string, init: RequestInit = {}) => fetch(`${here()}${path}`, init);
const textOf = async (path: string) => (await get(path)).text();
const metrics = async () => (await fetch(`http://127.0.0.1:${server?.healthPort}/metrics`)).text();
const caSha256 = () =>
  new X509Certificate(readFileSync(join(site.pki, "ca.pem"))).fingerprint256.replaceAll(":", "").toLowerCase();

describe("pixiecore's API", () => {
  test("kernel, ramdisks, and a command line whose only secret is a token for one enrolment", async () => {
    await start();
    const answer = await get(`/v1/boot/${mac}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    const spec = (await answer.json()) as Record<string, unknown>;
    expect(spec).toEqual({
      kernel: `${here()}/images/vmlinuz`,
      initrd: [`${here()}/images/initramfs.img`],
      cmdline: expect.stringMatching(
        new RegExp(
          `^quiet rootfstype=ramfs rivet\\.config=${publicUrl}/config\\.yaml rivet\\.ca_sha256=${caSha256()} rivet\\.token=rvt_[0-9a-f]{48}$`,
        ),
      ),
      message: "metal-rivet: this machine and its BMC are made known to bmc.example.org:4443",
    });
    expect(maker.asked).toMatchObject([{ machineUuid: "", ttlSeconds: 900, uses: 1, purpose: mac }]);
  });

  test("the same machine gets the same token while nobody has used it", async () => {
    await start();
    const first = await textOf(`/v1/boot/${mac}`);
    expect(await textOf("/v1/boot/52-54-00-12-34-56")).toBe(first);
    expect(await textOf("/v1/boot/52%3A54%3A00%3A12%3A34%3A56")).toBe(first);
    expect(await textOf("/v1/boot/525400123456")).toBe(first);
    expect(await textOf("/v1/boot/52:54:00:12:34:57")).not.toBe(first);
    expect(await metrics()).toContain('bmc_boot_tokens_total{kind="again"} 3');
  });

  test("several ramdisks, also from elsewhere, in their order", async () => {
    writeFileSync(join(images, "overlay.img"), "overlay");
    await start({ initrds: ["https://images.example.org/hammer.img", "overlay.img"] });
    const { initrd } = (await (await get(`/v1/boot/${mac}`)).json()) as { initrd: string[] };
    expect(initrd).toEqual(["https://images.example.org/hammer.img", `${here()}/images/overlay.img`]);
    expect((await get("/images/initramfs.img")).status).toBe(404);
  });

  test("machines that reach pixiecore only get the document by it", async () => {
    await start({ throughPixiecore: true });
    const { cmdline } = (await (await get(`/v1/boot/${mac}`)).json()) as { cmdline: string };
    expect(cmdline).toContain(`rivet.config={{ URL "${here()}/config.yaml" }} rivet.ca_sha256=`);
  });

  test.each([
    "",
    "x",
    "52:54:00:12:34",
    "53:54:00:12:34:56",
    "00:00:00:00:00:00",
    "5254001234567",
    "%zz",
    "a".repeat(300),
  ])("%j is no machine", async (bad) => {
    await start();
    expect((await get(`/v1/boot/${bad}`)).status).toBe(400);
    expect(maker.asked).toEqual([]);
  });

  test("a machine that is not allowed is not found, and no token is made", async () => {
    await start({ allow: [parseAllowRule("10.0.0.0/8")] });
    const answer = await get(`/v1/boot/${mac}`);
    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain(`${mac} is not to be booted: no --allow`);
    expect(maker.asked).toEqual([]);
    expect(log.join("")).toContain("boot refused");
    expect(await metrics()).toContain('bmc_boot_requests_total{road="pixiecore",result="not_allowed"} 1');
  });

  test("leases that cannot be read are no reason to say that nobody has one", async () => {
    await start({ allow: [parseAllowRule(`leases:${site.directory}/missing`)] });
    expect((await get(`/v1/boot/${mac}`)).status).toBe(503);
    expect(log.join("")).toContain("there is no such file");
  });

  test("a service that makes no token is told as that, and asked again", async () => {
    await start();
    maker.problem = "BMC service 10.0.0.1:4443: no connection";
    const answer = await get(`/v1/boot/${mac}`);
    expect({ status: answer.status, retry: answer.headers.get("retry-after") }).toEqual({ status: 503, retry: "10" });
    // What it says is for the operator.
    expect(await answer.text()).not.toContain("10.0.0.1");
    expect(log.join("")).toContain("BMC service 10.0.0.1:4443: no connection");
    maker.problem = undefined;
    expect((await get(`/v1/boot/${mac}`)).status).toBe(200);
  });

  test("one address does not get more than its share", async () => {
    await start({ mostPerMinute: 2 });
    const paths = [`/v1/boot/${mac}`, "/enrol.yaml", `/boot.ipxe?mac=${mac}`, `/v1/boot/${mac}`];
    const statuses = [];
    for (const path of paths) statuses.push((await get(path)).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
    // What costs no token is not counted.
    expect((await get("/boot.ipxe")).status).toBe(200);
  });

  test("HEAD makes no token", async () => {
    await start();
    expect((await get(`/v1/boot/${mac}`, { method: "HEAD" })).status).toBe(405);
    expect((await get(`/v1/boot/${mac}`, { method: "POST" })).status).toBe(405);
    expect(maker.asked).toEqual([]);
  });
});

describe("what metal-stack's pixie asks before it offers to boot", () => {
  test("is answered in JSON, for any machine, and costs no token and no share", async () => {
    await start({ mostPerMinute: 1 });
    for (const asked of [uuid, uuid.toUpperCase(), "00000000-0000-0000-0000-000000000001"]) {
      const answer = await get(`/v1/dhcp/${asked}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(await answer.json()).toEqual({});
    }
    expect(maker.asked).toEqual([]);
    expect((await get(`/v1/boot/${mac}`)).status).toBe(200);
    expect(await metrics()).toContain('bmc_boot_requests_total{road="pixie_offer",result="answered"} 3');
  });

  test.each(["", "x", mac, `${uuid}0`, "a".repeat(300)])("%j is no UUID", async (bad) => {
    await start();
    expect((await get(`/v1/dhcp/${bad}`)).status).toBe(400);
  });

  test("networks are those of pixie: another one gets no offer", async () => {
    await start({ allow: [parseAllowRule("10.0.0.0/8")] });
    const answer = await get(`/v1/dhcp/${uuid}`);
    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain(`${uuid} is not to be booted: no --allow`);
    expect(await metrics()).toContain('bmc_boot_requests_total{road="pixie_offer",result="not_allowed"} 1');
  });

  test("leases go by MAC address, so that they are looked at when it is told", async () => {
    const leases = join(site.directory, "leases");
    writeFileSync(leases, `0 ${mac} 10.0.0.7 node 01:${mac}\n`);
    await start({ allow: [parseAllowRule("10.0.0.0/8"), parseAllowRule(`leases:${leases}`)] });
    expect((await get(`/v1/dhcp/${uuid}`)).status).toBe(200);
    expect((await get("/v1/boot/52:54:00:12:34:57")).status).toBe(404);
    expect((await get(`/v1/boot/${mac}`)).status).toBe(200);
  });
});

describe("iPXE", () => {
  test("the first script asks for the second with what the machine is, and waits between its tries", async () => {
    await start();
    const script = await textOf("/boot.ipxe");
    expect(script.startsWith("#!ipxe\n")).toBe(true);
    expect(script).toContain(`chain --replace ${publicUrl}/boot.ipxe?mac=\${netX/mac}&uuid=\${uuid}`);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE writes its variables so
    expect(script.indexOf("sleep ${wait}")).toBeLessThan(script.indexOf("goto ask\n"));
    expect(maker.asked).toEqual([]);
  });

  test("the second has a token for that machine", async () => {
    await start();
    const script = await textOf(`/boot.ipxe?mac=${mac}&uuid=${uuid.toUpperCase()}`);
    expect(script).toContain(
      `kernel --name kernel ${publicUrl}/images/vmlinuz initrd=initrd0 quiet rootfstype=ramfs rivet.config=`,
    );
    expect(script).toContain(`initrd --name initrd0 ${publicUrl}/images/initramfs.img`);
    expect(script).toMatch(/ rivet\.token=rvt_[0-9a-f]{48} \|\| goto failed\n/);
    expect(script.indexOf("sleep 60")).toBeLessThan(script.lastIndexOf("chain --replace"));
    expect(maker.asked).toMatchObject([{ machineUuid: uuid, purpose: mac }]);
  });

  test("without a UUID that is one the token is for any machine", async () => {
    await start();
    await textOf(`/boot.ipxe?mac=${mac}&uuid=`);
    expect(maker.asked).toMatchObject([{ machineUuid: "" }]);
  });

  test("a machine that is not allowed gets no script", async () => {
    await start({ allow: [parseAllowRule("10.0.0.0/8")] });
    expect((await get(`/boot.ipxe?mac=${mac}&uuid=${uuid}`)).status).toBe(404);
    expect((await get("/boot.ipxe?mac=x")).status).toBe(400);
  });
});

describe("the document", () => {
  test("names service and CA, has what the site adds, and no token", async () => {
    const config = join(site.directory, "site.yaml");
    writeFileSync(config, "ntp: 10.0.0.1\nlimit: 300\n");
    await start({ config });
    expect(parse(await textOf("/config.yaml"))).toEqual({
      ...{ ntp: "10.0.0.1", limit: 300, service: "bmc.example.org:4443" },
      ca: readFileSync(join(site.pki, "ca.pem"), "utf8"),
    });
    expect(await textOf("/ca.pem")).toBe(readFileSync(join(site.pki, "ca.pem"), "utf8"));
    expect(maker.asked).toEqual([]);
  });

  test("for firmware that takes no arguments has a token, another one each time", async () => {
    await start();
    const [first, second] = [parse(await textOf("/enrol.yaml")), parse(await textOf("/enrol.yaml"))];
    expect(first).toMatchObject({ service: "bmc.example.org:4443", token: expect.stringMatching(/^rvt_/) });
    expect(second.token).not.toBe(first.token);
    expect(maker.asked).toMatchObject([{ purpose: "127.0.0.1" }, { purpose: "127.0.0.1" }]);
  });

  test("with a token is for those who are allowed", async () => {
    await start({ allow: [parseAllowRule("10.0.0.0/8")] });
    expect((await get("/enrol.yaml")).status).toBe(404);
    expect((await get("/config.yaml")).status).toBe(200);
  });

  test.each([
    ["token: rvt_012345678901", "token cannot stand there"],
    ["key: x", "key cannot stand there"],
    ["a: [1]", "a: must have a single value"],
    ["- a", "must be a mapping"],
    ["a: 'secret-word", "line 1"],
    ["limits: 5", "limits is no key of the agent's document; known are rotate, user_slot, "],
    ["insecure_plaintext: 1", "insecure_plaintext is no key of the agent's document"],
    ["limit: 3", 'limit: "3" is not allowed; allowed: 10 to 86400 seconds'],
    ["limit: 10.5", 'limit: "10.5" is not allowed'],
    ["site: .nan", "site: must have a single value"],
    ["proxy: secret-word", "proxy: what it says is not allowed; allowed: http://HOST:PORT"],
    ["limit: 7000\nwatchdog: true", "limit may be 6493 s at most with watchdog"],
    ["offline: 1", "offline=1 needs stick=1 and report_key"],
  ])("%j of the site is refused", async (text, problem) => {
    const config = join(site.directory, "site.yaml");
    writeFileSync(config, text);
    const started = start({ config });
    await expect(started).rejects.toThrow(problem);
    await expect(started).rejects.not.toThrow("secret-word");
  });
});

describe("what every machine would refuse ends it at once", () => {
  test("keys of command line and document that do not go together", async () => {
    const config = join(site.directory, "site.yaml");
    writeFileSync(config, "limit: 7000\n");
    await expect(start({ config, words: "rivet.watchdog" })).rejects.toThrow("limit may be 6493 s at most");
    await start({ config, words: "rivet.watchdog rivet.limit=6000" });
  });

  test.each([
    [{ host: "bmc_1.example.org", port: 4443 }, '"bmc_1.example.org:4443" is not allowed'],
    [{ host: "bmc.example.org", port: 0 }, "HOST:PORT"],
  ])("the service %j", async (serviceForMachines, problem) => {
    await expect(start({ serviceForMachines })).rejects.toThrow(problem);
  });

  test("a word that the UEFI program was built with, and that is not for every machine", async () => {
    writeFileSync(join(images, "metal-rivet.efi"), smallUki("quiet rivet.token=rvt_012345678901"));
    await expect(start({ words: "" })).rejects.toThrow("that it was built with: rivet.token is not for every machine");
  });
});

describe("files", () => {
  test("come whole, in parts, and as a size alone", async () => {
    await start();
    const whole = await get("/images/initramfs.img");
    expect([whole.status, whole.headers.get("content-length"), await whole.text()]).toEqual([200, "10", "0123456789"]);
    const part = await get("/images/initramfs.img", { headers: { range: "bytes=2-4" } });
    expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([206, "bytes 2-4/10", "234"]);
    const size = await get("/images/initramfs.img", { method: "HEAD" });
    expect([size.status, size.headers.get("content-length"), await size.text()]).toEqual([200, "10", ""]);
    expect((await get("/images/initramfs.img", { headers: { range: "bytes=10-" } })).status).toBe(416);
  });

  test("are those that are to be booted, and no others", async () => {
    writeFileSync(join(images, "metal-rivet.img"), "with the token of a site");
    await start();
    const paths = ["/images/metal-rivet.img", "/images/", "/images/../pki/boot.key", "/images/%2e%2e/pki/boot.key"];
    for (const path of [...paths, "/images/vmlinuz/", "//images/vmlinuz", "/metal-rivet.efi"]) {
      expect({ path, answer: await rawStatus(path) }).toEqual({ path, answer: "HTTP/1.1 404 Not Found" });
    }
  });

  test("one that was removed is an error, not an empty file", async () => {
    await start();
    rmSync(join(images, "vmlinuz"));
    expect((await get("/images/vmlinuz")).status).toBe(404);
    expect(log.join("")).toContain("file cannot be served");
  });

  test("that a machine is fetching come whole when it is told to end; nobody else is served", async () => {
    const whole = Buffer.alloc(20_000_000, "image");
    writeFileSync(join(images, "initramfs.img"), whole);
    await start();
    const answer = await get("/images/initramfs.img");
    const url = here();
    const ended = server?.[Symbol.asyncDispose]();
    await expect(fetch(`${url}/images/vmlinuz`)).rejects.toThrow();
    expect(Buffer.from(await answer.arrayBuffer()).equals(whole)).toBe(true);
    await ended;
  });

  test("an empty one is found wrong at the start", async () => {
    writeFileSync(join(images, "vmlinuz"), "");
    await expect(start()).rejects.toThrow("vmlinuz is empty");
  });

  test.each([
    [{ kernel: "missing" }, "--kernel: "],
    [{ kernel: "../pki/boot.key" }, "give the name of a file in --images, or a URL"],
    [{ initrds: ["initramfs.img", "."] }, "--initrd: "],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE writes its variables so
    [{ kernel: "http://x/${uuid}" }, "no URL that a boot loader can ask for"],
  ])("%j is found wrong at the start", async (settings, problem) => {
    await expect(start(settings)).rejects.toThrow(problem);
  });
});

describe("the UEFI program", () => {
  const efi = () => join(images, "metal-rivet.efi");

  test("is served with a command line that leads to this server, and has no token", async () => {
    writeFileSync(efi(), smallUki("console=tty0"));
    await start({ words: "" });
    const answer = await get("/metal-rivet.efi");
    expect(answer.headers.get("content-type")).toBe("application/efi");
    const served = Buffer.from(await answer.arrayBuffer());
    expect(Number(answer.headers.get("content-length"))).toBe(served.length);
    expect(readUkiCommandLine(served).text).toBe(
      `console=tty0 rootfstype=ramfs rivet.config=${publicUrl}/enrol.yaml rivet.ca_sha256=${caSha256()}`,
    );
    const size = await get("/metal-rivet.efi", { method: "HEAD" });
    expect(Number(size.headers.get("content-length"))).toBe(served.length);
    expect(maker.asked).toEqual([]);
  });

  test("that was built anew is served anew", async () => {
    writeFileSync(efi(), smallUki("first"));
    await start({ words: "" });
    writeFileSync(efi(), smallUki("second one"));
    const served = Buffer.from(await (await get("/metal-rivet.efi")).arrayBuffer());
    expect(readUkiCommandLine(served).text).toMatch(/^second one rootfstype=ramfs rivet\.config=/);
  });

  test("that is half copied, or taken away, is told as that, and served again once it is there", async () => {
    const whole = smallUki("quiet");
    writeFileSync(efi(), whole);
    await start();
    writeFileSync(efi(), whole.subarray(0, 100));
    expect((await get("/metal-rivet.efi")).status).toBe(503);
    rmSync(efi());
    expect((await get("/metal-rivet.efi")).status).toBe(503);
    expect(log.join("")).toContain("it is no UEFI program");
    expect(log.join("")).toContain("there is no such file");
    expect(log.join("")).not.toContain("a bug");
    writeFileSync(efi(), whole);
    expect((await get("/metal-rivet.efi")).status).toBe(200);
  });

  test("that is signed, or knows its service, is served as it was built", async () => {
    for (const built of [smallUki("quiet", { signed: true }), smallUki("rivet.config=http://10.0.0.1/x.yaml")]) {
      writeFileSync(efi(), built);
      await start();
      expect(Buffer.from(await (await get("/metal-rivet.efi")).arrayBuffer()).equals(built)).toBe(true);
      await server?.[Symbol.asyncDispose]();
    }
    expect(log.filter((line) => line.includes("machines that boot it find no service"))).toHaveLength(1);
  });

  test("that is none is found wrong at the start, and no copy stays behind", async () => {
    const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith("bmc-service-boot-")).length;
    const before = copies();
    writeFileSync(efi(), "#!/bin/sh");
    await expect(start()).rejects.toThrow("it is no UEFI program");
    expect(copies()).toBe(before);
  });
});

describe("certificates", () => {
  test("of an earlier release have none for this server, and an operator's does", async () => {
    rmSync(join(site.pki, "boot.pem"));
    await expect(start()).rejects.toThrow("give --role operator");
    await start({ role: "operator" });
  });

  test("one CA is what machines are told to trust", async () => {
    const ca = readFileSync(join(site.pki, "ca.pem"), "utf8");
    writeFileSync(join(site.pki, "ca.pem"), ca + ca);
    await expect(start()).rejects.toThrow("one PEM certificate is expected");
  });
});

test("an address that is none for machines needs --url", async () => {
  await expect(start({ url: undefined })).rejects.toThrow("--url: it is needed");
  await expect(start({ url: undefined, listen: { host: "::", port: 8080 } })).rejects.toThrow("--url: it is needed");
});

test("a command line that the kernel would cut is found wrong at the start", async () => {
  await start({ words: "x".repeat(1_400) });
  await expect(start({ words: "x".repeat(1_700) })).rejects.toThrow("--cmdline: the command line would have up to");
});

test("no token stands in the log", async () => {
  await start();
  const text = await textOf(`/v1/boot/${mac}`);
  const token = /rvt_[0-9a-f]{48}/.exec(text)?.[0] ?? "none";
  expect(log.join("")).toContain(token.slice(0, 16));
  expect(log.join("")).not.toContain(token);
});

/** fetch() tidies paths up before it asks. */
async function rawStatus(path: string): Promise<string | undefined> {
  const socket = connect(server?.port ?? 0, "127.0.0.1");
  socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text.split("\r\n")[0];
}

describe("the certificates", () => {
  test.each([
    ["boot.pem", "garbage", "boot.pem: it is no PEM certificate"],
    ["boot.key", "garbage", "boot.key: it is no unencrypted PEM private key"],
    ["ca.pem", "garbage", "ca.pem: it is no PEM certificate"],
  ])("%s that is none is found wrong at the start", async (name, text, problem) => {
    writeFileSync(join(site.pki, name), text);
    await expect(start()).rejects.toThrow(problem);
  });

  test("that do not belong together, or are not there, are told", async () => {
    copyFileSync(join(site.pki, "viewer.key"), join(site.pki, "boot.key"));
    await expect(start()).rejects.toThrow("boot.key: it is not the key of");
    rmSync(join(site.pki, "boot.pem"));
    await expect(start()).rejects.toThrow("a PKI of an earlier release has none");
    await expect(start({ role: "operator", pki: join(site.directory, "none") })).rejects.toThrow(
      "ca.pem: there is no such",
    );
  });
});
