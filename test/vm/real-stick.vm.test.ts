import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { artifacts, ensureBuilt } from "../lab/artifacts.ts";
import { pause, until } from "../lab/deadline.ts";
import { qmp } from "../lab/qemu.ts";
import { bmcctl } from "../lab/service.ts";
import { type Stick, stickDevice, stickOfImage } from "../lab/stick.ts";
import { pressKey, screenOf, vgaCard, waitForQr } from "../screen/local-screen.ts";
import { userWrites } from "./bmc-users.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/*
 * The image as a technician gets it, with screen and keyboard as servers have them: no word of its command line is another one, so
 * that its end is read from the screen.
 */

const bootLimitMs = 90_000;
const stack = new AsyncDisposableStack();
/** What the firmware of the next boot is. */
const booted: { firmware: "uefi" | "bios"; image: string } = { firmware: "uefi", image: "" };
let stick: Stick;
let site: Site<"server">;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-real-"));
  chmodSync(directory, 0o700);
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  await ensureBuilt(join(directory, "build.log"));
  stick = await stickOfImage({ directory, name: "stick", image: artifacts.stick });
  booted.image = stick.path;
  const extraArgs = [...vgaCard, "-device", "usb-kbd"];
  // Slow enough that something can happen between two of its commands.
  site = stack.use(
    await openSite({ server: { stick: booted, nic: "none", memoryMib: 384, bmcDelayMs: 20, extraArgs } }),
  );
  const { stdout } = await execa(artifacts.bmcService, ["import-key", "--pki", site.service.pkiDirectory]);
  await stick.put("metal-rivet.yaml", `site: Rack 12, Hall B\n${stdout}\n`);
});
afterAll(() => stack.disposeAsync());

const pull = () => qmp(join(site.machines.server.directory, "qmp"), "device_del", { id: stickDevice.id });
const putBack = () => qmp(join(site.machines.server.directory, "qmp"), "device_add", stickDevice);
const seen = () => site.machines.server.bmc?.proxy.seen ?? [];
const heard = (commands: number) => until(`${commands} commands`, bootLimitMs, () => seen().length >= commands);
const onSerial = (text: string) =>
  site.machines.server.console.waitFor(text, bootLimitMs, (line) => (line.includes(text) ? line : undefined));
const onStick = () => {
  const { uuid, bmcMac, bmcIp } = site.machines.server.truth;
  return `ON STICK\nUUID ${uuid}\nMAC ${bmcMac}\nIP ${bmcIp}`;
};
const reportPath = () => `reports/${site.machines.server.truth.uuid}.json`;
const reported = async () => JSON.parse((await stick.read(reportPath())).toString());

test("by UEFI: stick pulled and put back, screen on its framebuffer, a USB keyboard, power lost while it is written to", async () => {
  const { server } = site.machines;
  await server.powerOn("");
  // Its inspection has begun: what comes next is to be written.
  await heard(12);
  await pull();
  await onSerial("Waiting for it");
  await putBack();
  expect(await waitForQr(server, /^ON STICK/, bootLimitMs)).toBe(onStick());
  // No text mode of a VGA card, whose pictures are 720 pixels wide.
  expect((await screenOf(server)).width).toBeGreaterThan(720);

  await pressKey(server, "i");
  await onSerial("SPACE next page");
  await pressKey(server, "q");
  await waitForQr(server, /^ON STICK/);
  server.bmc?.proxy.forget();
  await pressKey(server, "r");
  await heard(1);
  await pause(Math.random() * 300);
  await server.powerOff();
  expect(await reported()).toMatchObject({ machine: { site: "Rack 12, Hall B" }, accounts: [{ proof: 1 }] });
});

test("by BIOS on a stick that is full: told, nothing lost, and gone on with when there is room; then imported twice", async () => {
  const { server } = site.machines;
  const { accounts } = await reported();
  await stick.fill();
  booted.firmware = "bios";
  server.bmc?.proxy.forget();
  await server.powerOn("");
  expect(await waitForQr(server, /^STICK FULL/, bootLimitMs)).toContain(server.truth.uuid);
  expect((await reported()).accounts).toEqual(accounts);
  // As a technician does: deletes files on a laptop, puts the stick back, presses R.
  await pull();
  await pause(1_000);
  await stick.remove("filler");
  await putBack();
  await pressKey(server, "r");
  expect(await waitForQr(server, /^ON STICK/, bootLimitMs)).toBe(onStick());
  expect(userWrites(seen())).toEqual([]);
  await pressKey(server, "p");
  await onSerial("Power off? Y yes, N no");
  await pressKey(server, "y");
  await until("the machine to go off", 30_000, () => !server.isOn);
  expect(await stick.check()).toBe("");
  expect((await reported()).accounts).toEqual(accounts);

  const path = join(site.directory, "report.json");
  writeFileSync(path, await stick.read(reportPath()));
  for (const newAccounts of [1, 0]) {
    const { stdout } = await bmcctl(site.service, ["import", path, "--output", "json"]);
    expect(JSON.parse(stdout)).toMatchObject([{ result: "linked", new_accounts: newAccounts }]);
  }
  const { mac, machine, machineUuid, state } = await rowOf(site, server.truth.bmcMac);
  expect({ mac, machineUuid, state, place: machine?.site }).toEqual({
    mac: server.truth.bmcMac,
    machineUuid: server.truth.uuid,
    state: State.STATE_LINKED,
    place: "Rack 12, Hall B",
  });
});
