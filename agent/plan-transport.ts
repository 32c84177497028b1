import type { Command } from "../ipmi/command.ts";
import { getChannelAccess } from "../ipmi/commands/get-channel-access.ts";
import { getLanConfigurationParameters } from "../ipmi/commands/get-lan-configuration-parameters.ts";
import { getUserAccess } from "../ipmi/commands/get-user-access.ts";
import { getUserName } from "../ipmi/commands/get-user-name.ts";
import { allCommands } from "../ipmi/commands/index.ts";
import { setChannelAccess } from "../ipmi/commands/set-channel-access.ts";
import { setLanConfigurationParameters } from "../ipmi/commands/set-lan-configuration-parameters.ts";
import { setUserAccess } from "../ipmi/commands/set-user-access.ts";
import { setUserName } from "../ipmi/commands/set-user-name.ts";
import { setUserPassword } from "../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import type { Message, Reply, Transport } from "../ipmi/transport.ts";

type RequestOf<C> = C extends Command<infer Q, infer _> ? Q : never;
type ResponseOf<C> = C extends Command<infer _, infer P> ? P : never;

/** A command that was not sent, as its declaration decodes it. */
export interface WithheldCommand {
  readonly command: Command<unknown, unknown>;
  readonly request: unknown;
}

/** A transport that sends nothing but commands that read. */
export interface WithholdingTransport extends Transport {
  /** What was not sent, in order. */
  readonly withheld: readonly WithheldCommand[];
  /** How many commands were sent. */
  readonly sent: number;
  /** Names of the commands that the BMC refused when they were last sent. */
  readonly refused: ReadonlySet<string>;
  /** What Get User Name told, by user ID, before anything was kept back. */
  readonly userNames: ReadonlyMap<number, string>;
}

/**
 * Lets commands that read through to the BMC, keeps back all others and answers them with 00h; what is read afterwards
 * is as if they had been executed. What has no declaration in ipmi/commands is not sent either: nobody knows what it does.
 */
export function withholdingTransport(inner: Transport): WithholdingTransport {
  const withheld: WithheldCommand[] = [];
  const pretended = new PretendedWrites();
  const refused = new Set<string>();
  const userNames = new Map<number, string>();
  let sent = 0;
  return {
    name: inner.name,
    maxRequestBytes: inner.maxRequestBytes,
    withheld,
    refused,
    userNames,
    get sent() {
      return sent;
    },
    async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
      const command = allCommands.find(({ netFn, cmd }) => netFn === message.netFn && cmd === message.cmd);
      if (command === undefined) return { completionCode: CompletionCode.invalidCommand, data: new Uint8Array() };
      const request = command.decodeRequest(message.data);
      if (reads(command)) {
        sent += 1;
        const told = await inner.exchange(message, signal);
        if (told.completionCode === CompletionCode.ok) refused.delete(command.name);
        else refused.add(command.name);
        const reply = pretended.change(command, request, told);
        if (withheld.length === 0 && told.completionCode === CompletionCode.ok) {
          when(getUserName, command, request, ({ userId }) => {
            userNames.set(userId, getUserName.decodeResponse(told.data).userName);
          });
        }
        return reply;
      }
      withheld.push({ command, request });
      pretended.write(command, request);
      return { completionCode: CompletionCode.ok, data: new Uint8Array() };
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** The specification calls every command that changes nothing "Get" or "Read". */
function reads({ name }: Command<unknown, unknown>): boolean {
  return /^(Get|Read) /.test(name);
}

/** What the BMC would tell, had it executed what was kept back. */
class PretendedWrites {
  readonly #names = new Map<number, string>();
  readonly #rights = new Map<number, RequestOf<typeof setUserAccess>>();
  readonly #states = new Map<number, "enabled" | "disabled">();
  readonly #channels = new Map<string, Partial<ResponseOf<typeof getChannelAccess>>>();
  readonly #lanParameters = new Map<string, Uint8Array>();
  /** The last that was told of any user. */
  #user: ResponseOf<typeof getUserAccess> | undefined;

  write(command: Command<unknown, unknown>, request: unknown): void {
    when(setUserName, command, request, ({ userId, userName }) => this.#names.set(userId, userName));
    when(setUserAccess, command, request, (rights) => this.#rights.set(rights.userId, rights));
    when(setUserPassword, command, request, ({ user: { id }, action: { operation } }) => {
      if (operation === "enable" || operation === "disable") this.#states.set(id, `${operation}d`);
    });
    when(setLanConfigurationParameters, command, request, ({ channel, parameterSelector, parameterData }) =>
      this.#lanParameters.set(`${channel.number} ${parameterSelector}`, parameterData),
    );
    when(setChannelAccess, command, request, ({ channelNumber, access, privilegeLevelLimit: { setting, limit } }) => {
      const key = (copy: string) => `${channelNumber} ${copy}`;
      const change = (copy: string, part: Partial<ResponseOf<typeof getChannelAccess>>) =>
        this.#channels.set(key(copy), { ...this.#channels.get(key(copy)), ...part });
      change(access.setting, { access });
      change(setting, { privilegeLevelLimit: limit });
    });
  }

  /** What the BMC told, with what was kept back in it. */
  change(command: Command<unknown, unknown>, request: unknown, told: Reply): Reply {
    let reply = told;
    when(getUserName, command, request, ({ userId }) => {
      const userName = this.#names.get(userId);
      if (userName !== undefined) reply = answer(getUserName, { userName });
    });
    when(getUserAccess, command, request, ({ channelNumber, userId }) => {
      if (told.completionCode === CompletionCode.ok) this.#user = getUserAccess.decodeResponse(told.data);
      const rights = this.#rights.get(userId);
      const status = this.#states.get(userId);
      // Some BMCs tell nothing of a slot that has no name yet: what they tell of another one has the same form.
      const now = this.#user;
      if (now === undefined || (rights === undefined && status === undefined)) return;
      const isThere = rights?.access.channelNumber === channelNumber;
      reply = answer(getUserAccess, {
        ...now,
        enabled: status === undefined ? now.enabled : { ...now.enabled, status },
        access: isThere ? { ...rights.access, privilegeLimit: rights.privilegeLimit } : now.access,
      });
    });
    when(getLanConfigurationParameters, command, request, ({ channel, parameterSelector }) => {
      const parameterData = this.#lanParameters.get(`${channel.number} ${parameterSelector}`);
      if (parameterData === undefined || told.completionCode !== CompletionCode.ok) return;
      const { parameterRevision } = getLanConfigurationParameters.decodeResponse(told.data);
      reply = answer(getLanConfigurationParameters, { parameterRevision, parameterData });
    });
    when(getChannelAccess, command, request, ({ channelNumber, setting }) => {
      const written = this.#channels.get(`${channelNumber} ${setting}`);
      if (written === undefined || told.completionCode !== CompletionCode.ok) return;
      reply = answer(getChannelAccess, { ...getChannelAccess.decodeResponse(told.data), ...written });
    });
    return reply;
  }
}

/** Calls `then` with the request, if it is one of the wanted command. */
function when<Q, P>(
  wanted: Command<Q, P>,
  command: Command<unknown, unknown>,
  request: unknown,
  then: (request: Q) => void,
): void {
  if (wanted.netFn === command.netFn && wanted.cmd === command.cmd) then(request as Q);
}

function answer<Q, P>(command: Command<Q, P>, response: NoInfer<P>): Reply {
  return { completionCode: CompletionCode.ok, data: command.encodeResponse(response) };
}
