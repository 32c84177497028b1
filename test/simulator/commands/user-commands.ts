import {
  getUserAccess,
  getUserName,
  setUserAccess,
  setUserName,
  setUserPassword,
  setUserPayloadAccess,
} from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { follows } from "../password-policy.ts";
import type { KeptPassword } from "../profile.ts";
import type { SimulatedBmc } from "../simulated-bmc.ts";
import { nameText, padded, type SimulatedUser, sameBytes } from "../users.ts";
import { type Arrival, type Entry, levelNumber, on, refuse, refuseIf, resolveChannel } from "./handler.ts";

/** Accounts. IPMI 2.0 §22.26-22.30, §24.6. */
export const userCommands: readonly Entry[] = [
  on(getUserAccess, (bmc, { channelNumber, userId }, arrival) => {
    const channel = withSessions(bmc, channelNumber, arrival);
    const user = bmc.user(userId);
    const rights = bmc.rights(user, channel);
    return {
      maxUserIds: bmc.users.length,
      enabled: { status: user.enabled ? 1 : 2, count: bmc.users.filter(({ enabled }) => enabled).length },
      fixedNameCount: bmc.fixedNameCount,
      access: {
        callbackOnly: rights.callbackOnly,
        linkAuthentication: rights.linkAuthentication,
        ipmiMessaging: rights.ipmiMessaging,
        privilegeLimit: rights.privilege,
      },
    };
  }),

  on(setUserAccess, (bmc, { access, userId, privilegeLimit, sessionLimit }, arrival) => {
    const { shortAccess, longAccess, sessionLimit: limitRefused, unnamedAccess } = bmc.profile.users;
    const { messagingNeedsPrivilege, accessNeedsEnable } = bmc.profile.users;
    const channel = withSessions(bmc, access.channelNumber, arrival);
    const user = bmc.user(userId);
    refuseIf(sessionLimit === undefined, shortAccess);
    refuseIf(sessionLimit !== undefined, longAccess);
    refuseIf((sessionLimit ?? 0) !== 0, limitRefused);
    refuseIf(nameText(user) === "", unnamedAccess);
    if (accessNeedsEnable === true && !user.enabled) return {};
    const rights = bmc.rights(user, channel);
    const without = rights.privilege === 15 || rights.privilege === 0;
    if (access.changeBits) {
      rights.callbackOnly = access.callbackOnly;
      rights.linkAuthentication = access.linkAuthentication;
      rights.ipmiMessaging = access.ipmiMessaging && !(messagingNeedsPrivilege === true && without);
    }
    rights.privilege = levelNumber(privilegeLimit);
    return {};
  }),

  on(getUserName, (bmc, { userId }) => ({ userName: shownName(bmc, bmc.user(userId)) })),

  on(setUserName, (bmc, { userId, userName }) => {
    const { namePattern, reservedNames, fixedSlots, nameRefused, duplicateName, sameName } = bmc.profile.users;
    const user = bmc.user(userId);
    const fixed = userId <= bmc.fixedNameCount || fixedSlots.includes(userId);
    const fits = new RegExp(namePattern).test(userName) && !reservedNames.includes(userName);
    if (fixed || !fits) refuse(nameRefused);
    refuseIf(nameText(user) === userName, sameName);
    refuseIf(userName !== "" && bmc.users.some((each) => each !== user && nameText(each) === userName), duplicateName);
    user.name = padded(userName, 16);
    return {};
  }),

  on(setUserPassword, (bmc, { user: { id, twentyBytes }, action, password }) => {
    const user = bmc.user(id);
    const { users, passwords } = bmc.profile;
    const size = twentyBytes ? 20 : 16;
    switch (action.operation) {
      case "enable":
      case "disable": {
        const enabling = action.operation === "enable";
        if (!passwords.enableSizes.includes(password === undefined ? 0 : size)) refuse(passwords.enableSizeRefused);
        refuseIf(nameText(user) === "", users.unnamedPassword);
        refuseIf(enabling && user.password === undefined, passwords.enableWithout);
        refuseIf(user.enabled === enabling, passwords.redundantEnable);
        user.enabled = enabling;
        return {};
      }
      case "set": {
        if (!passwords.sizes.includes(size)) refuse(passwords.sizeRefused);
        refuseIf(nameText(user) === "", users.unnamedPassword);
        const given = filled(password?.reveal() ?? refuse(CompletionCode.requestLengthInvalid));
        const { policy } = passwords;
        if (policy !== undefined && !follows(policy, given, nameText(user), bmc.users)) refuse(policy.refused);
        const { keeps } = passwords;
        if (keeps?.onlySize !== undefined && keeps.onlySize !== size) return {};
        user.password = keeps === undefined ? given : kept(given, keeps);
        user.passwordBytes = size;
        return {};
      }
      case "test": {
        const { test, wrongTestSize } = passwords;
        if (test === "yes") return {};
        refuseIf(test !== undefined, test);
        if (wrongTestSize !== "compare" && size !== user.passwordBytes) refuse(wrongTestSize);
        const given = filled(password?.reveal() ?? refuse(CompletionCode.requestLengthInvalid));
        if (user.password === undefined || !sameBytes(user.password, given)) refuse(0x80);
        return {};
      }
      default:
        return action.operation satisfies never;
    }
  }),

  on(setUserPayloadAccess, (bmc, { channelNumber, user, standardPayloads }, arrival) => {
    refuseIf(bmc.profile.users.payloadRefused !== undefined, bmc.profile.users.payloadRefused);
    withSessions(bmc, channelNumber, arrival);
    if (standardPayloads.sol) bmc.user(user.id).solAllowed = user.operation === "enable";
    return {};
  }),
];

/** User rights belong to a channel that has sessions. Returns its number. */
function withSessions(bmc: SimulatedBmc, channelNumber: number, arrival: Arrival): number {
  const channel = resolveChannel(channelNumber, arrival);
  refuseIf(channel === 0 || channel === 15, bmc.profile.channels.sessionLess);
  return bmc.lan(channel).channel;
}

function shownName(bmc: SimulatedBmc, user: SimulatedUser): string {
  const name = nameText(user);
  const { emptyName, namesFilledWith = "" } = bmc.profile.users;
  if (name !== "") return name.padEnd(16, namesFilledWith);
  switch (emptyName) {
    case "zeros":
      return "";
    case "ones":
      return "\xff".repeat(16);
    case "blanks":
      return " ".repeat(16);
    case "(Empty User)":
      return emptyName;
    default:
      // The nameless user 1 has an empty name, not none.
      return user.id === 1 ? "" : refuse(emptyName.refused);
  }
}

/** What a BMC that changes passwords has in the end. */
function kept(given: Uint8Array, { characters = 20, without = "" }: KeptPassword): Uint8Array {
  return filled(
    given.slice(0, characters).filter((each) => !without.includes(String.fromCharCode(each)) || each === 0),
  );
}

function filled(password: Uint8Array): Uint8Array {
  const stored = new Uint8Array(20);
  stored.set(password);
  return stored;
}
