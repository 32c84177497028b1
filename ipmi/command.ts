import { decode, encode, type Field, type Fields, struct, type ValueOf } from "./codec.ts";
import { completionCodeMeaning } from "./completion-code.ts";
import { CompletionCodeError, DecodeError, EncodeError, TransportError } from "./errors.ts";
import type { Reply, Transport } from "./transport.ts";

/** One IPMI command in both directions: a client encodes `Q` and decodes `P`, a simulated BMC the other way round. */
export interface Command<Q, P> {
  /** As the specification spells it. */
  readonly name: string;
  /** Network function of the request (even). */
  readonly netFn: number;
  readonly cmd: number;
  /** Whether it may be sent again when its answer was lost. A power cycle may not. */
  readonly repeatable: boolean;
  /** The request holds a secret: its bytes are wiped when it was answered, or was not. */
  readonly secret: boolean;
  /** Meanings of the completion codes that are this command's own, 80h-BEh. */
  readonly codes: Readonly<Record<number, string>>;
  /** @throws EncodeError */
  encodeRequest(request: Q): Uint8Array;
  /** @throws DecodeError, also for bytes after the last field */
  decodeRequest(data: Uint8Array): Q;
  /** @throws EncodeError */
  encodeResponse(response: P): Uint8Array;
  /**
   * @param data the bytes after the completion code 00h; more than declared is accepted, fewer is not
   * @throws DecodeError
   */
  decodeResponse(data: Uint8Array): P;
}

/** What `command` is given. */
export interface Declaration<Q extends Fields, P extends Fields> {
  readonly name: string;
  readonly netFn: number;
  readonly cmd: number;
  readonly repeatable: boolean;
  /** False if left out. */
  readonly secret?: boolean;
  readonly request: Q;
  /** Without the completion code. */
  readonly response: P;
  readonly codes?: Readonly<Record<number, string>>;
  /** Rules between fields of the request: says what is wrong, or undefined. Never quotes a secret. */
  readonly checkRequest?: (request: ValueOf<Q>) => string | undefined;
  /** The same for the response. */
  readonly checkResponse?: (response: ValueOf<P>) => string | undefined;
}

/** Declares a command; encoders, decoders and types of both directions follow from it. */
export function command<const Q extends Fields, const P extends Fields>(
  declaration: Declaration<Q, P>,
): Command<ValueOf<Q>, ValueOf<P>> {
  const { name, netFn, cmd, repeatable, secret = false, codes = {} } = declaration;
  const request = direction(`${name} request`, struct(declaration.request), declaration.checkRequest, "refused");
  const response = direction(`${name} response`, struct(declaration.response), declaration.checkResponse, "ignored");
  return {
    name,
    netFn,
    cmd,
    repeatable,
    secret,
    codes,
    encodeRequest: request.encode,
    decodeRequest: request.decode,
    encodeResponse: response.encode,
    decodeResponse: response.decode,
  };
}

function direction<T>(
  what: string,
  field: Field<T>,
  check: ((value: T) => string | undefined) | undefined,
  after: "ignored" | "refused",
) {
  return {
    encode(value: T): Uint8Array {
      const data = encode(field, value, what);
      const problem = check?.(value);
      if (problem !== undefined) throw new EncodeError(what, problem);
      return data;
    },
    decode(data: Uint8Array): T {
      const value = decode(field, data, what, after);
      const problem = check?.(value);
      if (problem !== undefined) throw new DecodeError(what, data.length, problem);
      return value;
    },
  };
}

/**
 * Sends a command once and decodes its response.
 * A request that does not fit its fields is the caller's mistake: EncodeError, and nothing was sent.
 * @throws CompletionCodeError if the BMC answered anything but 00h
 * @throws DecodeError if its answer is not what the specification says
 * @throws TransportError if request or answer were lost, or the signal ended the wait
 */
export async function send<Q, P>(
  transport: Transport,
  command: Command<Q, P>,
  request: NoInfer<Q>,
  signal: AbortSignal,
): Promise<P> {
  const data = command.encodeRequest(request);
  if (data.length > transport.maxRequestBytes) {
    const problem = `${command.name}: ${data.length} bytes, at most ${transport.maxRequestBytes} fit into a request`;
    throw new TransportError(transport.name, "no", problem);
  }
  if (signal.aborted) {
    throw new TransportError(transport.name, "no", `${command.name}: ended before it was sent`, {
      cause: signal.reason,
    });
  }
  let reply: Reply;
  try {
    reply = await transport.exchange({ netFn: command.netFn, lun: 0, cmd: command.cmd, data }, signal);
  } finally {
    if (command.secret) data.fill(0);
  }
  if (reply.completionCode !== 0) {
    const meaning = completionCodeMeaning(reply.completionCode, command.codes);
    throw new CompletionCodeError(command.name, reply.completionCode, meaning);
  }
  return command.decodeResponse(reply.data);
}
