import { describe, expect, test } from "vitest";
import { send } from "../../ipmi/command.ts";
import { getChannelInfo, getSystemGuid, getUserAccess, setUserName } from "../../ipmi/commands/index.ts";
import { connectLan, type LanOptions, sessionless } from "../../outband-client/lan/index.ts";
import { connectAsMachine } from "../lab/machine-side.ts";
import { codecFace, lanFace, type Traffic } from "./bmc-faces.ts";
import { FaultyLink } from "./faulty-link.ts";
import { mainLan } from "./main-lan.ts";
import type { Profile } from "./profile.ts";
import { profiles, spec } from "./profiles.ts";
import { createBmc } from "./simulated-bmc.ts";

const never = new AbortController().signal;
const machineUuid = "4c4c4544-0042-3510-8052-b4c04f4d4d32";
const timeouts = { handshakeMs: [25], cipherSuitesMs: 25, requestMs: [25], keepAliveMs: 0, closeMs: 25, loginMs: 5000 };

function onLan(profile: Profile) {
  const time = { ms: 0 };
  const traffic: Traffic[] = [];
  const bmc = createBmc({ ...profile, faults: [] }, { machineUuid });
  const server = lanFace(bmc, { now: () => time.ms, onTraffic: (each) => traffic.push(each) });
  const admin = profile.users.given.find(({ privilege = 4, enabled = true }) => enabled && privilege === 4);
  const connect = (login: Partial<LanOptions> = {}) =>
    connectLan({
      ...{ host: "bmc.test", timeouts, signal: never, datagram: new FaultyLink(server) },
      ...{ user: admin?.name ?? "", password: Buffer.from(admin?.password ?? "") },
      ...login,
    });
  return { bmc, server, connect, time, traffic };
}

const afterBoot = ({ timing, ...profile }: Profile): Profile => ({ ...profile, timing: {} });

describe.each([...profiles.values()].map(afterBoot))("from remote, $name", (profile) => {
  if (profile.lan.refusesLogin === true) {
    test("lets nobody in", async () => {
      await expect(onLan(profile).connect()).rejects.toMatchObject({ status: "unknown user" });
    });
    return;
  }

  test("lets its administrator in by the best suite it has, on the channel it has", async () => {
    const { bmc, connect, traffic } = onLan(profile);
    await using session = await connect();
    expect(session.cipherSuite).toBe(profile.lan.cipherSuites.includes(17) ? 17 : 3);
    const { channel } = mainLan(bmc.lans);
    // Channel 14 is the one on which the request arrives.
    const told = await send(session, getUserAccess, { channelNumber: 14, userId: 1 }, never);
    expect(told.maxUserIds).toBe(profile.users.ids);
    expect(traffic.every(({ via }) => via === "lan")).toBe(true);
    if (profile.channels.infoRefused !== undefined) return;
    expect(await send(session, getChannelInfo, { channelNumber: 14 }, never)).toMatchObject({ channelNumber: channel });
  });
});

describe("on the LAN of the spec profile", () => {
  test("the GUID needs no session, and is that of the session", async () => {
    const { server, bmc } = onLan(spec);
    await using outside = await sessionless("bmc.test", never, { datagram: new FaultyLink(server) });
    expect((await send(outside, getSystemGuid, {}, never)).guid).toEqual(bmc.guid);
    await expect(
      send(outside, getUserAccess, { channelNumber: 1, userId: 1 }, AbortSignal.timeout(30)),
    ).rejects.toThrow();
  });

  test("an account that is changed in-band logs in with what it is now", async () => {
    const { bmc, connect } = onLan(spec);
    const password = Buffer.from("Other-Passw0rd");
    await expect(connect({ password })).rejects.toMatchObject({ status: "wrong password" });
    const user = bmc.user(2);
    user.password = Buffer.concat([password, Buffer.alloc(6)]);
    await using _session = await connect({ password });
    user.enabled = false;
    await expect(connect({ password })).rejects.toMatchObject({ status: "unknown user" });
  });

  test("an operator cannot write, and cannot log in as administrator", async () => {
    const { connect } = onLan(spec);
    const operator = { user: "operator1", password: Buffer.from("op-pw-2") };
    await expect(connect(operator)).rejects.toMatchObject({ status: "insufficient privilege" });
    await using session = await connect({ ...operator, privilege: "operator" });
    await expect(send(session, setUserName, { userId: 5, userName: "x" }, never)).rejects.toMatchObject({
      completionCode: 0xd4,
    });
  });

  test("a BMC that resets is silent, and has forgotten its sessions afterwards", async () => {
    const { bmc, connect, server, time } = onLan(spec);
    await using _session = await connect();
    expect(server.sessionCount).toBe(1);
    bmc.reset(time.ms, 10_000);
    await expect(connect()).rejects.toMatchObject({ status: "no answer" });
    expect(server.sessionCount).toBe(0);
    time.ms = 10_000;
    await using _next = await connect();
  });

  test("has forgotten them also where nobody asked while it was silent", async () => {
    const { bmc, connect, server, time } = onLan(spec);
    await using session = await connect();
    bmc.reset(time.ms, 10_000);
    time.ms = 10_000;
    await expect(send(session, getSystemGuid, {}, never)).rejects.toThrow();
    expect(server.sessionCount).toBe(0);
  });
});

test("behind the VM codec a late answer carries the number of its own request", async () => {
  const late = { netFn: 6, cmd: 0x37, effects: [{ late: true }] } as const;
  const bmc = createBmc(spec, { machineUuid, faults: [late] });
  await using codec = await codecFace(bmc);
  await using machine = await connectAsMachine(codec.port);
  const soon = () => AbortSignal.timeout(5_000);
  const guid = send(machine, getSystemGuid, {}, soon());
  const info = await send(machine, getChannelInfo, { channelNumber: 1 }, soon());
  expect(info.channelNumber).toBe(1);
  expect((await guid).guid).toEqual(bmc.guid);
});
