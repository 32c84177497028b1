import { expect, test } from "vitest";
import type { Command } from "../command.ts";
import { Secret } from "../secret.ts";
import * as c from "./index.ts";

/**
 * Requests were accepted, and responses sent, by ipmi_sim of OpenIPMI 2.0.33 (over the VM codec, or by
 * `ipmitool raw` over RMCP+); those marked "spec" were put together by hand from the tables of IPMI 2.0.
 */
function hex(text: string): Uint8Array {
  return Uint8Array.from(text.split(" ").filter(Boolean), (pair) => Number.parseInt(pair, 16));
}

function request<Q, P>(origin: string, command: Command<Q, P>, bytes: string, value: NoInfer<Q>) {
  test(`${command.name} request (${origin})`, () => {
    expect(command.encodeRequest(value)).toEqual(hex(bytes));
    expect(command.decodeRequest(hex(bytes))).toEqual(value);
  });
}

function response<Q, P>(origin: string, command: Command<Q, P>, bytes: string, value: NoInfer<P>) {
  test(`${command.name} response (${origin})`, () => {
    expect(command.decodeResponse(hex(bytes))).toEqual(value);
    expect(command.encodeResponse(value)).toEqual(hex(bytes));
  });
}

response("ipmi_sim", c.getDeviceId, "00 03 09 08 02 9f 91 12 00 02 0f 00 00 00 00", {
  deviceId: 0,
  device: { providesSdrs: false, revision: 3 },
  firmware: { deviceAvailable: true, majorRevision: 9 },
  firmwareMinorRevisionBcd: 8,
  ipmiVersion: { minor: 0, major: 2 },
  additionalDeviceSupport: {
    chassis: true,
    bridge: false,
    ipmbEventGenerator: false,
    ipmbEventReceiver: true,
    fruInventory: true,
    sel: true,
    sdrRepository: true,
    sensor: true,
  },
  manufacturerId: 4753,
  productId: 0x0f02,
  auxiliaryFirmwareRevision: hex("00 00 00 00"),
});

test("Get Device ID of a booting BMC: not available (spec)", () => {
  const { firmware } = c.getDeviceId.decodeResponse(hex("20 81 83 45 02 bf a2 02 00 00 01"));
  expect(firmware).toEqual({ deviceAvailable: false, majorRevision: 3 });
});

response("ipmi_sim", c.getSystemGuid, "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f", {
  guid: hex("00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"),
});

request("ipmi_sim", c.getChannelInfo, "01", { channelNumber: 1 });
response("ipmi_sim", c.getChannelInfo, "01 04 01 81 f2 1b 00 00 00", {
  channelNumber: 1,
  mediumType: "lan8023",
  protocolType: "ipmb10",
  session: { support: "multiSession", activeCount: 1 },
  vendorId: 7154,
  auxiliaryInfo: hex("00 00"),
});
test("Get Channel Info with an OEM medium (spec: 60h-7Fh)", () => {
  expect(c.getChannelInfo.decodeResponse(hex("07 62 1f 00 f2 1b 00 00 00"))).toMatchObject({
    mediumType: 0x62,
    protocolType: 0x1f,
  });
});

request("ipmi_sim", c.getChannelAccess, "01 40", { channelNumber: 1, setting: "nonVolatile" });
request("ipmi_sim", c.getChannelAccess, "01 80", { channelNumber: 1, setting: "volatile" });
response("ipmi_sim", c.getChannelAccess, "02 04", {
  access: {
    pefAlerting: true,
    perMessageAuthentication: true,
    userLevelAuthentication: true,
    accessMode: "alwaysAvailable",
  },
  privilegeLevelLimit: "administrator",
});
request("ipmi_sim", c.setChannelAccess, "01 82 84", {
  channelNumber: 1,
  access: {
    setting: "volatile",
    pefAlerting: true,
    perMessageAuthentication: true,
    userLevelAuthentication: true,
    accessMode: "alwaysAvailable",
  },
  privilegeLevelLimit: { setting: "volatile", limit: "administrator" },
});
request("spec", c.setChannelAccess, "02 7a 43", {
  channelNumber: 2,
  access: {
    setting: "nonVolatile",
    pefAlerting: false,
    perMessageAuthentication: false,
    userLevelAuthentication: false,
    accessMode: "alwaysAvailable",
  },
  privilegeLevelLimit: { setting: "nonVolatile", limit: "operator" },
});

request("spec", c.getChannelAuthenticationCapabilities, "8e 04", {
  channel: { ipmi20: true, number: 14 },
  privilegeLevel: "administrator",
});
response("spec", c.getChannelAuthenticationCapabilities, "01 84 26 03 00 00 00 00", {
  channelNumber: 1,
  authenticationTypes: { ipmi20: true, oem: false, password: false, md5: true, md2: false, none: false },
  login: {
    kgSet: true,
    perMessageAuthentication: true,
    userLevelAuthentication: true,
    nonNullUsers: true,
    nullUsers: true,
    anonymous: false,
  },
  supports: { ipmi20: true, ipmi15: true },
  oemId: 0,
  oemAuxiliary: 0,
});

request("ipmi_sim", c.getChannelCipherSuites, "0e 00 80", {
  channelNumber: 14,
  payloadType: "ipmi",
  list: { byCipherSuite: true, index: 0 },
});
test("Get Channel Cipher Suites response and its records (ipmi_sim)", () => {
  const answer = c.getChannelCipherSuites.decodeResponse(hex("01 c0 00 00 40 80 c0 01 01 40 80 c0 02 01 41 80 c0"));
  expect(answer.channelNumber).toBe(1);
  expect(answer.records).toHaveLength(c.cipherSuiteBytesPerAnswer);
  // The C0h at the end begins a record that the next answer goes on with.
  expect(c.parseCipherSuiteRecords(answer.records)).toEqual([
    { id: 0, authentication: 0, integrity: [0], confidentiality: [0] },
    { id: 1, authentication: 1, integrity: [0], confidentiality: [0] },
    { id: 2, authentication: 1, integrity: [1], confidentiality: [0] },
  ]);
});
test("cipher suite records: suite 17, an OEM record, garbage (spec)", () => {
  expect(c.parseCipherSuiteRecords(hex("c0 11 03 44 81 c1 80 57 01 00 02 42 41 81"))).toEqual([
    { id: 17, authentication: 3, integrity: [4], confidentiality: [1] },
    { id: 0x80, oem: 343, authentication: 2, integrity: [2, 1], confidentiality: [1] },
  ]);
  expect(c.parseCipherSuiteRecords(new Uint8Array(0))).toEqual([]);
  expect(() => c.parseCipherSuiteRecords(hex("11 03 44 81"))).toThrow("neither C0h nor C1h");
  expect(() => c.parseCipherSuiteRecords(hex("c0 11 44 81 c0 03 01 41 81"))).toThrow("no authentication algorithm");
});

request("ipmi_sim", c.setSessionPrivilegeLevel, "04", { privilegeLevel: "administrator" });
response("ipmi_sim", c.setSessionPrivilegeLevel, "04", { privilegeLevel: "administrator" });
request("ipmi_sim", c.closeSession, "78 56 34 12", { sessionId: 0x12345678 });
request("spec", c.closeSession, "00 00 00 00 05", { sessionId: 0, sessionHandle: 5 });

request("ipmi_sim", c.getUserAccess, "01 02", { channelNumber: 1, userId: 2 });
response("ipmi_sim", c.getUserAccess, "3f 02 00 14", {
  maxUserIds: 63,
  enabled: { status: "unspecified", count: 2 },
  fixedNameCount: 0,
  access: { callbackOnly: false, linkAuthentication: false, ipmiMessaging: true, privilegeLimit: "administrator" },
});
response("spec", c.getUserAccess, "10 83 01 6f", {
  maxUserIds: 16,
  enabled: { status: "disabled", count: 3 },
  fixedNameCount: 1,
  access: { callbackOnly: true, linkAuthentication: true, ipmiMessaging: false, privilegeLimit: "noAccess" },
});
request("ipmi_sim", c.setUserAccess, "91 05 04 00", {
  access: { changeBits: true, callbackOnly: false, linkAuthentication: false, ipmiMessaging: true, channelNumber: 1 },
  userId: 5,
  privilegeLimit: "administrator",
  sessionLimit: 0,
});
request("spec", c.setUserAccess, "22 03 0f", {
  access: { changeBits: false, callbackOnly: false, linkAuthentication: true, ipmiMessaging: false, channelNumber: 2 },
  userId: 3,
  privilegeLimit: "noAccess",
});

request("ipmi_sim", c.getUserName, "02", { userId: 2 });
response("ipmi_sim", c.getUserName, "41 44 4d 49 4e 00 00 00 00 00 00 00 00 00 00 00", { userName: "ADMIN" });
response("ipmi_sim", c.getUserName, "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", { userName: "" });
response("spec, all 16 used", c.getUserName, "61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70", {
  userName: "abcdefghijklmnop",
});
response("empty slot as pyghmi writes it", c.getUserName, "ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff", {
  userName: "\xff".repeat(16),
});
request("ipmi_sim", c.setUserName, "05 72 69 76 65 74 35 00 00 00 00 00 00 00 00 00 00", {
  userId: 5,
  userName: "rivet5",
});

const secretBytes = "41 62 63 64 2d 31 32 33 34 2d 65 66 67 68 2d 78";
request("ipmi_sim", c.setUserPassword, `05 02 ${secretBytes}`, {
  user: { twentyBytes: false, id: 5 },
  action: { operation: "set" },
  password: Secret.password("Abcd-1234-efgh-x", 16),
});
request("ipmi_sim", c.setUserPassword, `85 03 ${secretBytes} 00 00 00 00`, {
  user: { twentyBytes: true, id: 5 },
  action: { operation: "test" },
  password: Secret.password("Abcd-1234-efgh-x", 20),
});
request("ipmi_sim", c.setUserPassword, "05 01", {
  user: { twentyBytes: false, id: 5 },
  action: { operation: "enable" },
});
request("ipmi_sim", c.setUserPassword, `05 01 ${"00 ".repeat(16)}`, {
  user: { twentyBytes: false, id: 5 },
  action: { operation: "enable" },
  password: Secret.fromBytes(new Uint8Array(16)),
});

request("spec", c.setUserPayloadAccess, "01 05 02 00 00 00", {
  channelNumber: 1,
  user: { operation: "enable", id: 5 },
  standardPayloads: { sol: true, payloads2to7: 0 },
  oemPayloads: 0,
});

request("ipmi_sim", c.getLanConfigurationParameters, "01 05 00 00", {
  channel: { revisionOnly: false, number: 1 },
  parameterSelector: 5,
  setSelector: 0,
  blockSelector: 0,
});
response("ipmi_sim", c.getLanConfigurationParameters, "11 52 54 00 b1 00 01", {
  parameterRevision: 0x11,
  parameterData: hex("52 54 00 b1 00 01"),
});

response("ipmi_sim", c.getChassisStatus, "01 00 00", {
  currentPowerState: {
    powerRestorePolicy: "staysOff",
    powerControlFault: false,
    powerFault: false,
    interlock: false,
    powerOverload: false,
    powerOn: true,
  },
  lastPowerEvent: {
    onByIpmiCommand: false,
    downByPowerFault: false,
    downByInterlock: false,
    downByOverload: false,
    acFailed: false,
  },
  miscChassisState: {
    identifySupported: false,
    identifyState: "off",
    coolingFanFault: false,
    driveFault: false,
    frontPanelLockout: false,
    chassisIntrusion: false,
  },
});
test("Get Chassis Status with all that can be said (spec)", () => {
  expect(c.getChassisStatus.decodeResponse(hex("41 10 61 84"))).toMatchObject({
    currentPowerState: { powerRestorePolicy: "powersUp", powerOn: true },
    lastPowerEvent: { onByIpmiCommand: true },
    miscChassisState: { identifySupported: true, identifyState: "indefiniteOn", chassisIntrusion: true },
    frontPanelButtons: { standbyDisableAllowed: true, diagnosticInterruptDisabled: true, powerOffDisabled: false },
  });
});
const controls = [
  "powerDown",
  "powerUp",
  "powerCycle",
  "hardReset",
  "pulseDiagnosticInterrupt",
  "softShutdown",
] as const;
for (const [number, operation] of controls.entries()) {
  request("ipmi_sim, spec", c.chassisControl, `0${number}`, { control: { operation } });
}
test("power is never switched twice", () => {
  expect(c.chassisControl.repeatable).toBe(false);
  expect(c.allCommands.filter(({ repeatable }) => !repeatable).map(({ name }) => name)).toEqual([
    "Chassis Control",
    "Close Session",
  ]);
});
request("ipmi_sim", c.chassisIdentify, "", {});
request("ipmi_sim", c.chassisIdentify, "05", { identifyIntervalSeconds: 5 });
request("ipmi_sim", c.chassisIdentify, "00 01", { identifyIntervalSeconds: 0, force: { forceOn: true } });
test("Chassis Identify: a later field cannot follow one that is left out", () => {
  expect(() => c.chassisIdentify.encodeRequest({ force: { forceOn: true } })).toThrow("cannot follow");
});
test("Chassis Identify: ipmi_sim's 35 bytes of garbage after the completion code are ignored", () => {
  expect(c.chassisIdentify.decodeResponse(hex("00 00 00 1e 01 00 01 00 21 76 f4 c9 55"))).toEqual({});
});

request("ipmi_sim", c.getSystemBootOptions, "05 00 00", { parameterSelector: 5, setSelector: 0, blockSelector: 0 });
response("ipmi_sim", c.getSystemBootOptions, "01 05 00 14 00 00 00", {
  parameterVersion: 1,
  parameter: { invalidOrLocked: false, selector: 5 },
  parameterData: hex("00 14 00 00 00"),
});
request("ipmi_sim", c.setSystemBootOptions, "05 a0 04 00 00 00", {
  parameter: { markInvalid: false, selector: 5 },
  parameterData: hex("a0 04 00 00 00"),
});

request("ipmi_sim", c.getFruInventoryAreaInfo, "00", { fruDeviceId: 0 });
response("ipmi_sim", c.getFruInventoryAreaInfo, "00 02 00", { areaSizeBytes: 512, access: { unit: "bytes" } });
response("spec", c.getFruInventoryAreaInfo, "00 01 01", { areaSizeBytes: 256, access: { unit: "words" } });
request("ipmi_sim", c.readFruData, "00 20 01 20", { fruDeviceId: 0, offset: 0x120, count: 32 });
response("spec", c.readFruData, "03 01 02 03", { countReturned: 3, data: hex("01 02 03") });
test("Read FRU Data: fewer bytes than the count says are a DecodeError", () => {
  expect(() => c.readFruData.decodeResponse(hex("20 01 02"))).toThrow("32 bytes announced, 2 came");
});

response("spec", c.getSdrRepositoryInfo, "51 01 00 fe ff 00 00 00 60 ff ff ff ff 02", {
  version: 0x51,
  recordCount: 1,
  freeBytes: 0xfffe,
  lastAddition: 0x60000000,
  lastErase: 0xffffffff,
  operations: { overflow: false, delete: false, partialAdd: false, reserve: true, allocationInfo: false },
});
response("spec", c.reserveSdrRepository, "34 12", { reservationId: 0x1234 });
request("spec", c.getSdr, "34 12 01 00 05 ff", { reservationId: 0x1234, recordId: 1, offset: 5, count: 0xff });
response("spec", c.getSdr, "ff ff 20 00", { nextRecordId: 0xffff, data: hex("20 00") });

request("spec", c.setWatchdogTimer, "83 01 00 08 70 17", {
  timer: { dontLog: true, dontStop: false, use: "osLoad" },
  actions: { preTimeoutInterrupt: "none", timeoutAction: "hardReset" },
  preTimeoutSeconds: 0,
  clear: { oem: false, smsOs: false, osLoad: true, biosPost: false, biosFrb2: false },
  initialCountdown: 6000,
});
response("spec", c.getWatchdogTimer, "44 31 0a 10 70 17 58 02", {
  timer: { dontLog: false, running: true, use: "smsOs" },
  actions: { preTimeoutInterrupt: "messaging", timeoutAction: "hardReset" },
  preTimeoutSeconds: 10,
  expired: { oem: false, smsOs: true, osLoad: false, biosPost: false, biosFrb2: false },
  initialCountdown: 6000,
  presentCountdown: 600,
});
request("spec", c.resetWatchdogTimer, "", {});

request("ipmi_sim", c.setLanConfigurationParameters, "01 03 0a 00 00 07", {
  channel: { number: 1 },
  parameterSelector: 3,
  parameterData: hex("0a 00 00 07"),
});

request("spec", c.getSystemInfoParameters, "00 04 00 00", {
  revisionOnly: false,
  parameterSelector: 4,
  setSelector: 0,
  blockSelector: 0,
});
response("spec", c.getSystemInfoParameters, "11 00 00 05 4c 69 6e 75 78", {
  parameterRevision: 0x11,
  parameterData: hex("00 00 05 4c 69 6e 75 78"),
});
request("spec", c.setSystemInfoParameters, "04 00 00 02 4f 53 00 00 00 00 00 00 00 00 00 00 00 00", {
  parameterSelector: 4,
  parameterData: hex("00 00 02 4f 53 00 00 00 00 00 00 00 00 00 00 00 00"),
});
