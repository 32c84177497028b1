import { allCommands } from "../../ipmi/commands/index.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import { uuidToGuid } from "../../ipmi/guid.ts";
import { encodeFirstPart } from "../../ipmi/system-info-parameters.ts";
import type { Message, Reply } from "../../ipmi/transport.ts";
import { mayDo } from "./access-rules.ts";
import { Chassis, type PowerOperation } from "./chassis.ts";
import { channelCommands } from "./commands/channel-commands.ts";
import { chassisCommands } from "./commands/chassis-commands.ts";
import { deviceCommands } from "./commands/device-commands.ts";
import { fruCommands } from "./commands/fru-commands.ts";
import { type Arrival, type Handler, key, Refusal, refuse } from "./commands/handler.ts";
import { lanCommands } from "./commands/lan-commands.ts";
import { sdrCommands } from "./commands/sdr-commands.ts";
import { userCommands } from "./commands/user-commands.ts";
import { watchdogCommands } from "./commands/watchdog-commands.ts";
import { Condition } from "./condition.ts";
import { type Delivery, deliver } from "./delivery.ts";
import { FaultRules } from "./fault-effects.ts";
import type { FaultEffect, FaultRule } from "./fault-rule.ts";
import { fruImage } from "./fru-image.ts";
import { mainLan } from "./main-lan.ts";
import type { Profile, SimulatedLan } from "./profile.ts";
import {
  emptyUser,
  type GivenUser,
  givenUser,
  nameText,
  type Rights,
  rightsElsewhere,
  type SimulatedUser,
  sameBytes,
} from "./users.ts";
import { Watchdog } from "./watchdog.ts";

/** What one BMC has that is not its profile's. */
export interface SimulatedBmcOptions {
  readonly userIds?: number;
  readonly fixedNameCount?: number;
  /** Instead of the profile's users. */
  readonly users?: readonly GivenUser[];
  readonly lans?: readonly SimulatedLan[];
  /** What Get System GUID answers: 16 bytes. */
  readonly guid?: Uint8Array;
  /** The machine's UUID, for a profile whose GUID is the machine's. */
  readonly machineUuid?: string;
  /** The bytes of FRU 0; "none" is a BMC without one. */
  readonly fru?: Uint8Array | "none";
  /** Beside those of the profile, and before them. */
  readonly faults?: readonly FaultRule[];
  readonly onPower?: (operation: PowerOperation) => void;
}

/** Somebody who may try to log in from remote. */
export interface RemoteUser {
  readonly id: number;
  /** 20 bytes, filled with 00h; secret. */
  readonly password: Uint8Array;
  /** The greatest privilege of a session, 1 to 5. */
  readonly privilege: number;
}

/** Access mode (table 6-4) and privilege limit of the LAN channels. */
interface ChannelAccess {
  accessMode: number;
  privilegeLevelLimit: number;
}

const openChannel: ChannelAccess = { accessMode: 2, privilegeLevelLimit: 4 };
const closedChannel: ChannelAccess = { accessMode: 0, privilegeLevelLimit: 2 };

const nothing = new Uint8Array();

const handlers: ReadonlyMap<string, Handler> = new Map([
  ...deviceCommands,
  ...channelCommands,
  ...userCommands,
  ...lanCommands,
  ...fruCommands,
  ...sdrCommands,
  ...chassisCommands,
  ...watchdogCommands,
]);

const names: ReadonlyMap<string, string> = new Map([
  ...allCommands.map((each) => [key(each), each.name] as const),
  // Raw KCS sends it to see whether the BMC keeps pace; it is unknown here.
  [key({ netFn: 0x06, cmd: 0x04 }), "Get Self Test Results"],
]);

/** Commands that change what the BMC keeps of accounts, channels and LAN. */
const writes = new Set([
  ...[0x40, 0x43, 0x45, 0x47, 0x4c].map((cmd) => key({ netFn: 0x06, cmd })),
  key({ netFn: 0x0c, cmd: 0x01 }),
]);
const onUsers = new Set([0x43, 0x44, 0x45, 0x46, 0x47].map((cmd) => key({ netFn: 0x06, cmd })));

/** A BMC with a state: users, passwords, channels, LAN, FRU, chassis. What is stored changes only by the commands. */
export class SimulatedBmc {
  readonly profile: Profile;
  readonly users: readonly SimulatedUser[];
  readonly lans: readonly SimulatedLan[];
  readonly fixedNameCount: number;
  /** Undefined where Get System GUID is refused. */
  readonly guid: Uint8Array | undefined;
  readonly guidRefused: number;
  readonly fru: Uint8Array | undefined;
  /** The first part of its name as it was set; undefined if it never was. */
  operatingSystem: Uint8Array | undefined;
  readonly chassis = new Chassis();
  readonly watchdog = new Watchdog();
  /** How often it was reset. */
  resets = 0;
  /** Names of the commands, in order. */
  readonly log: string[] = [];
  /** Of all LAN channels: the copy in use and the stored one. */
  channelAccess: { volatile: ChannelAccess; nonVolatile: ChannelAccess };
  /** Of each cipher suite of the profile's list: the greatest privilege of a login with it; 0 is none at all. */
  suitePrivileges: readonly number[];
  /** Authentication Type Enables, LAN parameter 2: 5 bytes. */
  authenticationTypes: Uint8Array;
  readonly #condition: Condition;
  #faults: FaultRules;
  #late: readonly Delivery[] = [];
  #writes = 0;

  constructor(profile: Profile, options: SimulatedBmcOptions = {}) {
    const { users, channels, device, fru } = profile;
    this.profile = profile;
    const given = new Map((options.users ?? users.given).map((user) => [user.id, givenUser(user)]));
    this.users = Array.from({ length: options.userIds ?? users.ids }, (_, i) => given.get(i + 1) ?? emptyUser(i + 1));
    this.fixedNameCount = options.fixedNameCount ?? users.fixedNameCount;
    this.lans = options.lans ?? channels.lans;
    this.guid = options.guid ?? guidOf(device.guid, options.machineUuid);
    this.guidRefused = "refused" in device.guid ? device.guid.refused : CompletionCode.invalidCommand;
    this.operatingSystem = systemInfoOf(device.systemInfo);
    this.fru = options.fru === "none" ? undefined : (options.fru ?? fruImage(fru));
    const access = channels.closed === true ? closedChannel : openChannel;
    this.channelAccess = { volatile: { ...access }, nonVolatile: { ...access } };
    this.suitePrivileges = profile.lan.suitePrivileges;
    this.authenticationTypes = new Uint8Array(5).fill(profile.lan.authenticationTypes ?? 0);
    this.#condition = new Condition(profile.timing);
    this.#faults = new FaultRules([...(options.faults ?? []), ...profile.faults]);
    if (options.onPower !== undefined) this.chassis.onPower = options.onPower;
  }

  /** What goes wrong from now on, beside the behaviour; what went wrong on its way until now does so no more. */
  replaceFaults(faults: readonly FaultRule[]): void {
    this.#faults = new FaultRules([...faults, ...this.profile.faults]);
    this.#late = [];
  }

  /** The names of the commands that change something, as far as they were sent. */
  get writes(): string[] {
    return this.log.filter((name) => name.startsWith("Set "));
  }

  /**
   * Takes one message and says what comes back over the wire, and when: nothing, an answer, two, one for another
   * request. For faces; knows of fault rules.
   */
  receive(message: Message, arrival: Arrival): readonly Delivery[] {
    const effect = this.#faults.effectOn(message, arrival) ?? {};
    const answer = this.#answerUnder(effect, message, arrival);
    const late = this.#late;
    const now = answer === undefined ? [] : deliver(message, answer, effect);
    this.#late = effect.late === true ? now : [];
    return effect.late === true ? late : [...late, ...now];
  }

  #answerUnder(effect: FaultEffect, message: Message, arrival: Arrival): Reply | undefined {
    const { completionCode, drop, resetMs } = effect;
    const execute = effect.execute ?? (completionCode !== undefined || drop === "request" ? "no" : "yes");
    const restore = execute === "pretend" ? this.#snapshot() : undefined;
    if (execute === "no") this.log.push("(refused)");
    const answer = execute === "no" ? { completionCode: 0, data: nothing } : this.handle(message, arrival);
    restore?.();
    if (resetMs !== undefined) this.reset(arrival.nowMs, resetMs);
    if (answer === undefined || drop !== undefined || resetMs !== undefined) return undefined;
    return completionCode === undefined ? answer : { completionCode, data: nothing };
  }

  /** Executes one message; undefined if the BMC does not answer. Knows of no fault rules. */
  handle(message: Message, arrival: Arrival = { nowMs: 0, from: "in-band" }): Reply | undefined {
    const id = key(message);
    this.log.push(names.get(id) ?? `${message.netFn}/${message.cmd}`);
    const { access, timing } = this.profile;
    if (arrival.from === "in-band" && access.inBand === "disabled") return undefined;
    const write = writes.has(id) && !isTest(message);
    const hindrance = this.#condition.hinders(arrival.nowMs, onUsers.has(id), write);
    if (hindrance === "silence") return undefined;
    if (hindrance !== undefined) return { ...hindrance, data: nothing };
    if (!mayDo(access, message, arrival)) return { completionCode: access.refused, data: nothing };
    if (!write) return this.#execute(message, arrival);

    this.#writes += 1;
    const { resetAtWrite: reset, losesEveryWrite: loses } = timing;
    const resets = reset?.number === this.#writes ? reset : undefined;
    const lost = resets?.kept === false || (loses !== undefined && this.#writes % loses === 0);
    const restore = lost ? this.#snapshot() : undefined;
    const reply = this.#execute(message, arrival);
    restore?.();
    if (reply.completionCode === 0) this.#condition.written(arrival.nowMs);
    if (resets === undefined) return reply;
    this.reset(arrival.nowMs, resets.downMs);
    return undefined;
  }

  #execute(message: Message, arrival: Arrival): Reply {
    const handler = handlers.get(key(message));
    if (handler === undefined) return { completionCode: CompletionCode.invalidCommand, data: nothing };
    try {
      return { completionCode: 0, data: handler(this, message.data, arrival) };
    } catch (error) {
      if (error instanceof Refusal) return { completionCode: error.completionCode, data: nothing };
      if (error instanceof DecodeError) return { completionCode: CompletionCode.requestLengthInvalid, data: nothing };
      throw error;
    }
  }

  /** The account with which somebody may log in from remote; undefined if none of that name can. */
  remoteUser(name: string): RemoteUser | undefined {
    const { accessMode, privilegeLevelLimit } = this.channelAccess.volatile;
    if (this.profile.lan.refusesLogin === true || accessMode !== 2 || name === "") return undefined;
    const user = this.users.find(
      (each) => nameText(each) === name && each.enabled && each.ipmiMessaging && !each.callbackOnly,
    );
    if (user?.password === undefined || user.privilege === 0 || user.privilege > 5) return undefined;
    return { id: user.id, password: user.password, privilege: Math.min(user.privilege, privilegeLevelLimit) };
  }

  /** The privilege that a login from remote with this name and password alone has; undefined if it is refused. */
  login(name: string, password: Uint8Array): number | undefined {
    if (this.profile.lan.kg !== undefined) return undefined;
    const user = this.remoteUser(name);
    const wanted = new Uint8Array(20);
    wanted.set(password);
    return user !== undefined && sameBytes(user.password, wanted) ? user.privilege : undefined;
  }

  /** Switches the BMC off and on again. What is stored stays; what is only in use is loaded anew. */
  reset(nowMs: number, downMs: number): void {
    this.resets += 1;
    this.channelAccess.volatile = { ...this.channelAccess.nonVolatile };
    this.chassis.identifyUntilMs = 0;
    this.#late = [];
    this.#condition.reset(nowMs, downMs);
  }

  /** False while it resets or hangs: then it does not even take a login. */
  isAlive(nowMs: number): boolean {
    return this.#condition.isAlive(nowMs);
  }

  restartNetwork(untilMs: number): void {
    this.#condition.restartNetwork(untilMs);
  }

  hasAddress(nowMs: number): boolean {
    return this.#condition.hasAddress(nowMs);
  }

  get saysInitializing(): boolean {
    return this.#condition.initializing;
  }

  /** Refuses an ID that is not there. */
  user(id: number): SimulatedUser {
    return this.users[id - 1] ?? refuse(this.profile.users.outOfRange);
  }

  /** What the user may do on a LAN channel: a right on one is none on another. */
  rights(user: SimulatedUser, channel: number): Rights {
    const own = this.lans.length === 1 || channel === mainLan(this.lans).channel;
    return own ? user : rightsElsewhere(user, channel);
  }

  /** Refuses a channel that is no LAN. */
  lan(channel: number): SimulatedLan {
    return this.lans.find((each) => each.channel === channel) ?? refuse(this.profile.channels.noSuchChannel);
  }

  /** Returns what brings back users, channels and logins as they are now. */
  #snapshot(): () => void {
    const users = structuredClone(this.users);
    const { volatile, nonVolatile } = this.channelAccess;
    const channelAccess = { volatile: { ...volatile }, nonVolatile: { ...nonVolatile } };
    const { suitePrivileges, authenticationTypes } = this;
    return () => {
      for (const [i, user] of users.entries()) Object.assign(this.users[i] ?? {}, user);
      this.channelAccess = channelAccess;
      this.suitePrivileges = suitePrivileges;
      this.authenticationTypes = authenticationTypes;
    };
  }
}

/** Makes a BMC that is as its profile says. */
export function createBmc(profile: Profile, options: SimulatedBmcOptions = {}): SimulatedBmc {
  return new SimulatedBmc(profile, options);
}

function isTest({ cmd, data }: Message): boolean {
  return cmd === 0x47 && ((data[1] ?? 0) & 0x03) === 3;
}

function systemInfoOf(systemInfo: Profile["device"]["systemInfo"]): Uint8Array | undefined {
  if (systemInfo === undefined || "unset" in systemInfo || "refused" in systemInfo) return undefined;
  return encodeFirstPart("text" in systemInfo ? systemInfo.text : "");
}

function guidOf(guid: Profile["device"]["guid"], machineUuid: string | undefined): Uint8Array | undefined {
  if ("bytes" in guid) return Uint8Array.from(Buffer.from(guid.bytes, "hex"));
  return "machine" in guid && machineUuid !== undefined ? uuidToGuid(machineUuid, guid.machine) : undefined;
}
