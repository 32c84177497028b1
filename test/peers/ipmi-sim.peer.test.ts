import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bootFlags, bootFlagsFor } from "../../ipmi/boot-options.ts";
import { send } from "../../ipmi/command.ts";
import {
  chassisControl,
  chassisIdentify,
  getChannelAccess,
  getChannelInfo,
  getChassisStatus,
  getDeviceId,
  getFruInventoryAreaInfo,
  getSystemBootOptions,
  getSystemGuid,
  getUserAccess,
  getUserName,
  readFruData,
  setChannelAccess,
  setSystemBootOptions,
  setUserAccess,
  setUserName,
  setUserPassword,
} from "../../ipmi/commands/index.ts";
import {
  defaultGatewayAddress,
  ipAddress,
  macAddress,
  readLanParameter,
  subnetMask,
} from "../../ipmi/lan-parameters.ts";
import { Secret } from "../../ipmi/secret.ts";
import { connectLan, type LanOptions, ping, SessionError, sessionless } from "../../outband-client/lan/index.ts";
import { until } from "../lab/deadline.ts";
import { type IpmiSim, type IpmiSimOptions, startIpmiSim } from "../lab/ipmi-sim.ts";
import { openPowerLine, type PowerLine, type PowerRequest } from "../lab/power-line.ts";
import { describeWith, onPath } from "./foreign-program.ts";

const guid = "00112233445566778899aabbccddeeff";
const mac = "02:00:5e:10:00:07";
const fru = Uint8Array.from({ length: 128 }, (_, i) => (i * 7) & 0xff);
const users = [
  { slot: 2, name: "ADMIN", password: "factory-Pass-1" },
  // The configuration file keeps 15 characters of a name.
  { slot: 3, name: "fifteenletters1", password: "sixteen-letters?" },
  { slot: 4, name: "off", password: "off-Pass-3", enabled: false },
  { slot: 5, name: "low", password: "low-Pass-4", privilege: "user" },
] as const;

/** A BMC in a directory of its own, for the suite that calls. */
function simulated(options: Partial<IpmiSimOptions> = {}) {
  const stack = new AsyncDisposableStack();
  const requests: PowerRequest[] = [];
  let sim: IpmiSim;
  let line: PowerLine;
  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), "metal-rivet-lan-"));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));
    line = stack.use(await openPowerLine(directory, (request) => requests.push(request)));
    const identity = { mac, ip: "192.0.2.7", gateway: "192.0.2.1", guid, users, fru };
    sim = stack.use(await startIpmiSim({ directory, ...identity, powerProgram: line.program, ...options }));
  });
  afterAll(() => stack.disposeAsync());
  const signal = AbortSignal.timeout(50_000);
  return {
    requests,
    signal,
    port: () => sim.lanPort,
    line: () => line,
    connect: (login: Partial<LanOptions> = {}) =>
      connectLan({
        host: "127.0.0.1",
        port: sim.lanPort,
        user: "ADMIN",
        password: Buffer.from("factory-Pass-1"),
        signal,
        ...login,
      }),
  };
}

const status = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable("it should have been refused"),
    (error: unknown) => (error instanceof SessionError ? error.status : error),
  );

describeWith(onPath("ipmi_sim", "openipmi"), "OpenIPMI's ipmi_sim lets us in", () => {
  describe("without K_g", () => {
    const { connect, port, signal, requests, line } = simulated();

    it("answers before a login", async () => {
      expect(await ping("127.0.0.1", signal, { port: port() })).toMatchObject({ ipmi: true });
      await using outside = await sessionless("127.0.0.1", signal, { port: port() });
      const answer = await send(outside, getSystemGuid, {}, signal);
      expect(Buffer.from(answer.guid).toString("hex")).toBe(guid);
    });

    it("has suite 3 of ours: 17 is tried first and refused", async () => {
      await using session = await connect();
      expect(session.cipherSuite).toBe(3);
      expect(await send(session, getDeviceId, {}, signal)).toMatchObject({ manufacturerId: 0x1291, productId: 0xf02 });
    });

    it("a password of 16 characters", async () => {
      await using session = await connect({ user: "fifteenletters1", password: Buffer.from("sixteen-letters?") });
      expect(session.privilege).toBe("administrator");
    });

    it("found by name and privilege", async () => {
      await using session = await connect({ lookup: "name and privilege" });
      expect(session.privilege).toBe("administrator");
    });

    it.each([
      ["wrong password", { password: Buffer.from("wrong") }],
      ["wrong password", { password: Buffer.from("factory-Pass-1 and m") }],
      ["unknown user", { user: "nobody" }],
      ["unknown user", { user: "off", password: Buffer.from("off-Pass-3") }],
      ["wrong K_g", { kg: Buffer.from("a key") }],
      ["no cipher suite in common", { cipherSuites: [17] }],
    ] satisfies [string, Partial<LanOptions>][])("%s (%#)", async (expected, login) => {
      expect(await status(connect(login))).toBe(expected);
    });

    it("a lower privilege", async () => {
      await using session = await connect({ user: "low", password: Buffer.from("low-Pass-4"), privilege: "user" });
      expect(await send(session, getDeviceId, {}, signal)).toMatchObject({ deviceId: 0 });
    });

    it("LAN parameters, channel info and channel access", async () => {
      await using session = await connect();
      expect(await readLanParameter(session, 1, macAddress, signal)).toBe(mac);
      expect(await readLanParameter(session, 1, ipAddress, signal)).toBe("192.0.2.7");
      expect(await readLanParameter(session, 1, subnetMask, signal)).toBe("255.255.255.0");
      expect(await readLanParameter(session, 1, defaultGatewayAddress, signal)).toBe("192.0.2.1");
      expect(await send(session, getChannelInfo, { channelNumber: 1 }, signal)).toMatchObject({
        mediumType: "lan8023",
      });
      const asked = { channelNumber: 1, setting: "volatile" } as const;
      const before = await send(session, getChannelAccess, asked, signal);
      expect(before).toMatchObject({ access: { accessMode: "alwaysAvailable" }, privilegeLevelLimit: "administrator" });
      const same = { setting: "volatile", ...before.access } as const;
      const limit = { setting: "volatile", limit: before.privilegeLevelLimit } as const;
      await send(session, setChannelAccess, { channelNumber: 1, access: same, privilegeLevelLimit: limit }, signal);
      expect(await send(session, getChannelAccess, asked, signal)).toEqual(before);
    });

    it("an account made over LAN opens the BMC; disabled it does not, nor with its old password", async () => {
      const id = 7;
      const password = "Fresh-Passw0rd-1";
      await using session = await connect();
      const act = (operation: "disable" | "enable" | "set", secret?: Secret) =>
        send(
          session,
          setUserPassword,
          { user: { twentyBytes: false, id }, action: { operation }, ...(secret && { password: secret }) },
          signal,
        );
      const access = { changeBits: true, callbackOnly: false, linkAuthentication: false, ipmiMessaging: true };
      await send(session, setUserName, { userId: id, userName: "sixteen-letters!" }, signal);
      await act("set", Secret.password(password, 16));
      const privileges = { userId: id, privilegeLimit: "administrator", sessionLimit: 0 } as const;
      await send(session, setUserAccess, { access: { ...access, channelNumber: 1 }, ...privileges }, signal);
      await act("enable", Secret.password("", 16));
      expect(await send(session, getUserName, { userId: id }, signal)).toEqual({ userName: "sixteen-letters!" });
      expect(await send(session, getUserAccess, { channelNumber: 1, userId: id }, signal)).toMatchObject({
        access: { ipmiMessaging: true, privilegeLimit: "administrator" },
      });
      const made = { user: "sixteen-letters!", password: Buffer.from(password) };
      await using own = await connect(made);
      expect(own.privilege).toBe("administrator");
      await act("set", Secret.password("Second-Passw0rd-", 16));
      expect(await status(connect(made))).toBe("wrong password");
      await act("disable", Secret.password("", 16));
      expect(await status(connect({ ...made, password: Buffer.from("Second-Passw0rd-") }))).toBe("unknown user");
    });

    it("power, identify and boot device reach the machine, each request once", async () => {
      await using session = await connect();
      const power = async () => (await send(session, getChassisStatus, {}, signal)).currentPowerState.powerOn;
      requests.length = 0;
      line().setPower(false);
      expect(await power()).toBe(false);
      await send(session, chassisControl, { control: { operation: "powerUp" } }, signal);
      await until("the machine to be switched on", 3000, () => requests.length > 0);
      expect(requests).toEqual([{ kind: "power", on: true }]);
      expect(await power()).toBe(true);
      await send(session, chassisIdentify, { identifyIntervalSeconds: 3 }, signal);
      const parameterData = bootFlags.encode(bootFlagsFor("pxe", { persistent: false, efi: false }));
      const parameter = { markInvalid: false, selector: bootFlags.selector };
      await send(session, setSystemBootOptions, { parameter, parameterData }, signal);
      await until("the boot device to be asked for", 3000, () => line().bootDevice === "pxe");
      const request = { parameterSelector: bootFlags.selector, setSelector: 0, blockSelector: 0 };
      const answer = await send(session, getSystemBootOptions, request, signal);
      expect(bootFlags.decode(answer.parameterData).device.selector).toBe("pxe");
      requests.length = 0;
      await send(session, chassisControl, { control: { operation: "hardReset" } }, signal);
      await until("the machine to be reset", 3000, () => requests.length > 0);
      expect(requests).toEqual([{ kind: "reset" }]);
    });

    it("the whole FRU", async () => {
      await using session = await connect();
      const { areaSizeBytes } = await send(session, getFruInventoryAreaInfo, { fruDeviceId: 0 }, signal);
      expect(areaSizeBytes).toBe(fru.length);
      const read: number[] = [];
      while (read.length < areaSizeBytes) {
        const request = { fruDeviceId: 0, offset: read.length, count: 32 };
        const { countReturned, data } = await send(session, readFruData, request, signal);
        expect(countReturned).toBeGreaterThan(0);
        read.push(...data.subarray(0, countReturned));
      }
      expect(Uint8Array.from(read)).toEqual(fru);
    });

    it("200 requests in one session, past every wrap of the request sequence", async () => {
      await using session = await connect();
      for (let i = 0; i < 200; i += 1) {
        expect(await send(session, getUserName, { userId: 2 }, signal)).toEqual({ userName: "ADMIN" });
      }
    });

    it("sessions that are disposed are free again: more logins than the 63 that it has", async () => {
      for (let i = 0; i < 80; i += 1) {
        await using session = await connect();
        expect(session.cipherSuite).toBe(3);
      }
    });
  });

  describe("with K_g", () => {
    const kg = "nineteen-bytes-K_g.";
    const { connect, signal } = simulated({ kg });

    it("the right one", async () => {
      await using session = await connect({ kg: Buffer.from(kg) });
      expect(await send(session, getDeviceId, {}, signal)).toMatchObject({ deviceId: 0 });
    });

    it("none, or another", async () => {
      expect(await status(connect())).toBe("wrong K_g");
      expect(await status(connect({ kg: Buffer.from("another") }))).toBe("wrong K_g");
    });
  });

  describe("no free session", () => {
    const { connect } = simulated();

    it("after 63 sessions, and again free when they are closed", async () => {
      await using stack = new AsyncDisposableStack();
      let refused: unknown;
      for (let i = 0; i < 70 && refused === undefined; i += 1) {
        await connect({ timeouts: { keepAliveMs: 0 } }).then(
          (session) => stack.use(session),
          (error: unknown) => {
            refused = error;
          },
        );
      }
      expect(refused).toMatchObject({ name: "SessionError", status: "no free session" });
      await stack.disposeAsync();
      await using session = await connect();
      expect(session.cipherSuite).toBe(3);
    });
  });
});
