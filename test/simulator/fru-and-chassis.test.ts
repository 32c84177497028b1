import { describe, expect, test } from "vitest";
import * as c from "../../ipmi/commands/index.ts";
import { uuidToGuid } from "../../ipmi/guid.ts";
import { account, ask, bmcWith, done, raw } from "./ask-bmc.fixture.ts";
import { strict } from "./profiles.ts";
import { createBmc, type SimulatedBmc } from "./simulated-bmc.ts";

describe("identity", () => {
  const machineUuid = "4c4c4544-0042-3510-8052-b4c04f4d4d32";

  test.each(["ipmi", "smbios", "rfc4122"] as const)("the machine's UUID in the order %s", (machine) => {
    const bmc = bmcWith({ device: { guid: { machine } } }, { machineUuid });
    expect(ask(bmc, c.getSystemGuid, {})).toEqual({ guid: uuidToGuid(machineUuid, machine) });
  });

  test("one of its own, or a refusal", () => {
    const bytes = "000102030405060708090a0b0c0d0e0f";
    const own = ask(bmcWith({ device: { guid: { bytes } } }), c.getSystemGuid, {});
    expect(own).toEqual({ guid: Uint8Array.from({ length: 16 }, (_, i) => i) });
    expect(ask(bmcWith({ device: { guid: { refused: 0xff } } }), c.getSystemGuid, {})).toBe(0xff);
  });
});

describe("FRU", () => {
  const area = (bmc: SimulatedBmc, fruDeviceId = 0) => ask(bmc, c.getFruInventoryAreaInfo, { fruDeviceId });
  const read = (bmc: SimulatedBmc, offset: number, count: number) =>
    ask(bmc, c.readFruData, { fruDeviceId: 0, offset, count });
  const fru = Uint8Array.from({ length: 64 }, (_, i) => i);

  test("is 0 and no other", () => {
    const bmc = bmcWith({}, { fru });
    expect([area(bmc), area(bmc, 1)]).toMatchObject([{ areaSizeBytes: 64 }, 0xcb]);
    expect(area(bmcWith({}, { fru: "none" }))).toBe(0xcb);
  });

  test("is refused, or empty", () => {
    const refusing = bmcWith({ fru: { refused: 0xc9 } });
    expect([area(refusing), read(refusing, 0, 8)]).toEqual([0xc9, 0xc9]);
    expect(area(bmcWith({ fru: { empty: true } }))).toMatchObject({ areaSizeBytes: 0 });
  });

  test.each([8, 16, 32])("at most %d bytes at once", (mostBytes) => {
    const bmc = bmcWith({ fru: { mostBytes, tooMuch: 0xc8 } }, { fru });
    expect(read(bmc, 0, mostBytes + 1)).toBe(0xc8);
    expect(read(bmc, 0, mostBytes)).toEqual({ countReturned: mostBytes, data: fru.slice(0, mostBytes) });
  });

  test("a read over the end is short, one beyond it refused", () => {
    const bmc = bmcWith({ fru: { pastEnd: 0xc8 } }, { fru });
    expect([read(bmc, 60, 16), read(bmc, 64, 1)]).toEqual([{ countReturned: 4, data: fru.slice(60) }, 0xc8]);
  });

  test("in words: offset and both counts", () => {
    const bmc = bmcWith({ fru: { unit: "words", mostBytes: 16 } }, { fru });
    expect(area(bmc)).toMatchObject({ areaSizeBytes: 64, access: { unit: "words" } });
    expect([read(bmc, 4, 8), read(bmc, 4, 9)]).toEqual([{ countReturned: 8, data: fru.slice(8, 24) }, 0xca]);
  });

  test("with a checksum that is wrong: one byte differs", () => {
    const good = bmcWith({}).fru ?? new Uint8Array();
    const bad = bmcWith({ fru: { badChecksum: true } }).fru ?? new Uint8Array();
    expect(good.filter((each, i) => each !== bad[i])).toHaveLength(1);
  });

  test("with texts that nobody replaced", () => {
    const text = Buffer.from(bmcWith({ fru: { placeholders: true } }).fru ?? []).toString("latin1");
    expect(text).toContain("To Be Filled By O.E.M.");
  });
});

describe("chassis", () => {
  test("power, and who hears of it", () => {
    const heard: string[] = [];
    const bmc = bmcWith({}, { onPower: (operation) => heard.push(operation) });
    const control = (operation: "powerDown" | "powerUp" | "powerCycle" | "hardReset") =>
      ask(bmc, c.chassisControl, { control: { operation } });
    const powerOn = () => ask(bmc, c.getChassisStatus, {});
    expect([control("hardReset"), control("powerDown")]).toEqual([{}, {}]);
    expect(powerOn()).toMatchObject({ currentPowerState: { powerOn: false } });
    expect([control("powerCycle"), control("powerUp")]).toEqual([0xd5, {}]);
    expect(powerOn()).toMatchObject({
      currentPowerState: { powerOn: true },
      lastPowerEvent: { onByIpmiCommand: true },
    });
    expect(heard).toEqual(["hardReset", "powerDown", "powerUp"]);
  });

  test("the identify light goes out by itself", () => {
    const bmc = bmcWith({});
    const state = (nowMs: number) => ask(bmc, c.getChassisStatus, {}, nowMs);
    const lit = (identifyState: string) => ({ miscChassisState: { identifyState } });
    ask(bmc, c.chassisIdentify, { identifyIntervalSeconds: 5 }, 1_000);
    expect([state(5_999), state(6_000)]).toMatchObject([lit("timedOn"), lit("off")]);
    ask(bmc, c.chassisIdentify, { identifyIntervalSeconds: 0, force: { forceOn: true } }, 7_000);
    expect(state(1e9)).toMatchObject(lit("indefiniteOn"));
    ask(bmc, c.chassisIdentify, { identifyIntervalSeconds: 0 }, 8_000);
    expect(state(8_000)).toMatchObject(lit("off"));
  });

  test("boot options are kept; others do not exist", () => {
    const bmc = bmcWith({});
    const parameterData = Uint8Array.of(0x80, 0x04, 0, 0, 0);
    const set = (selector: number, data: Uint8Array) =>
      ask(bmc, c.setSystemBootOptions, { parameter: { markInvalid: false, selector }, parameterData: data });
    const get = (parameterSelector: number) =>
      ask(bmc, c.getSystemBootOptions, { parameterSelector, setSelector: 0, blockSelector: 0 });
    expect([set(5, parameterData), set(5, Uint8Array.of(1)), set(7, parameterData)]).toEqual([{}, 0xc7, 0x80]);
    expect([get(5), get(7)]).toMatchObject([{ parameterData, parameter: { selector: 5 } }, 0x80]);
  });
});

describe("everything else", () => {
  test("a command that is not known, and data that is no request", () => {
    const bmc = bmcWith({});
    expect(bmc.handle({ netFn: 0x30, lun: 0, cmd: 0x28, data: new Uint8Array() })).toMatchObject({
      completionCode: 0xc1,
    });
    expect(raw(bmc, c.getUserName, new Uint8Array())).toBe(0xc7);
    expect(raw(bmc, c.getUserName, Uint8Array.of(1, 2))).toBe(0xc7);
  });

  test("the account is made in the order of the specification, on the strictest BMC too", () => {
    expect(account(bmcWith({}))).toEqual(done);
    expect(account(createBmc(strict))).toEqual(done);
  });
});
