import { describe, expect, test } from "vitest";
import { systemClock } from "../inband/clock.ts";
import { NoBmcError, type TriedWay } from "../inband/openipmi/open-bmc.ts";
import type { IpmiDeviceInformation } from "../inband/smbios/type-38-ipmi-device.ts";
import { openBeside } from "./open-bmc-beside.ts";
import { makeStep } from "./step.ts";
import { defaultLimits, type World } from "./world.ts";

const node: TriedWay = { way: "/dev/ipmi0", reason: "it does not exist" };
const kcs: IpmiDeviceInformation = {
  interfaceType: "KCS",
  ipmiVersion: "2.0",
  i2cSlaveAddress: 0x20,
  base: { space: "io", address: 0xca2n },
  registerSpacingBytes: 1,
};

/** What comes out when all these ways failed. */
async function opened(tried: readonly TriedWay[], named: readonly IpmiDeviceInformation[] = []) {
  const world = {
    openBmc: () => Promise.reject(new NoBmcError(tried)),
    clock: systemClock,
    settings: { limits: defaultLimits },
  } as unknown as World;
  const step = makeStep({ clock: systemClock, onEvent: () => undefined });
  await using opening = openBeside(world, step, named);
  return await opening.bmc;
}

describe("no way to a BMC is open", () => {
  test("and nobody says that there is one: the machine has none", async () => {
    const raw = { way: "raw KCS", reason: "SMBIOS names no BMC" };
    expect(await opened([node, raw])).toEqual({ tried: [node, raw] });
  });

  test("but SMBIOS names one: it hides, and every way is told", async () => {
    const raw = { way: "kcs:0xca2", reason: "nobody answers at its ports (status FFh)", namedBy: "SMBIOS" };
    await expect(opened([node, raw], [kcs])).rejects.toMatchObject({
      cause: { name: "HiddenBmcError" },
      message: expect.stringMatching(
        /SMBIOS names a BMC \(KCS at io 0xca2\), .* \(\/dev\/ipmi0: it does not exist; kcs:0xca2: nobody answers .*credentials by hand/,
      ),
    });
  });

  test.each(["rivet.kcs", "PCI"])("but %s names one", async (namedBy) => {
    await expect(opened([node, { way: "that", reason: "no", namedBy }])).rejects.toMatchObject({
      cause: { name: "HiddenBmcError" },
      message: expect.stringContaining(`${namedBy} names a BMC, but no way to it is open`),
    });
  });
});
