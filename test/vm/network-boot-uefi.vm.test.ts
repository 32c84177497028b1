import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { type RunningBootApi, startBootApi } from "../lab/boot-api.ts";
import { freeUdpPort } from "../lab/ports.ts";
import { startProxyDhcp } from "../lab/proxy-dhcp.ts";
import { bmcctl } from "../lab/service.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/* Two machines with UEFI: one with iPXE in its card, and one whose firmware boots by HTTP itself. */

type Name = "ipxe" | "http";

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let httpApi: RunningBootApi;
let leases: string;
let ipxe: { readonly waited: readonly string[]; readonly result: BootResult; readonly row: Bmc };
let http: { readonly result: BootResult; readonly row: Bmc };

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

async function bootByHttp(): Promise<typeof http> {
  const machine = site.machines.http;
  await machine.powerOn("");
  const result = await followBoot(machine, { limitMs });
  await machine.powerOff();
  return { result, row: await rowOf(site, machine.truth.bmcMac) };
}

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-tftp-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const dhcp = stack.use(await startProxyDhcp(await freeUdpPort()));
  site = stack.use(
    await openSite({
      ipxe: { networkBoot: { firmware: "uefi", directory, file: "boot.ipxe" } },
      // It holds program, kernel and ramdisk at once.
      http: { networkBoot: { firmware: "uefi", directory, file: "", beside: dhcp }, memoryMib: 1_024 },
    }),
  );
  const { service } = site;
  leases = join(directory, "dnsmasq.leases");
  writeFileSync(leases, "");
  const api = stack.use(await startBootApi({ directory: site.directory, service, allow: `leases:${leases}` }));
  writeFileSync(join(directory, "boot.ipxe"), `#!ipxe\nchain ${api.urlSeenByVm}/boot.ipxe\n`);
  // Firmware that boots by HTTP is known by its address, which behind QEMU's network is ours.
  const byAddress = join(site.directory, "by-address");
  mkdirSync(byAddress);
  httpApi = stack.use(await startBootApi({ directory: byAddress, service, allow: "127.0.0.1" }));
  dhcp.tell(`${httpApi.urlSeenByVm}/metal-rivet.efi`);
  [ipxe, http] = await Promise.all([bootByIpxe(), bootByHttp()]);
}, 2 * limitMs);
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
