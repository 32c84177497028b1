import {
  chassisControl,
  chassisIdentify,
  getLanConfigurationParameters,
  getSystemBootOptions,
  getUserAccess,
  getUserName,
  setChannelAccess,
  setSystemBootOptions,
  setUserAccess,
  setUserName,
  setUserPassword,
  setUserPayloadAccess,
} from "../../ipmi/commands/index.ts";
import type { Message } from "../../ipmi/transport.ts";

const keyOf = ({ netFn, cmd }: { readonly netFn: number; readonly cmd: number }) => `${netFn}/${cmd}`;

const OPERATOR = 3;
const ADMINISTRATOR = 4;
const setLanConfigurationParameters = { netFn: 0x0c, cmd: 0x01 };

/** Appendix G of IPMI 2.0, table G-1, for the commands that need more than the level User. */
const levels: ReadonlyMap<string, number> = new Map([
  ...[
    chassisControl,
    chassisIdentify,
    getLanConfigurationParameters,
    getSystemBootOptions,
    getUserAccess,
    getUserName,
    setSystemBootOptions,
  ].map((command) => [keyOf(command), OPERATOR] as const),
  ...[
    setChannelAccess,
    setLanConfigurationParameters,
    setUserAccess,
    setUserName,
    setUserPassword,
    setUserPayloadAccess,
  ].map((command) => [keyOf(command), ADMINISTRATOR] as const),
]);

/** The privilege level, 2-4, that a session needs for a command. */
export function neededPrivilege(message: Pick<Message, "netFn" | "cmd">): number {
  return levels.get(keyOf(message)) ?? 2;
}
