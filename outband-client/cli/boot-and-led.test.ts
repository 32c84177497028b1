import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { IdentifyLed } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { BootTarget } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { useFakeService } from "./fixture/hooks.ts";
import { linked } from "./fixture/rows.ts";
import { run } from "./fixture/run.ts";

const inUse = useFakeService();

afterEach(() => {
  inUse.service.bootTargets.length = 0;
  inUse.service.leds.length = 0;
});

const bmcctl = (...args: string[]) => run([...inUse.there, ...args]);
const { mac } = linked;

describe("boot", () => {
  test.each([
    ["pxe", BootTarget.BOOT_TARGET_PXE],
    ["disk", BootTarget.BOOT_TARGET_DISK],
    ["bios", BootTarget.BOOT_TARGET_BIOS],
    ["cdrom", BootTarget.BOOT_TARGET_CDROM],
  ])("from %s is for the next boot, and sent once", async (name, target) => {
    const ran = await bmcctl("boot", mac.toUpperCase(), name);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(inUse.service.bootTargets).toEqual([{ mac, target, persistent: false, efi: false }]);
    expect(ran.stdout).toBe(
      `MAC                 BOOTS FROM   FOR         BY     SERVED BY\n${mac}   ${name.padEnd(10)}   next boot   BIOS   IPMI\n`,
    );
  });

  test("for every boot, by UEFI", async () => {
    const { stdout } = await bmcctl("boot", mac, "disk", "--persistent", "--efi");
    const target = BootTarget.BOOT_TARGET_DISK;
    expect(inUse.service.bootTargets).toEqual([{ mac, target, persistent: true, efi: true }]);
    expect(stdout).toMatch(/disk +every boot +UEFI +IPMI/);
  });

  test("none takes it back, and then there is nothing to tell of a firmware", async () => {
    await bmcctl("boot", mac, "pxe");
    const { stdout } = await bmcctl("boot", mac, "none");
    expect(inUse.service.bootTargets.at(-1)).toMatchObject({ target: BootTarget.BOOT_TARGET_NONE });
    expect(stdout).toMatch(/none +IPMI\n$/);
  });

  test("status reads and changes nothing", async () => {
    const { stdout } = await bmcctl("boot", mac, "status", "--output", "json");
    expect(JSON.parse(stdout)).toEqual({ mac, target: "none", persistent: false, efi: false, served_by: "IPMI" });
    expect(inUse.service.bootTargets).toEqual([]);
  });

  test("from what has no name here is told as such", async () => {
    inUse.service.bootTargets.push({ mac, target: 99 as BootTarget, persistent: false, efi: false });
    expect((await bmcctl("boot", mac, "status")).stdout).toMatch(/ other +next boot/);
  });

  test.each([
    ["status", "--persistent"],
    ["none", "--efi"],
  ])("%s %s is wrong usage, and nothing is sent", async (target, option) => {
    const { code, stderr } = await bmcctl("boot", mac, target, option);
    expect(code).toBe(64);
    expect(stderr).toContain(`no meaning with "${target}"`);
    expect(inUse.service.bootTargets).toEqual([]);
  });

  test("is not sent again when the service fails", async () => {
    inUse.service.fault = { code: status.UNAVAILABLE, details: "IPMI: no answer from 10.0.0.1:623" };
    const { code, stderr } = await bmcctl("boot", mac, "pxe");
    expect(code).toBe(75);
    expect(stderr).toContain("SetBootTarget: IPMI: no answer from 10.0.0.1:623\n");
    expect(inUse.service.bootTargets).toHaveLength(1);
  });
});

describe("led", () => {
  test.each([
    [["on"], { state: IdentifyLed.IDENTIFY_LED_ON, seconds: 0 }, "on"],
    [["on", "--seconds", "60"], { state: IdentifyLed.IDENTIFY_LED_TIMED, seconds: 60 }, "timed"],
    [["off"], { state: IdentifyLed.IDENTIFY_LED_OFF, seconds: 0 }, "off"],
  ])("%j is sent once", async (args, asked, shown) => {
    const ran = await bmcctl("led", mac, ...args);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(inUse.service.leds).toEqual([{ mac, ...asked }]);
    expect(ran.stdout).toMatch(new RegExp(`^MAC +LED +SERVED BY\\n${mac}   ${shown} +IPMI\\n$`));
  });

  test("status reads and changes nothing; what the BMC does not tell is unknown", async () => {
    const { stdout } = await bmcctl("led", mac, "status", "--output", "json");
    expect(JSON.parse(stdout)).toEqual({ mac, action: "status", led: "unknown", served_by: "IPMI" });
    expect(inUse.service.leds).toEqual([]);
  });

  test.each([
    [["off", "--seconds", "5"], 'no meaning with "off"'],
    [["on", "--seconds", "256"], "from 1 to 255"],
    [["on", "--seconds", "0"], "from 1 to 255"],
    [["blink"], "Allowed choices"],
  ])("%j is wrong usage, and nothing is sent", async (args, words) => {
    const { code, stderr } = await bmcctl("led", mac, ...args);
    expect(code).toBe(64);
    expect(stderr).toContain(words);
    expect(inUse.service.leds).toEqual([]);
  });
});
