import { describe, expect, test } from "vitest";
import type { Clock } from "../clock.ts";
import { NoBmcError, openBmc, type TriedWay } from "../openipmi/open-bmc.ts";
import type { IpmiDeviceInformation } from "../smbios/type-38-ipmi-device.ts";
import { openDevPort } from "./dev-port.ts";
import { driverHolding } from "./io-ports.ts";
import { parseKcsAddress } from "./kcs-address.ts";
import { KcsBmc } from "./kcs-bmc.fixture.ts";
import { type KcsWaysOptions, kcsWays } from "./kcs-ways.ts";

/** /proc/ioports of a Supermicro-like board without driver: firmware reserves, nobody uses. */
const reserved = `0000-0cf7 : PCI Bus 0000:00
  0070-0071 : rtc0
  0ca2-0ca3 : pnp 00:01
0cf8-0cff : PCI conf1
`;
const driven = `${reserved}  0ca2-0ca3 : IPI0001:00
    0ca2-0ca2 : ipmi_si
    0ca3-0ca3 : ipmi_si
`;

const kcs: IpmiDeviceInformation = {
  interfaceType: "KCS",
  ipmiVersion: "2.0",
  i2cSlaveAddress: 0x20,
  base: { space: "io", address: 0xca2n },
  registerSpacingBytes: 1,
};

const echo = (request: number[]): number[] => [(request[0] ?? 0) | 4, request[1] ?? 0, 0];

class Waits implements Clock {
  nowMs = 0;
  onSleep: () => void = () => undefined;
  now(): number {
    return this.nowMs;
  }
  async sleep(ms: number): Promise<void> {
    this.nowMs += ms;
    this.onSleep();
  }
}

function world(options: Partial<KcsWaysOptions> = {}) {
  const bmc = new KcsBmc(echo);
  const clock = new Waits();
  const ways = kcsWays({
    configured: undefined,
    named: [],
    clock,
    waitMs: 0,
    openPorts: () => bmc,
    readIoPorts: async () => reserved,
    ...options,
  });
  return { bmc, clock, open: () => openBmc({ devices: [], otherWays: async () => ways }) };
}

async function triedBy(open: () => Promise<unknown>): Promise<readonly TriedWay[]> {
  const error: unknown = await open().catch((each: unknown) => each);
  expect(error).toBeInstanceOf(NoBmcError);
  return (error as NoBmcError).tried;
}

describe("the way", () => {
  test("SMBIOS names the ports", async () => {
    const { open } = world({ named: [kcs] });
    await using transport = await open();
    expect(transport.name).toBe("kcs:0xca2");
    const signal = new AbortController().signal;
    expect(
      (await transport.exchange({ netFn: 6, lun: 0, cmd: 1, data: new Uint8Array() }, signal)).completionCode,
    ).toBe(0);
  });

  test("the operator's word counts, and the firmware is not asked", async () => {
    const { open, bmc } = world({ configured: { port: 0xe00, spacing: 4 }, named: [kcs] });
    const looked: number[] = [];
    bmc.read = (port) => {
      looked.push(port);
      return 0;
    };
    await using transport = await open();
    expect([transport.name, looked]).toEqual(["kcs:0xe00", [0xe04]]);
  });
});

describe("no way", () => {
  test("nobody names ports: none is touched", async () => {
    const untouched = () => {
      throw new Error("touched");
    };
    const { open } = world({ openPorts: untouched });
    expect(await triedBy(open)).toEqual([
      { way: "raw KCS", reason: "SMBIOS names no BMC; rivet.kcs=io:0xca2 (flag --kcs) names the usual ports" },
    ]);
  });

  test("a socket without BMC: address zero", async () => {
    const empty = { ...kcs, base: { space: "io", address: 0n } } as const;
    expect((await triedBy(world({ named: [empty] }).open))[0]?.namedBy).toBeUndefined();
  });

  test.each([
    [{ ...kcs, interfaceType: "BT" }, "SMBIOS names BT at io 0xca2, which is no KCS"],
    [{ ...kcs, base: { space: "memory", address: 0xfed00ca2n } }, "SMBIOS names registers at memory 0xfed00ca2; only"],
    [{ ...kcs, base: { space: "io", address: 0xffffn } }, "SMBIOS names registers at io 0xffff; only"],
  ] as const)("SMBIOS names what is not for us: %#", async (device, reason) => {
    const [way] = await triedBy(world({ named: [device] }).open);
    expect(way).toMatchObject({ way: "raw KCS", namedBy: "SMBIOS", reason: expect.stringContaining(reason) });
  });

  test("the kernel's driver holds the ports: none is touched", async () => {
    const { open, bmc } = world({ named: [kcs], readIoPorts: async () => driven });
    bmc.read = () => {
      throw new Error("touched");
    };
    expect(await triedBy(open)).toEqual([
      { way: "kcs:0xca2", namedBy: "SMBIOS", reason: "the kernel's driver ipmi_si holds its ports" },
    ]);
  });

  test("nobody there, also after the wait; the ports are closed again", async () => {
    const { open, bmc, clock } = world({ configured: { port: 0xca2, spacing: 1 }, waitMs: 3_000 });
    bmc.habits.absent = true;
    expect(await triedBy(open)).toEqual([
      { way: "kcs:0xca2", namedBy: "rivet.kcs", reason: "nobody answers at its ports (status FFh for 3 s)" },
    ]);
    expect([clock.nowMs, bmc.closed]).toEqual([3_000, 1]);
  });

  test("a BMC that drives its ports late is waited for", async () => {
    const { open, bmc, clock } = world({ named: [kcs], waitMs: 60_000 });
    bmc.habits.absent = true;
    clock.onSleep = () => {
      bmc.habits.absent = clock.nowMs < 30_000;
    };
    await using transport = await open();
    expect([transport.name, clock.nowMs]).toEqual(["kcs:0xca2", 30_000]);
  });

  test("the kernel shows no ports", () => {
    expect(() => openDevPort("/nowhere/port")).toThrow("open /nowhere/port: this kernel shows no I/O ports (ENOENT)");
  });
});

test("/proc/ioports", () => {
  expect(driverHolding([0xca2, 0xca3], driven)).toBe("ipmi_si");
  expect(driverHolding([0xca3], driven)).toBe("ipmi_si");
  expect(driverHolding([0xca4], driven)).toBeUndefined();
  expect(driverHolding([0xca2, 0xca3], reserved)).toBeUndefined();
  expect(driverHolding([0xca2], "")).toBeUndefined();
});

test("addresses as text", () => {
  expect(parseKcsAddress("io:0xca2")).toEqual({ port: 0xca2, spacing: 1 });
  expect(parseKcsAddress("IO:0xE4,spacing=16")).toEqual({ port: 0xe4, spacing: 16 });
  for (const text of ["", "0xca2", "io:3234", "io:0xca2,", "io:0xca2,spacing=0", "mem:0xca2", "io:0x0", "io:0xffff"]) {
    expect(parseKcsAddress(text), text).toBeUndefined();
  }
});
