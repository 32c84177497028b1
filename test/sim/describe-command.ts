import type { Command } from "../../ipmi/command.ts";
import {
  allCommands,
  chassisControl,
  getLanConfigurationParameters,
  getUserName,
  readFruData,
  setUserAccess,
  setUserName,
  setUserPassword,
} from "../../ipmi/commands/index.ts";
import { completionCodeMeaning } from "../../ipmi/completion-code.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import type { Message } from "../../ipmi/transport.ts";

/** A request for people. Only fields that are named here are shown: a password is in none of them. */
export interface CommandInWords {
  /** As the specification names it; "NetFn 2Eh command 10h" for others. */
  readonly name: string;
  /** Channel, user ID, user name, operation, offset: what tells one request from another. May be empty. */
  readonly detail: string;
}

type Describe = (data: Uint8Array) => string;
const key = ({ netFn, cmd }: { readonly netFn: number; readonly cmd: number }) => `${netFn}/${cmd}`;

function from<Q>(command: Command<Q, unknown>, words: (request: Q) => string): readonly [string, Describe] {
  return [key(command), (data) => words(command.decodeRequest(data))];
}

const special = new Map<string, Describe>([
  from(getUserName, ({ userId }) => `user ${userId}`),
  from(setUserName, ({ userId, userName }) => `user ${userId}, ${JSON.stringify(userName)}`),
  from(setUserPassword, ({ user, action }) => {
    const withSize = action.operation === "set" || action.operation === "test";
    return `user ${user.id}, ${action.operation}${withSize ? `, ${user.twentyBytes ? 20 : 16} bytes` : ""}`;
  }),
  from(setUserAccess, ({ access, userId, privilegeLimit }) =>
    [`user ${userId}`, `channel ${access.channelNumber}`, `${privilegeLimit}`].join(", "),
  ),
  from(getLanConfigurationParameters, ({ channel, parameterSelector }) =>
    [`channel ${channel.number}`, `parameter ${parameterSelector}`].join(", "),
  ),
  from(readFruData, ({ fruDeviceId, offset, count }) => `FRU ${fruDeviceId}, offset ${offset}, ${count} bytes`),
  from(chassisControl, ({ control }) => control.operation),
]);

const commands = new Map(allCommands.map((command) => [key(command), command]));

export function describeCommand(message: Message): CommandInWords {
  const command = commands.get(key(message));
  if (command === undefined) return { name: `NetFn ${hex(message.netFn)} command ${hex(message.cmd)}`, detail: "" };
  try {
    const words = special.get(key(message)) ?? ((data) => commonFields(command.decodeRequest(data)));
    return { name: command.name, detail: words(message.data) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { name: command.name, detail: `${message.data.length} bytes that do not fit` };
  }
}

/** The fields that many commands have under these names. */
function commonFields(request: unknown): string {
  if (typeof request !== "object" || request === null) return "";
  const { userId, channelNumber } = { userId: undefined, channelNumber: undefined, ...request };
  return [
    ...(typeof userId === "number" ? [`user ${userId}`] : []),
    ...(typeof channelNumber === "number" ? [`channel ${channelNumber}`] : []),
  ].join(", ");
}

/** "CCh" and "invalid data field in the request"; 00h needs no words. */
export function describeCode(
  message: Message,
  completionCode: number,
): { readonly code: string; readonly meaning: string } {
  const codes = commands.get(key(message))?.codes;
  const meaning = completionCode === 0 ? "" : completionCodeMeaning(completionCode, codes);
  return { code: hex(completionCode), meaning };
}

const hex = (byte: number) => `${byte.toString(16).toUpperCase().padStart(2, "0")}h`;
