import { statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { startArm64Machine } from "../lab/arm64-machine.ts";
import { repository } from "../lab/artifacts.ts";
import { until } from "../lab/deadline.ts";
import { newToken } from "../lab/service.ts";
import { makeUpTruth } from "../lab/truth.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/** Node, kernel and libraries of arm64 are downloaded where the cache has none. */
const buildLimitMs = 280_000;
const bootLimitMs = 150_000;

const stack = new AsyncDisposableStack();
const truth = makeUpTruth();
let site: Site<never>;
let images: string;
let booted: BootResult;
let wentOff: boolean;
let row: Bmc;

beforeAll(async () => {
  site = stack.use(await openSite({}));
  images = join(site.directory, "images");
  const document = join(site.directory, "site.yaml");
  const token = await newToken(site.service, truth.uuid, 1);
  const { ca } = site.certificates;
  const keys = { service: site.service.addressSeenByVm, ca, token };
  writeFileSync(document, JSON.stringify(keys), { mode: 0o600 });
  const words = ["image/build.ts", "--arch", "arm64", "--fast", "--out", images, "--config", document];
  // The last console is the one that the agent writes to.
  const toSerial = ["--command-line", "console=ttyAMA0 rivet.log=json rivet.tries=1 rivet.then=poweroff"];
  await execa(process.execPath, [...words, ...toSerial], { cwd: repository, timeout: buildLimitMs });

  const stick = join(images, "metal-rivet.img");
  await using machine = await startArm64Machine({ directory: site.directory, truth, stick, memoryMib: 512 });
  booted = await followBoot(machine, { limitMs: bootLimitMs });
  wentOff = await until("the machine to power off", 30_000, () => !machine.isOn).catch(() => false);
  row = await rowOf(site, truth.uuid);
}, buildLimitMs + bootLimitMs);
afterAll(() => stack.disposeAsync());

describe("a machine of arm64", () => {
  test("boots the stick by UEFI, reads the document that was built in, and gets an address", () => {
    const done = booted.told.flatMap((told) => (told.kind === "init" ? [`${told.task}: ${told.detail}`] : []));
    expect(done).toContainEqual(expect.stringMatching(/^read the stick: metal-rivet\.yaml on the stick/));
    expect(done).toContainEqual(expect.stringMatching(/^network: eth0 10\.0\.2\.15\/24, gateway 10\.0\.2\.2/));
  });

  test("without a BMC is listed as unmanaged with what is known", () => {
    expect([booted.outcome, booted.exitCode], booted.text).toEqual(["unmanaged", 0]);
    expect(row).toMatchObject({ state: State.STATE_UNMANAGED, machineUuid: truth.uuid });
    expect(row.machine?.board?.serialNumber).toBe(truth.smbios[2].serial);
    expect(wentOff).toBe(true);
  });
});

describe("what was built for it", () => {
  test("the stick is for the builder's eyes, and what it is made of is of arm64", async () => {
    expect(statSync(join(images, "metal-rivet.img")).mode & 0o777).toBe(0o600);
    const bill = JSON.parse(await readFile(join(images, "metal-rivet.spdx.json"), "utf8"));
    const urls: string[] = bill.packages.flatMap((each: { externalRefs?: { referenceLocator: string }[] }) =>
      (each.externalRefs ?? []).map(({ referenceLocator }) => referenceLocator),
    );
    const debian = urls.filter((url) => url.startsWith("pkg:deb/"));
    expect(debian.filter((url) => !url.endsWith("?arch=arm64"))).toEqual([]);
    expect(debian.length).toBeGreaterThanOrEqual(6);
  });
});
