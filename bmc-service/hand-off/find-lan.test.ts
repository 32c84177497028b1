import { describe, expect, test } from "vitest";
import { getChannelInfo } from "../../ipmi/commands/get-channel-info.ts";
import { getLanConfigurationParameters } from "../../ipmi/commands/get-lan-configuration-parameters.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { ipAddress, macAddress } from "../../ipmi/lan-parameters.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { findLan } from "./find-lan.ts";
import { HandOffError } from "./hand-off-error.ts";

const refuse = (completionCode: number): Reply => ({ completionCode, data: new Uint8Array() });
const answer = (data: Uint8Array): Reply => ({ completionCode: 0, data });

interface Lan {
  readonly mac: string;
  readonly ip: string;
}

/** @param info what "this channel" is, or the code with which it is refused */
function bmcWith(lans: Readonly<Record<number, Lan | number>>, info: { channel: number } | number) {
  let commands = 0;
  const exchange = async ({ cmd, data }: Message): Promise<Reply> => {
    commands += 1;
    if (cmd === getChannelInfo.cmd) {
      if (typeof info === "number") return refuse(info);
      return answer(Uint8Array.of(info.channel, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0));
    }
    const { channel, parameterSelector } = getLanConfigurationParameters.decodeRequest(data);
    const lan = lans[channel.number] ?? 0xcc;
    if (typeof lan === "number") return refuse(lan);
    const value = parameterSelector === macAddress.selector ? macAddress.encode(lan.mac) : ipAddress.encode(lan.ip);
    return answer(Uint8Array.of(0x11, ...value));
  };
  const session: Transport = {
    name: "lan:10.0.0.8:623",
    maxRequestBytes: 200,
    exchange,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { session, commands: () => commands };
}

const first = { mac: "52:54:00:b1:00:01", ip: "10.0.0.7" };
const third = { mac: "52:54:00:b1:00:03", ip: "10.0.0.8" };
const zero = { mac: "00:00:00:00:00:00", ip: "10.0.0.9" };
const found = (lans: Readonly<Record<number, Lan | number>>, info: { channel: number } | number, host = "bmc7") =>
  findLan(bmcWith(lans, info).session, host, new AbortController().signal);

describe("the LAN channel of a session", () => {
  test("is told by Get Channel Info, and two commands are enough", async () => {
    const bmc = bmcWith({ 1: first, 3: third }, { channel: 3 });
    const lan = await findLan(bmc.session, "10.0.0.7", new AbortController().signal);
    expect(lan).toEqual({ channel: 3, mac: third.mac });
    expect(bmc.commands()).toBe(2);
  });

  test.each([0xc1, 0xcc, { channel: 0x0e }, { channel: 2 }])(
    "is that with the address in use where it says %j",
    async (info) => {
      expect(await found({ 1: first, 3: third }, info, "10.0.0.8")).toEqual({ channel: 3, mac: third.mac });
    },
  );

  test("is the first that has a MAC address, where none has the address in use", async () => {
    expect(await found({ 1: zero, 2: 0xc1, 3: third, 4: first }, 0xc1)).toEqual({ channel: 3, mac: third.mac });
  });

  test("is not guessed where none has a MAC address, or the BMC is busy", async () => {
    await expect(found({ 1: zero }, 0xc1)).rejects.toThrow(HandOffError);
    await expect(found({ 1: first }, 0xc0)).rejects.toThrow(CompletionCodeError);
    await expect(found({ 1: 0xc0, 3: third }, 0xc1)).rejects.toThrow(CompletionCodeError);
  });
});
