import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { followBoot, type Told } from "../lab/agent-log.ts";
import { artifacts } from "../lab/artifacts.ts";
import { pause } from "../lab/deadline.ts";
import { qmp } from "../lab/qemu.ts";
import { bmcctl } from "../lab/service.ts";
import { makeStick, type Stick, stickDevice } from "../lab/stick.ts";
import { userWrites } from "./bmc-users.ts";
import { accountsOf, openSite, rowOf, type Site } from "./site.ts";

const names = ["plain", "pulled", "cut", "harmed", "guarded"] as const;
type Name = (typeof names)[number];

const stack = new AsyncDisposableStack();
let sticks: Record<Name, Stick>;
let site: Site<Name>;
let reportKey: string;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-stick-"));
  chmodSync(directory, 0o700);
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const made = names.map(async (name) => {
    const stick = await makeStick({ directory, name, readOnly: name === "guarded" });
    return [name, stick] as const;
  });
  sticks = Object.fromEntries(await Promise.all(made)) as Record<Name, Stick>;
  // Slow enough that something can happen between two of its commands.
  const wired = (name: Name) => ({ extraArgs: sticks[name].args, nic: "none" as const, bmcDelayMs: 20 });
  site = stack.use(
    await openSite({
      plain: wired("plain"),
      pulled: wired("pulled"),
      cut: wired("cut"),
      harmed: wired("harmed"),
      guarded: wired("guarded"),
    }),
  );
  const { stdout } = await execa(artifacts.bmcService, ["import-key", "--pki", site.service.pkiDirectory]);
  reportKey = stdout;
  for (const name of names) await configure(name);
});
afterAll(() => stack.disposeAsync());

const configure = (name: Name, text = `# no service at this site\n${reportKey}\n`) =>
  sticks[name].put("metal-rivet.yaml", text);

const commandLine = "rivet.log=json rivet.stick=1 rivet.tries=1";

async function boot(name: Name, onTold?: (told: Told) => void) {
  const machine = site.machines[name];
  machine.bmc?.proxy.forget();
  machine.console.skip();
  await machine.powerOn(commandLine);
  const ended = await followBoot(machine, { limitMs: 150_000, ...(onTold && { onTold }) });
  await machine.powerOff();
  return ended;
}

const reportOf = (name: Name) => `reports/${site.machines[name].truth.uuid}.json`;

/** Brings the report of a stick to the service, as an operator does. */
async function bring(name: Name) {
  const path = join(site.directory, `${name}.json`);
  writeFileSync(path, await sticks[name].read(reportOf(name)));
  const { stdout, stderr, exitCode } = await bmcctl(site.service, ["import", path, "--output", "json"]);
  expect(exitCode, stderr + stdout).toBe(0);
  return JSON.parse(stdout)[0];
}

test("a machine without network is enrolled by its stick, kept at the next boot, and linked by an import", async () => {
  const { truth } = site.machines.plain;
  const first = await boot("plain");
  expect(first, first.text).toMatchObject({ exitCode: 0, outcome: "unverified" });
  expect(first.text).toContain(
    `The report is on the stick (${reportOf("plain")}): bring it to the service by bmcctl import`,
  );
  expect(await sticks.plain.check()).toBe("");
  const second = await boot("plain");
  expect(second, second.text).toMatchObject({ exitCode: 0, outcome: "unverified" });
  expect(second.text).toContain("(5 IPMI commands)");

  expect(await bring("plain")).toMatchObject({ result: "linked", new_accounts: 1, bmc: { mac: truth.bmcMac } });
  expect(await bring("plain")).toMatchObject({ result: "linked", new_accounts: 0 });
  expect(await rowOf(site, truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED, machineUuid: truth.uuid });
  const [account, ...others] = await accountsOf(site, truth.bmcMac);
  expect(others).toEqual([]);
  // The whole stick, with what was deleted.
  expect(readFileSync(sticks.plain.path).includes(account?.userName ?? "none")).toBe(true);
  expect(readFileSync(sticks.plain.path).includes(account?.password ?? "none")).toBe(false);
});

test("the stick pulled while the BMC is written to, and put back: the run goes on", async () => {
  const machine = site.machines.pulled;
  const monitor = join(machine.directory, "qmp");
  const done: Promise<void>[] = [];
  const ended = await boot("pulled", (told) => {
    if (told.kind === "step" && told.step.step === "escrow account") {
      done.push(qmp(monitor, "device_del", { id: stickDevice.id }));
    }
    if (told.kind === "note" && told.text.includes("Waiting for it"))
      done.push(qmp(monitor, "device_add", stickDevice));
  });
  await Promise.all(done);
  expect(done).toHaveLength(2);
  expect(ended, ended.text).toMatchObject({ exitCode: 0, outcome: "unverified" });
  expect(await bring("pulled")).toMatchObject({ result: "linked", new_accounts: 1 });
});

test("power lost in the middle, three times: the next boot goes on, and the service gets in", async () => {
  const machine = site.machines.cut;
  for (const step of ["report BMC", "escrow account", "set account"]) {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const cut = boot("cut", (told) => {
      if (told.kind === "step" && told.step.step === step) resolve();
    });
    cut.catch(() => undefined);
    await Promise.race([reached, cut]);
    // Somewhere in what comes next.
    await pause(Math.random() * 200);
    await machine.powerOff();
    await expect(cut, step).rejects.toThrow();
  }
  const ended = await boot("cut");
  expect(ended, ended.text).toMatchObject({ exitCode: 0, outcome: "unverified" });
  const report = JSON.parse((await sticks.cut.read(reportOf("cut"))).toString());
  expect(report.accounts.length).toBeGreaterThanOrEqual(2);
  expect(await bring("cut")).toMatchObject({ result: "linked", new_accounts: report.accounts.length });
});

const writes = (name: Name) => userWrites(site.machines[name].bmc?.proxy.seen ?? []);

test("a stick that is full, badly configured or damaged is told, and the BMC is left alone", async () => {
  const stick = sticks.harmed;
  await stick.put("metal-rivet.yaml", `${reportKey}\noffline: [auto\n`);
  const wrong = await boot("harmed");
  expect(wrong, wrong.text).toMatchObject({ exitCode: 78, outcome: "error" });
  expect(wrong.text).toMatch(/^metal-rivet\.yaml on the stick: line \d, column \d+: neither JSON nor YAML: /);

  await configure("harmed");
  await stick.fill();
  const full = await boot("harmed");
  expect(full, full.text).toMatchObject({ exitCode: 75, outcome: "error" });
  expect(full.text).toContain("it is full (ENOSPC); delete files that are not reports, or take another stick");
  expect(writes("harmed")).toEqual([]);

  await stick.remove("filler");
  const ended = await boot("harmed");
  expect(ended, ended.text).toMatchObject({ exitCode: 0, outcome: "unverified" });
  expect(await bring("harmed")).toMatchObject({ result: "linked" });

  // All but the first sector of what tells where files are.
  await using file = await open(stick.path, "r+");
  await file.write(Buffer.alloc(32 * 1_024, 0xa5), 0, 32 * 1_024, 1_024);
  const damaged = await boot("harmed");
  expect([75, 78], damaged.text).toContain(damaged.exitCode);
  expect(writes("harmed")).toEqual([]);
});

test("a stick that is write-protected is told, and the BMC is left alone", async () => {
  const ended = await boot("guarded");
  expect(ended, ended.text).toMatchObject({ exitCode: 75, outcome: "error" });
  expect(ended.text).toContain("it is write-protected");
  expect(writes("guarded")).toEqual([]);
});
