import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeFru } from "../../ipmi/fru/encode.ts";
import { guidToUuid } from "../../ipmi/guid.ts";
import { type ForeignResult, freeipmi, ipmitool } from "../lab/foreign-login.ts";
import { listenOnLan } from "../simulator/bmc-faces.ts";
import type { SimulatedLan } from "../simulator/profile.ts";
import { spec } from "../simulator/profiles.ts";
import { createBmc, type SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { type GivenUser, nameText, type SimulatedUser } from "../simulator/users.ts";
import { describeWith, onPath } from "./foreign-program.ts";

// What foreign clients read out of the simulated BMC has to be its state: a command that it and our own client misread in the
// same way shows here.

const administrator = { id: 2, name: "ADMIN", password: "factory-Pass-1" };
const given: GivenUser[] = [
  administrator,
  { id: 4, name: "operator1", password: "watch-Pass-2", privilege: 3 },
  { id: 5, name: "retired", password: "gone-Pass-3", privilege: 2, enabled: false },
  { id: 7, name: "sixteen-letters!", password: "Twenty-byte-passw0rd", privilege: 4 },
];
const machineUuid = "4c4c4544-0042-3510-8052-b4c04f4d4d32";
const board = { manufacturer: "Rivet Boards", productName: "RB-2", serialNumber: "BS-17", partNumber: "BP-4" };
const product = { manufacturer: "Rivet Machines", productName: "RM-200", serialNumber: "PS-17", assetTag: "A-1" };
const lan: SimulatedLan = { channel: 1, mac: "02:00:5e:10:00:07", ipv4Address: "192.0.2.77" };

const stack = new AsyncDisposableStack();
let bmc: SimulatedBmc;
let lanPort: number;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-peer-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  bmc = createBmc(spec, { users: given, lans: [lan], machineUuid, fru: encodeFru({ board, product }) });
  ({ port: lanPort } = stack.use(await listenOnLan(bmc)));
});
afterAll(() => stack.disposeAsync());

const login = (cipherSuite: 3 | 17 = 17, user = administrator) => ({
  ...{ lanPort, directory, cipherSuite },
  userName: user.name,
  password: user.password,
});

function good({ exitCode, output }: ForeignResult): string {
  expect(exitCode, output).toBe(0);
  return output;
}

/** "Name : value" lines; a line without a name belongs to the one before. */
function fields(output: string): Map<string, string> {
  const pairs = output.split("\n").map((line) => /^\s*(\S[^:]*?)\s*:\s*(.*?)\s*$/.exec(line));
  return new Map(pairs.flatMap((pair) => (pair === null ? [] : [[pair[1] ?? "", pair[2] ?? ""] as const])));
}

const privileges: Readonly<Record<number, string>> = { 2: "USER", 3: "OPERATOR", 4: "ADMINISTRATOR", 15: "NO ACCESS" };
const yesNo = (value: boolean) => (value ? "Yes" : "No");
const ableness = (value: boolean) => (value ? "enabled" : "disabled");

describeWith(onPath("ipmitool", "ipmitool"), "ipmitool reads what the simulated BMC is", () => {
  const tool = async (...args: string[]) => good(await ipmitool(login(), args));

  test("user list", async () => {
    const lines = (await tool("user", "list", "1")).trimEnd().split("\n").slice(1);
    const row = ({ id, ipmiMessaging, callbackOnly, linkAuthentication, ...user }: SimulatedUser) =>
      [id, nameText({ id, ipmiMessaging, callbackOnly, linkAuthentication, ...user }), !callbackOnly]
        .concat([linkAuthentication, ipmiMessaging])
        .concat([privileges[user.privilege] ?? ""])
        .join(" ");
    expect(lines.map((line) => line.replace(/\s+/g, " ").trim())).toEqual(
      bmc.users.map((user) => row(user).replace(/\s+/g, " ")),
    );
  });

  test.each([2, 4, 5, 7, 9])("channel getaccess, user %d", async (id) => {
    const user = bmc.user(id);
    const told = fields(await tool("channel", "getaccess", "1", String(id)));
    expect(Object.fromEntries(told)).toEqual({
      "Maximum User IDs": String(bmc.users.length),
      "Enabled User IDs": String(bmc.users.filter(({ enabled }) => enabled).length),
      "User ID": String(id),
      "User Name": nameText(user),
      "Fixed Name": yesNo(id <= bmc.fixedNameCount),
      "Access Available": "call-in / callback",
      "Link Authentication": ableness(user.linkAuthentication),
      "IPMI Messaging": ableness(user.ipmiMessaging),
      "Privilege Level": privileges[user.privilege],
      "Enable Status": ableness(user.enabled),
    });
  });

  test("user test: right, wrong, and the other size", async () => {
    const tried = async (id: string, bytes: string, password: string) =>
      (await ipmitool(login(), ["user", "test", id, bytes, password])).output.trim();
    expect(await tried("4", "16", "watch-Pass-2")).toBe("Success");
    expect(await tried("4", "16", "watch-Pass-3")).toBe("Failure: password incorrect");
    expect(await tried("4", "20", "watch-Pass-2")).toBe("Failure: wrong password size");
  });

  test("lan print", async () => {
    expect(Object.fromEntries(fields(await tool("lan", "print", "1")))).toMatchObject({
      "IP Address Source": "DHCP Address",
      "IP Address": lan.ipv4Address,
      "MAC Address": lan.mac,
      "802.1q VLAN ID": "Disabled",
      "RMCP+ Cipher Suites": spec.lan.cipherSuites.join(","),
    });
  });

  test("fru", async () => {
    expect(Object.fromEntries(fields(await tool("fru")))).toMatchObject({
      "Board Mfg": board.manufacturer,
      "Board Product": board.productName,
      "Board Serial": board.serialNumber,
      "Board Part Number": board.partNumber,
      "Product Manufacturer": product.manufacturer,
      "Product Name": product.productName,
      "Product Serial": product.serialNumber,
      "Product Asset Tag": product.assetTag,
    });
  });

  test("cipher suites", async () => {
    const lines = (await tool("channel", "getciphers", "ipmi", "1")).trimEnd().split("\n").slice(1);
    expect(lines.map((line) => Number(line.split(/\s+/)[0]))).toEqual(spec.lan.cipherSuites);
  });

  test("GUID", async () => {
    const told = fields(await tool("mc", "guid")).get("System GUID");
    expect(told).toBe(guidToUuid(bmc.guid ?? new Uint8Array(16), "ipmi"));
    expect(told).toBe(machineUuid);
  });

  test("channel info and access", async () => {
    const told = fields(await tool("channel", "info", "1"));
    expect(told.get("Channel Medium Type")).toBe("802.3 LAN");
    expect(told.get("Session Support")).toBe("multi-session");
    expect(told.get("Access Mode")).toBe("always available");
  });

  test("chassis: status, power, identify, boot device", async () => {
    const power = async () => fields(await tool("chassis", "status")).get("System Power");
    const asked: string[] = [];
    bmc.chassis.onPower = (operation) => asked.push(operation);
    expect(await power()).toBe("on");
    await tool("chassis", "power", "off");
    expect(await power()).toBe("off");
    await tool("chassis", "power", "on");
    await tool("chassis", "power", "reset");
    expect(asked).toEqual(["powerDown", "powerUp", "hardReset"]);
    expect(await power()).toBe("on");
    await tool("chassis", "bootdev", "pxe");
    expect(await tool("chassis", "bootparam", "get", "5")).toContain("Boot Device Selector : Force PXE");
    await tool("chassis", "identify", "5");
    expect(bmc.chassis.identify(performance.now())).toBe("timedOn");
  });

  test("what it writes is there: a new account, which then logs in with 20 bytes and suite 3", async () => {
    await tool("user", "set", "name", "9", "newcomer");
    await tool("user", "set", "password", "9", "Fresh-Passw0rd-of-20", "20");
    await tool("channel", "setaccess", "1", "9", "ipmi=on", "privilege=4");
    await tool("user", "enable", "9");
    const user = bmc.user(9);
    expect([nameText(user), user.enabled, user.ipmiMessaging, user.privilege]).toEqual(["newcomer", true, true, 4]);
    expect(Buffer.from(user.password ?? []).toString()).toBe("Fresh-Passw0rd-of-20");
    const newcomer = { id: 9, name: "newcomer", password: "Fresh-Passw0rd-of-20" };
    good(await ipmitool(login(3, newcomer), ["mc", "info"]));
    await tool("user", "disable", "9");
    expect((await ipmitool(login(3, newcomer), ["mc", "info"])).exitCode).not.toBe(0);
  });

  test("an operator may read users and may not change them", async () => {
    const operator = { id: 4, name: "operator1", password: "watch-Pass-2" };
    const asOperator = (...args: string[]) => ipmitool(login(17, operator), ["-L", "OPERATOR", ...args]);
    good(await asOperator("user", "list", "1"));
    const before = JSON.stringify(bmc.users);
    const { exitCode, output } = await asOperator("user", "set", "name", "8", "intruder");
    expect([exitCode, output]).toEqual([1, expect.stringMatching(/privilege/i)]);
    expect(JSON.stringify(bmc.users)).toBe(before);
  });
});

describeWith(onPath("ipmi-config", "freeipmi-tools"), "FreeIPMI reads what the simulated BMC is", () => {
  const levels: Readonly<Record<number, string>> = { 2: "User", 3: "Operator", 4: "Administrator", 15: "No_Access" };

  test.each([2, 4, 5, 7, 8])("ipmi-config, user %d", async (id) => {
    const user = bmc.user(id);
    // Its exit code is 1 where a value of the section is not to be had: here the SOL payload.
    const { output } = await freeipmi("ipmi-config", login(), ["--category=core", "--checkout", "-S", `User${id}`]);
    const told = new Map(
      output.split("\n").map((line) => [line.trim().split(/\s+/)[0], line.trim().split(/\s+/)[1] ?? ""]),
    );
    expect(told.get("Username")).toBe(nameText(user));
    expect(told.get("Enable_User")).toBe(yesNo(user.enabled));
    expect(told.get("Lan_Enable_IPMI_Msgs")).toBe(yesNo(user.ipmiMessaging));
    expect(told.get("Lan_Privilege_Limit")).toBe(levels[user.privilege]);
  });

  test("ipmi-config, LAN", async () => {
    const args = ["--category=core", "--checkout", "-S", "Lan_Conf"];
    const output = good(await freeipmi("ipmi-config", login(3), args));
    expect(output).toMatch(new RegExp(`^\\s*MAC_Address\\s+${lan.mac}$`, "im"));
    expect(output).toMatch(/^\s*IP_Address\s+192\.0\.2\.77$/m);
    expect(output).toMatch(/^\s*IP_Address_Source\s+Use_DHCP$/m);
  });

  test("bmc-info", async () => {
    const told = fields(good(await freeipmi("bmc-info", login(3), ["--get-device-id"])));
    const { firmware, productId } = spec.device;
    expect(told.get("Firmware Revision")).toBe(`${firmware[0]}.${firmware[1].toString(16).padStart(2, "0")}`);
    expect(told.get("Product ID")).toBe(String(productId));
  });

  test("ipmi-fru, which looks into the sensor data records first", async () => {
    const args = [`--sdr-cache-directory=${directory}`, "--quiet-cache"];
    const told = fields(good(await freeipmi("ipmi-fru", login(3), args)));
    expect(told.get("FRU Board Serial Number")).toBe(board.serialNumber);
    expect(told.get("FRU Product Name")).toBe(product.productName);
  });

  test("ipmi-chassis", async () => {
    const told = fields(good(await freeipmi("ipmi-chassis", login(), ["--get-chassis-status"])));
    expect(told.get("System Power")).toBe(bmc.chassis.powerOn ? "on" : "off");
  });

  test("ipmipower", async () => {
    expect(good(await freeipmi("ipmipower", login(3), ["--stat"], "OPERATOR"))).toMatch(/: on$/m);
  });
});
