import { expect, test } from "vitest";
import { NoBmcError } from "../inband/openipmi/open-bmc.ts";
import { nameBytes, scriptedBmc } from "../inband/scripted-bmc.fixture.ts";
import type { Transport } from "../ipmi/transport.ts";
import { findOut } from "./inspect.ts";
import { documentOf } from "./inspect-document.ts";
import { inspectText } from "./inspect-text.ts";

test("no BMC and no SMBIOS: what was tried, what failed, and the rest all the same", async () => {
  const found = await findOut({
    readSmbios: () => Promise.reject(new Error("no tables")),
    openBmc: () => Promise.reject(new NoBmcError([{ way: "/dev/ipmi0", reason: "not there" }])),
    inventory: async () => ({ memoryBytes: 1024n, disks: [] }),
    kernel: async () => "6.1.0\n",
  });
  expect(found).toEqual({
    agent: "metal-rivet 0.1.0-dev",
    kernel: "6.1.0",
    tried: [{ way: "/dev/ipmi0", reason: "not there" }],
    inventory: { memory_bytes: 1024, disks: [] },
    problems: ["SMBIOS: no tables"],
  });
  expect(inspectText(found)).toBe(`agent   metal-rivet 0.1.0-dev
kernel  6.1.0

BMC
  none found

Tried
  WAY         REASON
  /dev/ipmi0  not there

Inventory
  memory bytes  1024
  disks         none

Problems
  - SMBIOS: no tables
`);
});

test("the ways that failed before the one that works", async () => {
  const deviceId = Uint8Array.of(0x20, 1, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 2, 0x0f);
  const transport: Transport = {
    name: "kcs:0xca2",
    maxRequestBytes: 270,
    exchange: async ({ cmd }) =>
      cmd === 1 ? { completionCode: 0, data: deviceId } : { completionCode: 0xc1, data: new Uint8Array() },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const found = await findOut({
    readSmbios: () => Promise.reject(new Error("no tables")),
    openBmc: async (_, onFailed) => {
      onFailed({ way: "/dev/ipmi0", reason: "not there" });
      return transport;
    },
    inventory: async () => ({}),
    kernel: async () => "6.1.0",
  });
  expect(found).toMatchObject({
    bmc: { transport: "kcs:0xca2", firmware_version: "9.08" },
    tried: [{ way: "/dev/ipmi0", reason: "not there" }],
  });
});

test("an SMBIOS table cut short is a problem that names it", async () => {
  const found = await findOut({
    readSmbios: async () => ({ entryPoint: Buffer.from("_SM3_"), table: Buffer.alloc(4) }),
    openBmc: () => Promise.reject(new Error("open /dev/ipmi0: EACCES")),
    inventory: () => Promise.reject(new Error("late")),
    kernel: async () => "6.1.0",
  });
  expect(found.problems).toEqual([
    expect.stringContaining("SMBIOS: "),
    "BMC: open /dev/ipmi0: EACCES",
    "inventory: late",
  ]);
});

test("a BMC: its findings, and how long its commands took", async () => {
  const parameters: Readonly<Record<number, readonly number[]>> = {
    3: [10, 0, 0, 7],
    5: [0x52, 0x54, 0, 0xb1, 0, 1],
    22: [2],
    23: [0, 0, 3, ...new Array<number>(14).fill(0)],
    24: [0, 0x44, ...new Array<number>(7).fill(0)],
  };
  const { conversation, log } = scriptedBmc((name, [first = 0, selector = 0]) => {
    if (name === "Get Device ID") return [0x20, 1, 9, 8, 2, 0x9f, 0x91, 0x12, 0, 2, 0x0f];
    if (name === "Get Channel Info") return first === 1 ? [1, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0] : 0xcc;
    if (name === "Get User Access") return [2, 0x41, 1, 0x14];
    if (name === "Get User Name") return nameBytes("ADMIN");
    const value = name === "Get LAN Configuration Parameters" ? parameters[selector] : undefined;
    return value === undefined ? 0xc1 : [0x11, ...value];
  });
  const { bmc, problems } = await findOut({
    readSmbios: () => Promise.reject(new Error("no tables")),
    openBmc: async () => conversation.transport,
    inventory: async () => ({}),
    kernel: async () => "6.1.0",
  });
  expect(problems).toEqual(["SMBIOS: no tables"]);
  expect(bmc).toMatchObject({
    mac: "52:54:00:b1:00:01",
    findings: [
      "Logins with cipher suite 0 are allowed on channel 1.",
      "The BMC tells no system GUID in-band: completion code C1h (invalid command)",
      expect.stringMatching(/^FRU 0 cannot be read: .*C1h/),
    ],
    users: { named: [{ id: 2, name: "ADMIN" }] },
    command_latencies: expect.stringMatching(/^\d+ up to 1 ms.*; longest \d+ ms$/),
  });
  expect(log.filter((each) => each.startsWith("Set"))).toEqual([]);
});

test("values of every kind", () => {
  const document = documentOf({
    someBytes: Uint8Array.of(1, 255),
    bigButExact: 12n,
    tooBig: 2n ** 64n,
    at: new Date(0),
    never: new Date(Number.NaN),
    nothing: undefined,
    empty: "",
    list: [1, undefined, { innerKey: true }],
  });
  expect(document).toEqual({
    some_bytes: "01ff",
    big_but_exact: 12,
    too_big: "18446744073709551616",
    at: "1970-01-01T00:00:00.000Z",
    list: [1, { inner_key: true }],
  });
});

test("what a BMC says does not steer the terminal", () => {
  const text = inspectText({ bmc: { users: [{ name: "\u001b[31mroot" }], fru: "a\u0007\nb" } });
  expect(text).toBe("\nBMC\n  fru  a??b\n  users:\n    NAME\n    ?[31mroot\n");
});

test("the users of a BMC fit 80 columns", () => {
  const rights = { status: "enabled", callback_only: false, link_authentication: false, ipmi_messaging: true };
  const user = { id: 16, name: "abcdefghijklmnop", ...rights, privilege_limit: "administrator" };
  const lines = inspectText({ bmc: { users: { named: [user] } } }).split("\n");
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
  expect(lines.map((line) => line.trim())).toContain("ONLY      AUTH.  MESSAGING  LIMIT");
});
