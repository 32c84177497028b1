import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { type RunningBootApi, startBootApi } from "../lab/boot-api.ts";
import { writesAmong } from "../lab/codec-proxy.ts";
import { type BootSpec, type Pixiecore, startPixiecore } from "../lab/pixiecore.ts";
import { bmcctl } from "../lab/service.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/* A machine with BIOS, whose iPXE asks pixiecore, which asks the boot server. */

interface Seen {
  readonly linked: BootResult;
  readonly row: Bmc;
  readonly recognised: BootResult;
  readonly replayed: BootResult;
  readonly writes: number;
}

const stack = new AsyncDisposableStack();
let site: Site<"one">;
let api: RunningBootApi;
let pixiecore: Pixiecore;
let seen: Seen;

async function bootFromNetwork(): Promise<BootResult> {
  const machine = site.machines.one;
  machine.bmc?.proxy.forget();
  machine.console.skip();
  await machine.powerOn("");
  const result = await followBoot(machine, { limitMs: 180_000 });
  await machine.powerOff();
  return result;
}

// Three boots one after the other, each with its firmware.
const limitMs = 600_000;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-tftp-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const networkBoot = { firmware: "bios", directory, file: "pixiecore.ipxe" } as const;
  site = stack.use(await openSite({ one: { memoryMib: 384, networkBoot } }));
  const { bmc, truth } = site.machines.one;
  const leases = join(directory, "dnsmasq.leases");
  writeFileSync(leases, `0 ${truth.nicMac} 10.0.2.15 * *\n`);
  api = stack.use(await startBootApi({ directory: site.directory, service: site.service, allow: `leases:${leases}` }));
  pixiecore = stack.use(await startPixiecore(api.url));
  writeFileSync(join(directory, "pixiecore.ipxe"), `#!ipxe\nchain ${pixiecore.script}\n`);
  const linked = await bootFromNetwork();
  const row = await rowOf(site, truth.bmcMac);
  const recognised = await bootFromNetwork();
  // Whoever has read the first boot's command line off the wire shows its token once more.
  const [first] = pixiecore.told;
  if (first !== undefined) pixiecore.replay(first);
  const replayed = await bootFromNetwork();
  seen = { linked, row, recognised, replayed, writes: writesAmong(bmc?.proxy.seen ?? []).length };
}, limitMs);
afterAll(() => stack.disposeAsync());

const tokenOf = (spec: BootSpec | undefined) => /rivet\.token=(\S+)/.exec(spec?.cmdline ?? "")?.[1];
const textOf = ({ told }: BootResult) => JSON.stringify(told);

test("is linked with the token of its command line", () => {
  expect(seen.linked.exitCode, textOf(seen.linked)).toBe(0);
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
  expect(seen.replayed.exitCode, textOf(seen.replayed)).toBe(77);
  expect(textOf(seen.replayed)).toContain("enrolment_token: it was used as often as it may be");
  expect(seen.writes).toBe(0);
});

test("stands in the list of tokens and in the audit log by its MAC address", async () => {
  const { nicMac } = site.machines.one.truth;
  const tokens = await bmcctl(site.service, ["token", "ls"]);
  expect(tokens.stdout).toMatch(new RegExp(`rvt_[0-9a-f]{12} .* spent .* 1/1 .* boot for ${nicMac}`));
  const audit = await bmcctl(site.service, ["--role", "admin", "audit"]);
  expect(audit.stdout).toContain(`for ${nicMac}`);
});

test("no token stands in a log", () => {
  expect(pixiecore.told.length).toBeGreaterThan(1);
  for (const spec of pixiecore.told) {
    const token = tokenOf(spec) ?? "no token was told";
    expect(readFileSync(api.logFile, "utf8")).not.toContain(token);
    expect(readFileSync(site.service.logFile, "utf8")).not.toContain(token);
    expect(readFileSync(api.logFile, "utf8")).toContain(token.slice(0, 16));
  }
});
