import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { Bmc, type State, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { PowerAction } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { useFakeService } from "./fixture/hooks.ts";
import { canary, discovered, failed, linked, unmanaged } from "./fixture/rows.ts";
import { run, type Surroundings } from "./fixture/run.ts";

const inUse = useFakeService();

const bmcctl = (args: string[], surroundings?: Surroundings) => run([...inUse.there, ...args], surroundings);

describe("ls", () => {
  test("shows the columns of MEP-15", async () => {
    expect(await bmcctl(["ls"])).toEqual({
      code: 0,
      stderr: "",
      stdout: `\
MAC                 IP            VENDOR       DRIVER      MACHINE ID
92:33:b8:0e:df:8f   10.0.0.1      Supermicro   IPMI        37c43c25-69fe-4f88-b69d-4e71dc4070d0
27:53:57:51:6b:c8   10.0.0.8
56:62:97:4e:1f:1f   2001:db8::9   Dell [2J     IPMI        995119fd-ec18-4cd7-8ca0-a9e1c2f70624
                                               Unmanaged   4bdf5c1b-3f7d-47df-84dd-05acb6e0718d

warning: 27:53:57:51:6b:c8: not linked, reported
warning: 56:62:97:4e:1f:1f: not linked, failed: login refused: wrong password
`,
    });
  });

  test("asks for whole rows only to show them whole", async () => {
    inUse.service.briefLists.length = 0;
    await bmcctl(["ls", "--wide"]);
    const json = JSON.parse((await bmcctl(["ls", "--output", "json"])).stdout);
    expect(inUse.service.briefLists).toEqual([true, false]);
    expect(json[0].ipmi.user).toBe(linked.account?.userName);
  });

  test("--wide adds state and reason", async () => {
    const { stdout } = await bmcctl(["ls", "--wide"]);
    expect(stdout).toContain("995119fd-ec18-4cd7-8ca0-a9e1c2f70624   failed      login refused: wrong password\n");
  });

  test("shows the head alone if there is nothing", async () => {
    const rows = [...inUse.service.rows];
    inUse.service.rows.clear();
    try {
      expect((await bmcctl(["ls"])).stdout).toBe("MAC   IP   VENDOR   DRIVER   MACHINE ID\n");
      expect((await bmcctl(["ls", "--output", "json"])).stdout).toBe("[]\n");
      expect((await bmcctl(["ls", "--output", "yaml"])).stdout).toBe("---\n[]\n");
    } finally {
      for (const [key, row] of rows) inUse.service.rows.set(key, row);
    }
  });

  test("says what is the same for many rows once, and leaves the rest as it is", async () => {
    const rows = [...inUse.service.rows];
    const shared = { kind: WarningKind.WARNING_KIND_SHARED_CERTIFICATE, text: 'showed the certificate "agent"' };
    const conflict = { kind: WarningKind.WARNING_KIND_CONFLICT, text: "conflict 7" };
    try {
      inUse.service.rows.set(linked.mac, Bmc.fromPartial({ ...linked, warnings: [shared, conflict] }));
      const one = (await bmcctl(["ls"])).stdout;
      expect(one.split("\n\n")[1]).toContain(
        `warning: ${linked.mac}: conflict 7\nwarning: ${linked.mac}: ${shared.text}\n`,
      );
      inUse.service.rows.set(failed.mac, Bmc.fromPartial({ ...failed, warnings: [shared] }));
      const [, lines = ""] = (await bmcctl(["ls", "--wide"])).stdout.split("\n\n");
      expect(lines.trimEnd().split("\n")).toEqual([
        `warning: ${linked.mac}: conflict 7`,
        expect.stringMatching(/^warning: 2 rows: .* not the machine's own .*bmcctl token create/),
      ]);
      const json = JSON.parse((await bmcctl(["ls", "--output", "json"])).stdout);
      const told = json.flatMap(
        (row: { warnings?: { text: string }[] }) => row.warnings?.map(({ text }) => text) ?? [],
      );
      expect(told).toEqual([shared.text, conflict.text, shared.text]);
      expect((await bmcctl(["describe", failed.mac])).stdout).toContain(shared.text);
    } finally {
      for (const [key, row] of rows) inUse.service.rows.set(key, row);
    }
  });

  test("gives the documents of describe as JSON and YAML", async () => {
    const json = JSON.parse((await bmcctl(["ls", "--output", "json"])).stdout);
    expect(json.map((row: { mac?: string; machine_id?: string }) => row.mac ?? row.machine_id)).toEqual([
      linked.mac,
      discovered.mac,
      failed.mac,
      unmanaged.machineUuid,
    ]);
    expect(json[1]).toEqual({ mac: discovered.mac, address: "10.0.0.8", state: "reported" });
    expect(json[0]).toEqual(JSON.parse((await bmcctl(["describe", linked.mac, "--output", "json"])).stdout));
    expect((await bmcctl(["--output", "yaml", "ls"])).stdout).toMatch(/^---\n- mac: 92:33:b8:0e:df:8f\n {2}address: /);
  });
});

describe("describe", () => {
  const document = `\
---
mac: 92:33:b8:0e:df:8f
address: 10.0.0.1
vendor: Supermicro
protocol: IPMI
machine_id: 37c43c25-69fe-4f88-b69d-4e71dc4070d0
created_at: "2024-11-19T11:15:53.760Z"
changed_at: "2024-11-19T11:18:53.760Z"
bios:
  date: 12/31/2021
  vendor: American Megatrends Inc.
  version: "3.6"
board:
  board_mfg: Supermicro
  board_part_number: X11DPT-B
  chassis_part_number: CSE-217BHQ+
  chassis_part_serial: C217BAK18P
  product_manufacturer: Supermicro
  product_part_number: SYS-2029BT-HNR
  product_serial: E262335X2304003C
bmc:
  version: "1.74"
ipmi:
  interface: lanplus
  port: 623
  password: "[hidden]"
  user: rivet8f3k2m1qz
  slot: 3
powermetric:
  powerstate: "ON"
ledstate:
  value: LED-OFF
state: linked
state_reason: logged in from remote
verified_at: "2024-11-19T11:18:50.000Z"
drivers:
- IPMI
- Redfish
network:
  channel: 1
  ipv4_address: 10.0.0.1
  ipv4_source: dhcp
  ipv4_mask: 255.255.255.0
  ipv4_gateway: 10.0.0.254
  vlan_id: 42
  ipv6_addresses:
  - 2001:db8::7/64
device:
  manufacturer_id: 10876
  product_id: 2404
  ipmi_version: "2.0"
  guid: d07040dc714e9db6884ffe69253cc437
  remote_guid: d07040dc714e9db6884ffe69253cc437
  transport: openipmi:/dev/ipmi0
smbios:
  version: 3.0.0
  system:
    manufacturer: Supermicro
    product_name: SYS-2029BT-HNR
    serial_number: E262335X2304003C
  board:
    manufacturer: Supermicro
    product_name: X11DPT-B
  chassis:
    manufacturer: Supermicro
findings:
- channel 8 has no MAC address
agent_version: metal-rivet 0.1.0
`;

  test.each(["92:33:b8:0e:df:8f", "92-33-B8-0E-DF-8F", "37C43C25-69FE-4F88-B69D-4E71DC4070D0"])(
    "%s is shown as in MEP-15, the password hidden",
    async (key) => {
      expect(await bmcctl(["describe", key])).toEqual({ code: 0, stderr: "", stdout: document });
    },
  );

  test("--show-secrets shows the password, and nothing else changes", async () => {
    const { stdout } = await bmcctl(["describe", linked.mac, "--show-secrets"]);
    expect(stdout).toBe(document.replace('"[hidden]"', canary));
  });

  test("a password that nobody asked for is hidden in every form, even if the service sends it", async () => {
    for (const output of ["table", "yaml", "json"]) {
      for (const args of [["ls"], ["ls", "--wide"], ["describe", linked.mac]]) {
        const { code, stdout } = await bmcctl([...args, "--output", output]);
        expect({ code, shown: stdout.includes(canary) }).toEqual({ code: 0, shown: false });
      }
    }
  });

  test("--output table shows a key and a value on each line", async () => {
    const { stdout } = await bmcctl(["describe", linked.mac, "--output", "table"]);
    expect(stdout).toMatch(/^KEY {2,}VALUE\nmac {2,}92:33:b8:0e:df:8f\n/);
    expect(stdout).toMatch(/^network\.ipv6_addresses {2,}2001:db8::7\/64$/m);
    expect(stdout).toContain("[hidden]");
  });

  test("leaves out what is unknown, takes the port from the address, and defuses control characters", async () => {
    expect(JSON.parse((await bmcctl(["describe", failed.mac, "--output", "json"])).stdout)).toEqual({
      mac: failed.mac,
      address: "127.0.0.1:9001",
      vendor: "Dell [2J",
      protocol: "IPMI",
      machine_id: failed.machineUuid,
      ipmi: { interface: "lanplus", port: 9001 },
      state: "failed",
      state_reason: "login refused: wrong password",
      drivers: ["IPMI"],
      network: { ipv6_addresses: ["2001:db8::9/64"] },
    });
  });

  test("a state that only a newer service knows is shown as its number", async () => {
    const mac = "02:00:00:00:00:01";
    inUse.service.rows.set(mac, Bmc.fromPartial({ mac, state: 99 as State }));
    try {
      expect((await bmcctl(["describe", mac])).stdout).toBe(`---\nmac: "${mac}"\nstate: state 99\n`);
    } finally {
      inUse.service.rows.delete(mac);
    }
  });

  test("a derived UUID is marked, beside the one that was refused", async () => {
    const mac = "02:00:00:00:00:01";
    const machineUuid = "988d6c78-1047-5bfa-b1bb-a463cbd8e412";
    const firmwareUuid = "03000200-0400-0500-0006-000700080009";
    const machine = { uuid: machineUuid, uuidDerived: true, firmwareUuid };
    inUse.service.rows.set(mac, Bmc.fromPartial({ mac, machineUuid, machine }));
    try {
      expect((await bmcctl(["describe", mac])).stdout).toBe(
        `---\nmac: "${mac}"\nmachine_id: ${machineUuid}\nmachine_id_derived: true\nfirmware_uuid: ${firmwareUuid}\n`,
      );
      const { stdout } = await bmcctl(["ls"]);
      expect(stdout).toContain(machineUuid);
      expect(stdout).not.toContain(firmwareUuid);
    } finally {
      inUse.service.rows.delete(mac);
    }
  });

  test("a machine without BMC has no MAC", async () => {
    expect((await bmcctl(["describe", unmanaged.machineUuid])).stdout).toBe(
      `---\nprotocol: Unmanaged\nmachine_id: ${unmanaged.machineUuid}\nstate: unmanaged\ndrivers:\n- Unmanaged\n`,
    );
  });
});

describe("power", () => {
  test.each([
    ["on", PowerAction.POWER_ACTION_ON, "on"],
    ["off", PowerAction.POWER_ACTION_OFF, "off"],
    ["cycle", PowerAction.POWER_ACTION_CYCLE, "on"],
    ["reset", PowerAction.POWER_ACTION_RESET, "on"],
  ])("%s is sent once", async (verb, action, after) => {
    inUse.service.powerActions.length = 0;
    const { code, stdout } = await bmcctl(["power", "92-33-b8-0e-df-8f", verb]);
    expect(code).toBe(0);
    expect(inUse.service.powerActions).toEqual([{ mac: linked.mac, action }]);
    expect(stdout).toBe(`MAC                 POWER   SERVED BY\n92:33:b8:0e:df:8f   ${after.padEnd(5)}   IPMI\n`);
  });

  test("status reads and changes nothing", async () => {
    inUse.service.powerActions.length = 0;
    const { stdout } = await bmcctl(["power", linked.mac, "status", "--output", "json"]);
    expect(JSON.parse(stdout)).toEqual({ mac: linked.mac, action: "status", power_on: true, served_by: "IPMI" });
    expect(inUse.service.powerActions).toEqual([]);
  });

  test("is not sent again when the service fails", async () => {
    inUse.service.powerActions.length = 0;
    inUse.service.fault = { code: status.UNAVAILABLE, details: "IPMI: no answer from 10.0.0.1:623" };
    const { code, stderr } = await bmcctl(["power", linked.mac, "cycle"]);
    expect(code).toBe(75);
    expect(stderr).toContain("SetPower: IPMI: no answer from 10.0.0.1:623\n");
    expect(inUse.service.powerActions).toHaveLength(1);
  });

  test("by an account that the BMC refuses is exit code 77, and no certificate is blamed for it", async () => {
    inUse.service.fault = { code: status.PERMISSION_DENIED, details: "IPMI: wrong password" };
    const { code, stderr } = await bmcctl(["power", linked.mac, "cycle"]);
    expect(code).toBe(77);
    expect(stderr).not.toContain("certificate");
    expect(stderr).toContain("bmcctl describe");
  });

  test("that may have been done is not to be repeated blindly, in the service's own words", async () => {
    inUse.service.powerActions.length = 0;
    inUse.service.fault = { code: status.DEADLINE_EXCEEDED, details: "IPMI: no answer; the BMC may have done it" };
    const { code, stderr } = await bmcctl(["power", linked.mac, "cycle"]);
    expect(code).toBe(75);
    expect(stderr).toContain("SetPower: IPMI: no answer; the BMC may have done it\n");
    expect(stderr).toContain("look before trying again");
    expect(stderr).not.toContain("no answer within");
    expect(inUse.service.powerActions).toHaveLength(1);
  });
});

describe("help", () => {
  test.each([
    [],
    ["ls"],
    ["describe"],
    ["power"],
    ["boot"],
    ["led"],
    ["history"],
    ["watch"],
    ["update"],
    ["rotate"],
    ["delete"],
    ["audit"],
    ["conflicts"],
    ["conflicts", "accept"],
  ])("of %j has examples and exit codes", async (...command) => {
    const { code, stdout, stderr } = await run([...command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const text of ["Usage: bmcctl", "Examples:", "Exit codes:", "--service", "--output"]) {
      expect(stdout).toContain(text);
    }
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(130);
  });

  test("--version shows a version", async () => {
    expect(await run(["--version"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/) });
  });
});
