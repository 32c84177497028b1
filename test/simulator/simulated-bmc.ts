import type { Command } from "../../ipmi/command.ts";
import {
  allCommands,
  getChannelAccess,
  getChannelInfo,
  getDeviceId,
  getFruInventoryAreaInfo,
  getLanConfigurationParameters,
  getSystemGuid,
  getUserAccess,
  getUserName,
  readFruData,
  setChannelAccess,
  setUserAccess,
  setUserName,
  setUserPassword,
  setUserPayloadAccess,
} from "../../ipmi/commands/index.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import {
  defaultGatewayAddress,
  ipAddress,
  ipAddressSource,
  ipv6DynamicAddress,
  ipv6Ipv4AddressingEnables,
  ipv6Ipv4Support,
  ipv6Status,
  macAddress,
  subnetMask,
  vlanId,
} from "../../ipmi/lan-parameters.ts";
import { privilegeLevels } from "../../ipmi/privilege-level.ts";
import type { Message, Reply } from "../../ipmi/transport.ts";
import { emptyUser, type GivenUser, givenUser, nameText, padded, type SimulatedUser, sameBytes } from "./users.ts";

/** One LAN of a simulated BMC. */
export interface SimulatedLan {
  readonly channel: number;
  readonly mac: string;
  readonly ipv4Address: string;
  /** With one, parameters 50 to 59 are supported; without, they get 80h as on most boards. */
  readonly ipv6Address?: string;
}

export interface SimulatedBmcOptions {
  readonly userIds?: number;
  readonly fixedNameCount?: number;
  readonly users?: readonly GivenUser[];
  readonly lans?: readonly SimulatedLan[];
  /** 16 bytes; without them Get System GUID gets C1h. */
  readonly guid?: Uint8Array;
  /** Without it FRU 0 gets CBh. */
  readonly fru?: Uint8Array;
}

/** What a BMC answers instead of 00h. */
class Refusal extends Error {
  readonly completionCode: number;
  constructor(completionCode: number) {
    super(`refused with ${completionCode.toString(16)}`);
    this.completionCode = completionCode;
  }
}

function refuse(completionCode: number): never {
  throw new Refusal(completionCode);
}

const defaultLan: SimulatedLan = { channel: 1, mac: "52:54:00:b1:00:01", ipv4Address: "10.0.0.7" };

/**
 * A BMC with a state: users, passwords, LAN, FRU. As strict as the strictest real ones (OpenBMC, Dell, Lenovo): no rights
 * for a user without a name (FFh), no enabling without a password (D5h), no name twice (CCh), no redundant enabling (CCh),
 * four bytes for Set User Access (C7h), 34 bytes of FRU at most (C8h). What is stored changes only by the commands.
 */
export class SimulatedBmc {
  readonly users: readonly SimulatedUser[];
  readonly lans: readonly SimulatedLan[];
  readonly fixedNameCount: number;
  readonly guid: Uint8Array | undefined;
  readonly fru: Uint8Array | undefined;
  /** Names of the commands, in order. */
  readonly log: string[] = [];
  /** Of all LAN channels: the copy in use and the stored one. */
  channelAccess = {
    volatile: { accessMode: 2, privilegeLevelLimit: 4 },
    nonVolatile: { accessMode: 2, privilegeLevelLimit: 4 },
  };

  constructor(options: SimulatedBmcOptions = {}) {
    const given = new Map((options.users ?? []).map((user) => [user.id, givenUser(user)]));
    this.users = Array.from({ length: options.userIds ?? 16 }, (_, i) => given.get(i + 1) ?? emptyUser(i + 1));
    this.fixedNameCount = options.fixedNameCount ?? 1;
    this.lans = options.lans ?? [defaultLan];
    this.guid = options.guid;
    this.fru = options.fru;
  }

  /** The names of the commands that change something, as far as they were sent. */
  get writes(): string[] {
    return this.log.filter((name) => name.startsWith("Set "));
  }

  /** The privilege that a login from remote with this name and password has; undefined if it is refused. */
  login(name: string, password: Uint8Array): number | undefined {
    const wanted = new Uint8Array(20);
    wanted.set(password);
    const user = this.users.find(
      (each) => name !== "" && nameText(each) === name && each.enabled && each.ipmiMessaging,
    );
    if (user?.password === undefined || !sameBytes(user.password, wanted)) return undefined;
    const { accessMode, privilegeLevelLimit } = this.channelAccess.volatile;
    return accessMode === 2 ? Math.min(user.privilege, privilegeLevelLimit) : undefined;
  }

  /** Executes one message. */
  handle(message: Message): Reply {
    const handler = handlers.get(key(message));
    const command = allCommands.find((each) => key(each) === key(message));
    this.log.push(command?.name ?? `${message.netFn}/${message.cmd}`);
    if (handler === undefined) return { completionCode: CompletionCode.invalidCommand, data: new Uint8Array() };
    try {
      return { completionCode: 0, data: handler(this, message.data) };
    } catch (error) {
      if (error instanceof Refusal) return { completionCode: error.completionCode, data: new Uint8Array() };
      if (error instanceof DecodeError) {
        return { completionCode: CompletionCode.requestLengthInvalid, data: new Uint8Array() };
      }
      throw error;
    }
  }

  user(id: number): SimulatedUser {
    return this.users[id - 1] ?? refuse(CompletionCode.parameterOutOfRange);
  }

  lan(channel: number): SimulatedLan {
    return this.lans.find((each) => each.channel === channel) ?? refuse(CompletionCode.invalidDataField);
  }
}

function key({ netFn, cmd }: { readonly netFn: number; readonly cmd: number }): string {
  return `${netFn}/${cmd}`;
}

type Handler = (bmc: SimulatedBmc, data: Uint8Array) => Uint8Array;
const handlers = new Map<string, Handler>();

function on<Q, P>(command: Command<Q, P>, answer: (bmc: SimulatedBmc, request: Q) => P): void {
  handlers.set(key(command), (bmc, data) => command.encodeResponse(answer(bmc, command.decodeRequest(data))));
}

on(getDeviceId, () => ({
  deviceId: 0x20,
  device: { providesSdrs: false, revision: 1 },
  firmware: { deviceAvailable: true, majorRevision: 9 },
  firmwareMinorRevisionBcd: 0x08,
  ipmiVersion: { minor: 0, major: 2 },
  additionalDeviceSupport: {
    chassis: true,
    bridge: false,
    ipmbEventGenerator: false,
    ipmbEventReceiver: false,
    fruInventory: true,
    sel: true,
    sdrRepository: true,
    sensor: true,
  },
  manufacturerId: 0x1291,
  productId: 0x0f02,
}));

on(getSystemGuid, (bmc) => ({ guid: bmc.guid ?? refuse(CompletionCode.invalidCommand) }));

on(getChannelInfo, (bmc, { channelNumber }) => {
  const isLan = bmc.lans.some(({ channel }) => channel === channelNumber);
  if (!isLan && channelNumber !== 0 && channelNumber !== 15) refuse(CompletionCode.invalidDataField);
  return {
    channelNumber,
    // Tables 6-3 and 6-2 by number: 802.3 LAN, IPMB, system interface; IPMB-1.0, KCS; multi-session or session-less.
    mediumType: isLan ? 0x04 : channelNumber === 0 ? 0x01 : 0x0c,
    protocolType: isLan ? 0x01 : 0x05,
    session: { support: isLan ? 2 : 0, activeCount: 0 },
    vendorId: 7154,
    auxiliaryInfo: new Uint8Array(2),
  };
});

on(getLanConfigurationParameters, (bmc, { channel, parameterSelector, setSelector }) => ({
  parameterRevision: 0x11,
  parameterData: lanParameter(bmc.lan(channel.number), parameterSelector, setSelector),
}));

function lanParameter(lan: SimulatedLan, selector: number, set: number): Uint8Array {
  const plain = new Map<number, () => Uint8Array>([
    [3, () => ipAddress.encode(lan.ipv4Address)],
    [4, () => ipAddressSource.encode("dhcp")],
    [5, () => macAddress.encode(lan.mac)],
    [6, () => subnetMask.encode("255.255.255.0")],
    [12, () => defaultGatewayAddress.encode("10.0.0.1")],
    [20, () => vlanId.encode({ enabled: false, id: 0 })],
  ]).get(selector);
  if (plain !== undefined) return plain();
  const address = lan.ipv6Address ?? refuse(0x80);
  const six = new Map<number, () => Uint8Array>([
    [50, () => ipv6Ipv4Support.encode({ alertDestinations: false, ipv6AndIpv4: true, ipv6Only: false })],
    [51, () => ipv6Ipv4AddressingEnables.encode("ipv6AndIpv4")],
    [
      55,
      () => ipv6Status.encode({ staticAddressMax: 0, dynamicAddressMax: 2, support: { slaac: true, dhcpv6: true } }),
    ],
    [
      59,
      () =>
        ipv6DynamicAddress.encode({
          setSelector: set,
          source: { type: "slaac" },
          address: set === 0 ? address : "::",
          prefixLength: 64,
          status: "active",
        }),
    ],
  ]).get(selector);
  return (six ?? (() => refuse(0x80)))();
}

on(getChannelAccess, (bmc, { channelNumber, setting }) => {
  bmc.lan(channelNumber);
  const { accessMode, privilegeLevelLimit } = bmc.channelAccess[setting];
  return {
    access: { pefAlerting: true, perMessageAuthentication: false, userLevelAuthentication: true, accessMode },
    privilegeLevelLimit,
  };
});

on(setChannelAccess, (bmc, { channelNumber, access, privilegeLevelLimit }) => {
  bmc.lan(channelNumber);
  const number = (mode: string | number) => (mode === "alwaysAvailable" ? 2 : typeof mode === "number" ? mode : 0);
  if (access.perMessageAuthentication || !access.pefAlerting) refuse(CompletionCode.invalidDataField);
  if (access.setting !== "doNotSet") bmc.channelAccess[access.setting].accessMode = number(access.accessMode);
  if (privilegeLevelLimit.setting !== "doNotSet") {
    bmc.channelAccess[privilegeLevelLimit.setting].privilegeLevelLimit = levelNumber(privilegeLevelLimit.limit);
  }
  return {};
});

on(getUserAccess, (bmc, { channelNumber, userId }) => {
  bmc.lan(channelNumber);
  const user = bmc.user(userId);
  return {
    maxUserIds: bmc.users.length,
    enabled: {
      status: user.enabled ? 1 : 2,
      count: bmc.users.filter(({ enabled }) => enabled).length,
    },
    fixedNameCount: bmc.fixedNameCount,
    access: {
      callbackOnly: user.callbackOnly,
      linkAuthentication: user.linkAuthentication,
      ipmiMessaging: user.ipmiMessaging,
      privilegeLimit: user.privilege,
    },
  };
});

on(setUserAccess, (bmc, { access, userId, privilegeLimit, sessionLimit }) => {
  bmc.lan(access.channelNumber);
  const user = bmc.user(userId);
  if (sessionLimit === undefined) refuse(CompletionCode.requestLengthInvalid);
  if (sessionLimit !== 0) refuse(CompletionCode.invalidDataField);
  if (nameText(user) === "") refuse(CompletionCode.unspecified);
  if (access.changeBits) {
    user.callbackOnly = access.callbackOnly;
    user.linkAuthentication = access.linkAuthentication;
    user.ipmiMessaging = access.ipmiMessaging;
  }
  user.privilege = levelNumber(privilegeLimit);
  return {};
});

on(getUserName, (bmc, { userId }) => ({ userName: nameText(bmc.user(userId)) }));

on(setUserName, (bmc, { userId, userName }) => {
  const user = bmc.user(userId);
  if (userId <= bmc.fixedNameCount || !/^[a-zA-Z_]\w*$/.test(userName)) refuse(CompletionCode.invalidDataField);
  if (bmc.users.some((each) => nameText(each) === userName)) refuse(CompletionCode.invalidDataField);
  user.name = padded(userName, 16);
  return {};
});

on(setUserPassword, (bmc, { user: { id, twentyBytes }, action, password }) => {
  const user = bmc.user(id);
  switch (action.operation) {
    case "enable":
      if (user.password === undefined) refuse(CompletionCode.notSupportedInPresentState);
      if (user.enabled) refuse(CompletionCode.invalidDataField);
      user.enabled = true;
      return {};
    case "disable":
      user.enabled = false;
      return {};
    case "set":
      if (nameText(user) === "") refuse(CompletionCode.unspecified);
      user.password = new Uint8Array(20);
      user.password.set(password?.reveal() ?? refuse(CompletionCode.requestLengthInvalid));
      user.passwordBytes = twentyBytes ? 20 : 16;
      return {};
    case "test": {
      if ((twentyBytes ? 20 : 16) !== user.passwordBytes) refuse(0x81);
      const given = new Uint8Array(20);
      given.set(password?.reveal() ?? refuse(CompletionCode.requestLengthInvalid));
      if (user.password === undefined || !sameBytes(user.password, given)) refuse(0x80);
      return {};
    }
    default:
      return action.operation satisfies never;
  }
});

on(setUserPayloadAccess, (bmc, { user, standardPayloads }) => {
  const { id, operation } = user;
  if (standardPayloads.sol) bmc.user(id).solAllowed = operation === "enable";
  return {};
});

on(getFruInventoryAreaInfo, (bmc, { fruDeviceId }) => {
  if (fruDeviceId !== 0 || bmc.fru === undefined) refuse(CompletionCode.notPresent);
  return { areaSizeBytes: bmc.fru.length, access: { unit: "bytes" } };
});

on(readFruData, (bmc, { fruDeviceId, offset, count }) => {
  if (fruDeviceId !== 0 || bmc.fru === undefined) refuse(CompletionCode.notPresent);
  if (count > 34) refuse(CompletionCode.requestLengthLimitExceeded);
  if (offset >= bmc.fru.length) refuse(CompletionCode.parameterOutOfRange);
  const data = bmc.fru.slice(offset, offset + count);
  return { countReturned: data.length, data };
});

function levelNumber(level: keyof typeof privilegeLevels | number): number {
  return typeof level === "number" ? level : privilegeLevels[level];
}
