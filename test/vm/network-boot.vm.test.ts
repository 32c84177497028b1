import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { type RunningBootApi, startBootApi } from "../lab/boot-api.ts";
import { writesAmong } from "../lab/codec-proxy.ts";
import { type BootSpec, type Pixiecore, startPixiecore } from "../lab/pixiecore.ts";
import { freeUdpPort } from "../lab/ports.ts";
import { startProxyDhcp } from "../lab/proxy-dhcp.ts";
import { bmcctl } from "../lab/service.ts";
import { openSite, rowOf, type Site } from "./site.ts";

type Name = "bios" | "uefi" | "http";

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let api: RunningBootApi;
let httpApi: RunningBootApi;
let pixiecore: Pixiecore;
let leases: string;
const seen: {
  linked?: BootResult;
  row?: Bmc;
  recognised?: BootResult;
  replayed?: BootResult & { readonly writes: number };
  waited?: readonly string[];
  uefi?: BootResult;
  uefiRow?: Bmc;
  http?: BootResult;
  httpRow?: Bmc;
} = {};

async function bootFromNetwork(name: Name): Promise<BootResult> {
  const machine = site.machines[name];
  machine.bmc?.proxy.forget();
  machine.console.skip();
  await machine.powerOn("");
  const result = await followBoot(machine, { limitMs: 200_000 });
  await machine.powerOff();
  return result;
}

const tokenOf = (spec: BootSpec | undefined) => /rivet\.token=(\S+)/.exec(spec?.cmdline ?? "")?.[1];

async function bios(): Promise<void> {
  const { truth, bmc } = site.machines.bios;
  seen.linked = await bootFromNetwork("bios");
  seen.row = await rowOf(site, truth.bmcMac);
  seen.recognised = await bootFromNetwork("bios");
  // Whoever has read the first boot's command line off the wire shows its token once more.
  const [first] = pixiecore.told;
  if (first !== undefined) pixiecore.replay(first);
  const replayed = await bootFromNetwork("bios");
  seen.replayed = { ...replayed, writes: writesAmong(bmc?.proxy.seen ?? []).length };
}

async function uefi(): Promise<void> {
  const machine = site.machines.uefi;
  const { truth } = machine;
  await machine.powerOn("");
  const lines: string[] = [];
  await machine.console.waitFor("iPXE to be turned away", 90_000, (line) => {
    if (line.includes("metal-rivet:")) lines.push(line.trim());
    return line.includes("asked again in 5 s") ? true : undefined;
  });
  seen.waited = lines;
  appendFileSync(leases, `0 ${truth.nicMac} 10.0.2.16 * *\n`);
  seen.uefi = await followBoot(machine, { limitMs: 200_000 });
  await machine.powerOff();
  seen.uefiRow = await rowOf(site, truth.bmcMac);
}

async function http(): Promise<void> {
  seen.http = await bootFromNetwork("http");
  seen.httpRow = await rowOf(site, site.machines.http.truth.bmcMac);
}

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-tftp-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  leases = join(directory, "dnsmasq.leases");
  const dhcp = stack.use(await startProxyDhcp(await freeUdpPort()));
  site = stack.use(
    await openSite({
      bios: { networkBoot: { firmware: "bios", directory, file: "pixiecore.ipxe" } },
      uefi: { networkBoot: { firmware: "uefi", directory, file: "boot.ipxe" } },
      // It holds program, kernel and ramdisk at once.
      http: { networkBoot: { firmware: "uefi", directory, file: "", beside: dhcp }, memoryMib: 1_024 },
    }),
  );
  writeFileSync(leases, `0 ${site.machines.bios.truth.nicMac} 10.0.2.15 * *\n`);
  // Firmware that boots by HTTP asks from an address, which behind QEMU's network is ours.
  const { service } = site;
  api = stack.use(await startBootApi({ directory: site.directory, service, allow: `leases:${leases}` }));
  const byAddress = join(site.directory, "by-address");
  mkdirSync(byAddress);
  httpApi = stack.use(await startBootApi({ directory: byAddress, service, allow: "127.0.0.1" }));
  dhcp.tell(`${httpApi.urlSeenByVm}/metal-rivet.efi`);
  pixiecore = stack.use(await startPixiecore(api.url));
  writeFileSync(join(directory, "pixiecore.ipxe"), `#!ipxe\nchain ${pixiecore.script}\n`);
  writeFileSync(join(directory, "boot.ipxe"), `#!ipxe\nchain ${api.urlSeenByVm}/boot.ipxe\n`);
  await Promise.all([bios(), uefi().then(http)]);
});
afterAll(() => stack.disposeAsync());

const textOf = (result: BootResult | undefined) => JSON.stringify(result?.told);

describe("a machine with BIOS behind pixiecore", () => {
  test("is linked with the token of its command line", () => {
    expect(seen.linked?.exitCode, textOf(seen.linked)).toBe(0);
    expect(seen.row).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
  });

  test("is recognised at its next boot, with another token", () => {
    expect(seen.recognised, textOf(seen.recognised)).toMatchObject({ exitCode: 0, outcome: "recognised" });
    const [first, second] = pixiecore.told.map(tokenOf);
    expect(first).toMatch(/^rvt_[0-9a-f]{48}$/);
    expect(second).toMatch(/^rvt_[0-9a-f]{48}$/);
    expect(second).not.toBe(first);
  });

  test("is refused with a token that was used before, and its BMC is left alone", () => {
    expect(seen.replayed?.exitCode, textOf(seen.replayed)).toBe(77);
    expect(textOf(seen.replayed)).toContain("enrolment_token: it was used as often as it may be");
    expect(seen.replayed?.writes).toBe(0);
  });

  test("stands in the list of tokens and in the audit log by its MAC address", async () => {
    const { nicMac } = site.machines.bios.truth;
    const tokens = await bmcctl(site.service, ["token", "ls"]);
    expect(tokens.stdout).toMatch(new RegExp(`rvt_[0-9a-f]{12} .* spent .* 1/1 .* boot for ${nicMac}`));
    const audit = await bmcctl(site.service, ["--role", "admin", "audit"]);
    expect(audit.stdout).toContain(`for ${nicMac}`);
  });
});

describe("a machine with UEFI and iPXE", () => {
  test("that is not allowed says so on its screen, waits, and boots once it is", () => {
    const { nicMac, uuid } = site.machines.uefi.truth;
    expect(seen.waited?.join("\n")).toContain(`MAC ${nicMac}, UUID ${uuid}`);
    expect(seen.waited?.join("\n")).toContain("--allow of the boot server leaves it out");
    expect(seen.uefi?.exitCode, textOf(seen.uefi)).toBe(0);
    expect(seen.uefiRow).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
  });

  test("has a token that is good for its UUID only", async () => {
    const tokens = await bmcctl(site.service, ["token", "ls"]);
    const { nicMac, uuid } = site.machines.uefi.truth;
    expect(tokens.stdout).toMatch(new RegExp(`${uuid} .* boot for ${nicMac}`));
  });
});

describe("a machine with UEFI HTTP boot", () => {
  test("gets a program whose command line leads to its token, and is linked", () => {
    expect(seen.http?.exitCode, textOf(seen.http)).toBe(0);
    expect(seen.httpRow).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
    const lines = readFileSync(httpApi.logFile, "utf8");
    expect(lines).toContain('"file":"/metal-rivet.efi"');
    expect(lines).toContain('"road":"document"');
  });
});

test("no token stands in a log", () => {
  for (const spec of pixiecore.told) {
    const token = tokenOf(spec) ?? "no token was told";
    expect(readFileSync(api.logFile, "utf8")).not.toContain(token);
    expect(readFileSync(site.service.logFile, "utf8")).not.toContain(token);
    expect(readFileSync(api.logFile, "utf8")).toContain(token.slice(0, 16));
  }
});
