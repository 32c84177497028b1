import { describe, expect, test } from "vitest";
import { findOut } from "../../agent/inspect.ts";
import { NoBmcError } from "../../inband/openipmi/open-bmc.ts";
import { scriptedBmc } from "../../inband/scripted-bmc.fixture.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { smbiosTables } from "./smbios-tables.ts";

describe("firmware that tells a filler as UUID", () => {
  const bogus = "03000200-0400-0500-0006-000700080009";
  const channel = (macAnswer: number | readonly number[]) =>
    scriptedBmc((name, [first = 0, selector = 0]) => {
      if (name === "Get Device ID") return [0x20, 1, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 2, 0x0f];
      if (name === "Get Channel Info") return first === 1 ? [1, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0] : 0xcc;
      if (name === "Get LAN Configuration Parameters" && selector === 5) return macAnswer;
      return 0xc1;
    }).conversation.transport;
  const inspected = async (openBmc: () => Promise<Transport>, boardSerial?: string) =>
    (await findOut({
      readSmbios: async () => smbiosTables(bogus, undefined, boardSerial),
      openBmc,
      inventory: async () => ({}),
      kernel: async () => "6.1.0",
    })) as { machine: object; problems: string[] };

  test("is shown with the UUID that a run uses instead, and why", async () => {
    const found = await inspected(async () => channel([0x11, 0x52, 0x54, 0, 0xb1, 0, 1]), "S-1");
    expect(found.machine).toMatchObject({
      uuid: "988d6c78-1047-5bfa-b1bb-a463cbd8e412",
      uuid_derived: true,
      firmware_uuid: bogus,
      uuid_remark: expect.stringMatching(
        /^Refused: the system UUID 03.* filler .*S-1 and BMC MAC address 52:54:00:b1:00:01/,
      ),
    });
    expect(found.problems.join("\n")).not.toContain("UUID");
  });

  test.each([
    ["no BMC", () => Promise.reject(new NoBmcError([])), "S-1", /the machine has no BMC/],
    [
      "a BMC that cannot be asked",
      () => Promise.reject(new Error("EACCES")),
      "S-1",
      /the BMC could not be read\. Run again/,
    ],
    ["no serial number", async () => channel([0x11, 0x52, 0x54, 0, 0xb1, 0, 1]), undefined, /FRU 0 cannot be read/],
    ["no MAC address", async () => channel(0x80), "S-1", /the BMC tells no MAC address/],
    [
      "a MAC address that is not told today",
      async () => channel(0xc7),
      "S-1",
      /did not tell the MAC address of channel 1/,
    ],
  ])("is shown with the reason why there is none: %s", async (_what, openBmc, boardSerial, reason) => {
    const { machine, problems } = await inspected(openBmc, boardSerial);
    expect(machine).toMatchObject({ firmware_uuid: bogus });
    expect(machine).not.toHaveProperty("uuid");
    expect(problems.find((each) => each.startsWith("machine UUID: "))).toMatch(reason);
  });
});
