import { X509Certificate } from "node:crypto";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { artifacts, repository } from "../lab/artifacts.ts";
import { type RunningBootApi, startBootApi } from "../lab/boot-api.ts";
import { testCertificate, testKey } from "../lab/boot-media.ts";
import { freeUdpPort } from "../lab/ports.ts";
import { type ProxyDhcp, startProxyDhcp } from "../lab/proxy-dhcp.ts";
import { bmcctl } from "../lab/service.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/*
 * Machines with UEFI: one with iPXE in its card, and two whose firmware boots by HTTP itself, of which one starts nothing but
 * signed programs. All have 384 MB.
 */

type Name = "ipxe" | "http" | "secure";

const memoryMib = 384;

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let httpApi: RunningBootApi;
let leases: string;
let ipxe: { readonly waited: readonly string[]; readonly result: BootResult; readonly row: Bmc };
let http: Booted;
let secure: Booted & { readonly refused: string };

interface Booted {
  readonly result: BootResult;
  readonly row: Bmc;
}

const limitMs = 240_000;

async function bootByIpxe(): Promise<typeof ipxe> {
  const machine = site.machines.ipxe;
  const { nicMac, bmcMac } = machine.truth;
  await machine.powerOn("");
  const waited: string[] = [];
  await machine.console.waitFor("iPXE to be turned away", limitMs, (line) => {
    if (line.includes("metal-rivet:")) waited.push(line.trim());
    return line.includes("asked again in 5 s") ? true : undefined;
  });
  appendFileSync(leases, `0 ${nicMac} 10.0.2.15 * *\n`);
  const result = await followBoot(machine, { limitMs });
  await machine.powerOff();
  return { waited, result, row: await rowOf(site, bmcMac) };
}

async function bootByHttp(name: Name): Promise<Booted> {
  const machine = site.machines[name];
  machine.console.skip();
  await machine.powerOn("");
  const result = await followBoot(machine, { limitMs });
  await machine.powerOff();
  return { result, row: await rowOf(site, machine.truth.bmcMac) };
}

/** As the documentation has it: signed, with the way to the document and the pin of the CA in it. */
async function buildSigned(directory: string, { urlSeenByVm }: RunningBootApi): Promise<string> {
  const out = join(directory, "signed");
  // With the ramdisk that is packed already.
  cpSync(dirname(artifacts.kernel), out, { recursive: true, preserveTimestamps: true });
  const keyFile = join(directory, "signing.key");
  await execa("openssl", ["rsa", "-in", testKey, "-passin", "pass:snakeoil", "-out", keyFile], { timeout: limitMs });
  const { fingerprint256 } = new X509Certificate(site.certificates.ca);
  const words = `rivet.config=${urlSeenByVm}/enrol.yaml rivet.ca_sha256=${fingerprint256} rivet.log=json rivet.led=0`;
  const consoles = "console=ttyS0,115200 rivet.screen=0";
  const build = ["image/build.ts", "--fast", "--agent", artifacts.metalRivet, "--out", out];
  const signing = ["--sign-key", keyFile, "--sign-cert", testCertificate, "--command-line", `${consoles} ${words}`];
  await execa(process.execPath, [...build, ...signing], { cwd: repository, timeout: limitMs });
  return join(out, "metal-rivet.efi");
}

/** First what is not signed, and then what is. */
async function bootSecurely(dhcp: ProxyDhcp, api: RunningBootApi, images: string): Promise<typeof secure> {
  const machine = site.machines.secure;
  dhcp.tell(`${api.urlSeenByVm}/metal-rivet.efi`);
  await machine.powerOn("");
  const refused = await machine.console.waitFor("the firmware to refuse the program", limitMs, (line) =>
    /Access Denied|metal-rivet \S+ on/.test(line) ? line : undefined,
  );
  await machine.powerOff();
  cpSync(await buildSigned(site.directory, api), join(images, "metal-rivet.efi"));
  return { refused, ...(await bootByHttp("secure")) };
}

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-tftp-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const dhcp = stack.use(await startProxyDhcp(await freeUdpPort()));
  const secureDhcp = stack.use(await startProxyDhcp(await freeUdpPort()));
  site = stack.use(
    await openSite({
      ipxe: { memoryMib, networkBoot: { firmware: "uefi", directory, file: "boot.ipxe" } },
      http: { memoryMib, networkBoot: { firmware: "uefi", directory, file: "", beside: dhcp } },
      secure: { memoryMib, networkBoot: { firmware: "secure", directory, file: "", beside: secureDhcp } },
    }),
  );
  const { service } = site;
  leases = join(directory, "dnsmasq.leases");
  writeFileSync(leases, "");
  const api = stack.use(await startBootApi({ directory: site.directory, service, allow: `leases:${leases}` }));
  writeFileSync(join(directory, "boot.ipxe"), `#!ipxe\nchain ${api.urlSeenByVm}/boot.ipxe\n`);
  // Firmware that boots by HTTP is known by its address, which behind QEMU's network is ours.
  const byAddress = join(site.directory, "by-address");
  const images = join(byAddress, "images");
  mkdirSync(images, { recursive: true });
  for (const file of ["vmlinuz", "initramfs.img", "metal-rivet.efi"]) {
    cpSync(join(dirname(artifacts.kernel), file), join(images, file));
  }
  httpApi = stack.use(await startBootApi({ directory: byAddress, service, images, allow: "127.0.0.1" }));
  dhcp.tell(`${httpApi.urlSeenByVm}/metal-rivet.efi`);
  [ipxe, http] = await Promise.all([bootByIpxe(), bootByHttp("http")]);
  secure = await bootSecurely(secureDhcp, httpApi, images);
}, 3 * limitMs);
afterAll(() => stack.disposeAsync());

const textOf = ({ told }: BootResult) => JSON.stringify(told);

describe("a machine with iPXE", () => {
  test("that is not allowed says so on its screen, waits, and boots once it is", () => {
    const { nicMac, uuid } = site.machines.ipxe.truth;
    expect(ipxe.waited.join("\n")).toContain(`MAC ${nicMac}, UUID ${uuid}`);
    expect(ipxe.waited.join("\n")).toContain("--allow of the boot server leaves it out");
    expect(ipxe.result.exitCode, textOf(ipxe.result)).toBe(0);
    expect(ipxe.row).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
  });

  test("has a token that is good for its UUID only", async () => {
    const tokens = await bmcctl(site.service, ["token", "ls"]);
    const { nicMac, uuid } = site.machines.ipxe.truth;
    expect(tokens.stdout).toMatch(new RegExp(`${uuid} .* boot for ${nicMac}`));
  });
});

test("a machine with UEFI HTTP boot gets a program whose command line leads to its token, and is linked", () => {
  expect(http.result.exitCode, textOf(http.result)).toBe(0);
  expect(http.row).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
  const lines = readFileSync(httpApi.logFile, "utf8");
  expect(lines).toContain('"file":"/metal-rivet.efi"');
  expect(lines).toContain('"road":"document"');
});

describe("a machine with UEFI HTTP boot where Secure Boot is enforced", () => {
  test("refuses the program that boot-api has given a command line", () => {
    expect(secure.refused).toContain("Access Denied");
  });

  test("starts the signed one, which is served as it was built, and is linked", () => {
    expect(secure.result.exitCode, textOf(secure.result)).toBe(0);
    expect(secure.row).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
  });
});
