import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { SecureContext } from "node:tls";
import { status } from "@grpc/grpc-js";
import type { Method } from "../../outband-client/service/channel.ts";

/** Longest wait for the end of one call, ms. */
const callLimitMs = 60_000;
/** Compressed or not, one byte; length of the message, four. gRPC over HTTP/2, "Length-Prefixed-Message". */
const prefixBytes = 5;

/** The service has answered, and refused. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly code: status;

  constructor(path: string, code: status, details: string) {
    super(`${path}: ${status[code] ?? code}: ${details}`);
    this.code = code;
  }
}

/** The service was not there, or went away before it had answered. */
export class LostError extends Error {
  override readonly name = "LostError";
}

/**
 * The connection of one agent: its own TCP connection and a full TLS 1.3 handshake. gRPC by hand over node:http2, because the agents
 * share the processor with the service that is measured: grpc-js takes several times as much of it.
 */
export class AgentConnection implements Disposable {
  readonly #session: ClientHttp2Session;

  /** @param port of the service on 127.0.0.1 */
  constructor(port: number, secureContext: SecureContext) {
    // Without a session to resume: every handshake is a full one.
    this.#session = connect(`https://127.0.0.1:${port}`, { secureContext, ALPNProtocols: ["h2"] });
    // What ends the connection ends its calls with the same error.
    this.#session.on("error", () => undefined);
  }

  /** One request, one answer. @throws RefusedError, LostError */
  async unary<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
    const [response] = await this.stream(method, request);
    if (response === undefined) throw new LostError(`${method.path}: an answer without a message`);
    return response;
  }

  /** One request, all answers to the end. @throws RefusedError, LostError */
  stream<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response[]> {
    const { path } = method;
    const lost = (why: string) => new LostError(`${path}: ${why}`);
    if (this.#session.destroyed || this.#session.closed) return Promise.reject(lost("the connection is gone"));
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream: ClientHttp2Stream = this.#session.request(headers);
    const { promise, resolve, reject } = Promise.withResolvers<Response[]>();
    const received: Buffer[] = [];
    let end: { readonly code: status; readonly details: string } | undefined;
    const hear = (fields: Record<string, unknown>) => {
      const { "grpc-status": code, "grpc-message": details = "" } = fields;
      if (code !== undefined) end = { code: Number(code), details: decodeURIComponent(String(details)) };
    };
    stream.on("response", hear);
    stream.on("trailers", hear);
    stream.on("data", (bytes: Buffer) => received.push(bytes));
    stream.setTimeout(callLimitMs, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on("error", (error) => reject(lost(error.message)));
    stream.on("close", () => {
      if (end === undefined) return reject(lost("the connection was lost"));
      if (end.code !== status.OK) return reject(new RefusedError(path, end.code, end.details));
      resolve(messagesOf(Buffer.concat(received)).map(method.responseDeserialize));
    });
    stream.end(withPrefix(method.requestSerialize(request)));
    return promise;
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

function withPrefix(message: Buffer): Buffer {
  const framed = Buffer.alloc(prefixBytes + message.length);
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, prefixBytes);
  return framed;
}

function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + prefixBytes + bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + prefixBytes, end));
    at = end;
  }
  return messages;
}
