import type { Command } from "../ipmi/command.ts";
import { setChannelAccess } from "../ipmi/commands/set-channel-access.ts";
import { setLanConfigurationParameters } from "../ipmi/commands/set-lan-configuration-parameters.ts";
import { setSystemInfoParameters } from "../ipmi/commands/set-system-info-parameters.ts";
import { setUserAccess } from "../ipmi/commands/set-user-access.ts";
import { setUserName } from "../ipmi/commands/set-user-name.ts";
import { setUserPassword } from "../ipmi/commands/set-user-password.ts";
import { setUserPayloadAccess } from "../ipmi/commands/set-user-payload-access.ts";
import { authenticationTypeEnables, cipherSuitePrivilegeLevels } from "../ipmi/lan-parameters.ts";
import { Secret } from "../ipmi/secret.ts";
import { decodeFirstPart } from "../ipmi/system-info-parameters.ts";
import { type Document, documentOf } from "./inspect-document.ts";
import type { WithheldCommand } from "./plan-transport.ts";

/** A command that the run would send and that does not merely read. */
export interface PlannedCommand {
  /** As the specification spells it. */
  readonly command: string;
  /** What it does, for people. */
  readonly effect: string;
  /** False for a test of the password. */
  readonly changes: boolean;
  /** Whether the run goes on if the BMC refuses it. */
  readonly bestEffort: boolean;
  /** Its fields. No secret: "[random, 16 characters]". */
  readonly request: Document;
}

/** A command that the run sends to other BMCs, but not to this one. */
export interface NeedlessCommand {
  readonly command: string;
  readonly reason: string;
}

/** What is to be said of one command and its requests; what is sent is decided elsewhere. */
interface Description {
  readonly command: Command<unknown, unknown>;
  readonly fits: (request: unknown) => boolean;
  readonly effect: (request: unknown) => string;
  readonly changes: boolean;
  readonly bestEffort: boolean;
  /** Why it may be left out, and the command that tells. */
  readonly needless: { readonly reason: string; readonly toldBy: string } | undefined;
}

function describe<Q, P>(
  command: Command<Q, P>,
  effect: (request: Q) => string,
  rest: Partial<Omit<Description, "command" | "effect" | "fits">> & { readonly fits?: (request: Q) => boolean } = {},
): Description {
  const { fits = () => true, changes = true, bestEffort = false, needless } = rest;
  // Only requests that this command's declaration has decoded are passed in.
  return { command, effect, fits, changes, bestEffort, needless } as Description;
}

type PasswordOperation = "disable" | "enable" | "set" | "test";
const operation = (wanted: PasswordOperation) => (request: { readonly action: { operation: PasswordOperation } }) =>
  request.action.operation === wanted;

/** The two copies of a channel's access. */
const copies = { doNotSet: "unchanged", nonVolatile: "stored", volatile: "in use" } as const;

/** "always available" */
const words = (name: string | number): string => String(name).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** LAN parameters that `harden` changes. */
const weakLogins: ReadonlyMap<number, string> = new Map([
  [authenticationTypeEnables.selector, 'no authentication type "none" any more'],
  [cipherSuitePrivilegeLevels.selector, "no cipher suites 0 and 1 any more"],
]);

const descriptions: readonly Description[] = [
  describe(setUserName, ({ userId }) => `user ID ${userId}: no name any more`, {
    fits: ({ userName }) => userName === "",
    bestEffort: true,
  }),
  describe(setUserName, ({ userId, userName }) => `user ID ${userId}: name "${userName}"`),
  describe(
    setUserPassword,
    ({ user, password }) => `user ID ${user.id}: password ${shown(password)} in the ${password?.size}-byte form`,
    { fits: operation("set") },
  ),
  describe(
    setUserAccess,
    ({ access: { channelNumber }, userId }) => `user ID ${userId} on channel ${channelNumber}: no rights any more`,
    { fits: ({ access: { changeBits, ipmiMessaging } }) => changeBits && !ipmiMessaging, bestEffort: true },
  ),
  describe(
    setUserAccess,
    ({ access: { channelNumber, ipmiMessaging }, userId, privilegeLimit }) =>
      `user ID ${userId} on channel ${channelNumber}: privilege ${privilegeLimit}, IPMI messaging ${ipmiMessaging ? "on" : "off"}`,
    { needless: { reason: "the account has these rights already", toldBy: "Get User Access" } },
  ),
  describe(setUserPassword, ({ user }) => `user ID ${user.id}: enable`, {
    fits: operation("enable"),
    needless: { reason: "the account is enabled already", toldBy: "Get User Access" },
  }),
  describe(setUserPassword, ({ user }) => `user ID ${user.id}: disable`, {
    fits: operation("disable"),
    bestEffort: true,
  }),
  describe(
    setChannelAccess,
    ({ channelNumber, access, privilegeLevelLimit }) =>
      `channel ${channelNumber}: ${[
        ...(access.setting === "doNotSet"
          ? []
          : [`access mode ${words(access.accessMode)} (${copies[access.setting]})`]),
        ...(privilegeLevelLimit.setting === "doNotSet"
          ? []
          : [`privilege limit ${privilegeLevelLimit.limit} (${copies[privilegeLevelLimit.setting]})`]),
      ].join(", ")}`,
    { bestEffort: true, needless: { reason: "the channel is open already", toldBy: "Get Channel Access" } },
  ),
  describe(
    setUserPayloadAccess,
    ({ channelNumber, user }) => `user ID ${user.id} on channel ${channelNumber}: Serial over LAN`,
    { bestEffort: true },
  ),
  describe(
    setLanConfigurationParameters,
    ({ channel, parameterSelector, parameterData }) =>
      `channel ${channel.number}: ${weakLogins.get(parameterSelector) ?? `parameter ${parameterSelector}`}, bytes ${Buffer.from(parameterData).toString("hex")}`,
    { bestEffort: true },
  ),
  describe(
    setSystemInfoParameters,
    ({ parameterData }) => `name of the operating system: "${decodeFirstPart(parameterData).text}"`,
    { bestEffort: true },
  ),
  describe(setUserPassword, ({ user }) => `user ID ${user.id}: test the password; changes nothing`, {
    fits: operation("test"),
    changes: false,
  }),
];

/** The commands that were kept back, as a plan tells them. */
export function plannedCommands(withheld: readonly WithheldCommand[]): PlannedCommand[] {
  return withheld.map(({ command, request }) => {
    const known = descriptions.find((each) => each.command.name === command.name && each.fits(request));
    const plain = documentOf(withoutSecrets(request));
    return {
      command: command.name,
      effect: known?.effect(request) ?? JSON.stringify(plain),
      changes: known?.changes ?? true,
      bestEffort: known?.bestEffort ?? false,
      request: plain,
    };
  });
}

/**
 * What of the commands that make an account was not needed on this BMC.
 * @param refused reading commands that the BMC refused: what only they tell is not known
 */
export function needlessCommands(
  withheld: readonly WithheldCommand[],
  refused: ReadonlySet<string>,
): NeedlessCommand[] {
  return descriptions.flatMap(({ command: { name }, fits, needless }) => {
    const planned = withheld.some(({ command, request }) => command.name === name && fits(request));
    if (planned || needless === undefined || refused.has(needless.toldBy)) return [];
    return [{ command: name, reason: needless.reason }];
  });
}

function withoutSecrets(request: unknown): object {
  return Object.fromEntries(
    Object.entries(request as object).map(([name, value]) => [name, value instanceof Secret ? shown(value) : value]),
  );
}

/** Its length without the fill, and nothing else of it. */
function shown(secret: Secret | undefined): string {
  const revealed = secret?.reveal() ?? new Uint8Array();
  const length = revealed.findLastIndex((each) => each !== 0) + 1;
  revealed.fill(0);
  return length === 0 ? "[none]" : `[random, ${length} characters]`;
}
