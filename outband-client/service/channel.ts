import { checkServerIdentity } from "node:tls";
import {
  Client,
  type ClientReadableStream,
  connectivityState,
  credentials as grpcCredentials,
  Metadata,
  type ServiceError as StatusError,
  status,
} from "@grpc/grpc-js";
import { parseServiceAddress, type ServiceAddress } from "./address.ts";
import { type Credentials, loadCredentials, type Pem } from "./credentials.ts";
import { printable } from "./printable.ts";
import { ServiceError, type ServiceStatus } from "./service-error.ts";
import { probe } from "./tls-probe.ts";

/** How to reach the BMC service, and as whom. */
export type ConnectOptions = (Pem | Plaintext) & ChannelOptions;

/** No TLS, to a service on this machine itself. */
export interface Plaintext {
  readonly plaintext: true;
}

interface ChannelOptions {
  /** "HOST:PORT": a DNS name, an IPv4 address or an IPv6 address in brackets. What is given is what is verified. */
  readonly address: string;
  /** Longest wait for the answer to one call, in milliseconds; connecting included. */
  readonly callLimitMs?: number;
  /** Longest life of one stream, in milliseconds; Infinity for a stream that lives until the caller goes. */
  readonly streamLimitMs?: number;
}

/** A method as ts-proto describes it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

const defaultCallLimitMs = 15_000;
const defaultStreamLimitMs = 600_000;
const probeLimitMs = 5_000;
/** What grpc-js says as a server when the caller's deadline passes. */
const deadlineByLibrary = "Deadline exceeded";
// 10,000 rows with all their facts are some 20 MB.
const maxReceiveBytes = 64 * 1024 * 1024;

/**
 * The connection to one BMC service: made at the first call, made anew at the first call after it broke.
 * It retries nothing, so that the caller's back-off is the only one.
 */
export class ServiceChannel implements AsyncDisposable {
  readonly address: ServiceAddress;
  /** Undefined: there is no TLS. */
  readonly #credentials: Credentials | undefined;
  readonly #callLimitMs: number;
  readonly #streamLimitMs: number;
  #client: Client | undefined;

  /** @throws ServiceError "configuration"; nothing is sent */
  constructor(options: ConnectOptions) {
    this.address = parseServiceAddress(options.address);
    this.#credentials = "plaintext" in options ? requireLoopback(this.address) : loadCredentials(options);
    this.#callLimitMs = options.callLimitMs ?? defaultCallLimitMs;
    this.#streamLimitMs = options.streamLimitMs ?? defaultStreamLimitMs;
  }

  /**
   * One request, one answer.
   * @throws ServiceError, or the signal's reason
   */
  async unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    signal.throwIfAborted();
    const client = this.#connected();
    let answered = false;
    let cancel = () => {};
    try {
      return await new Promise<Response>((resolve, reject) => {
        const call = client.makeUnaryRequest<Request, Response>(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          new Metadata(),
          { deadline: Date.now() + this.#callLimitMs },
          (error, response) => {
            if (error) reject(error);
            else if (response === undefined) reject(new Error("an answer without a message"));
            else resolve(response);
          },
        );
        call.once("metadata", () => {
          answered = true;
        });
        cancel = () => call.cancel();
        signal.addEventListener("abort", cancel, { once: true });
      });
    } catch (error) {
      throw await this.#explain(client, method, error, answered, signal);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /**
   * One request, many answers. The call starts with the first `next` and ends when the caller stops reading.
   * @throws ServiceError, or the signal's reason
   */
  async *stream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): AsyncGenerator<Response, void, undefined> {
    signal.throwIfAborted();
    const client = this.#connected();
    let answered = false;
    const call: ClientReadableStream<Response> = client.makeServerStreamRequest<Request, Response>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + this.#streamLimitMs },
    );
    const cancel = () => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    call.once("metadata", () => {
      answered = true;
    });
    // A cancelled call reports its own end as an error, after the reader has gone.
    call.on("error", () => {});
    try {
      for await (const message of call) yield message as Response;
    } catch (error) {
      throw await this.#explain(client, method, error, answered, signal);
    } finally {
      signal.removeEventListener("abort", cancel);
      call.cancel();
    }
    signal.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
  }

  #connected(): Client {
    this.#client ??= this.#connect();
    return this.#client;
  }

  #connect(): Client {
    const { host, text } = this.address;
    const security =
      this.#credentials === undefined
        ? grpcCredentials.createInsecure()
        : grpcCredentials.createFromSecureContext(this.#credentials.context, {
            checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
          });
    return new Client(`dns:///${text}`, security, {
      // Node refuses an IP address as the TLS server name (RFC 6066 section 3), and grpc-js offers the target unless told otherwise.
      // The name here is only what is asked for; what is verified is `host`, above.
      ...(isName(host) ? {} : { "grpc.ssl_target_name_override": "bmc-service", "grpc.default_authority": text }),
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      // Each channel dials for itself: a shared one would bring its own back-off along.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.keepalive_time_ms": 20_000,
      "grpc.keepalive_timeout_ms": 10_000,
      "grpc.max_receive_message_length": maxReceiveBytes,
    });
  }

  async #explain(
    client: Client,
    method: Method<never, unknown>,
    error: unknown,
    sawHeaders: boolean,
    signal: AbortSignal,
  ): Promise<unknown> {
    if (signal.aborted) return signal.reason;
    if (!isStatusError(error)) return error;
    const who = `BMC service ${this.address.text}: ${method.path.replace(/^.*\//, "")}`;
    // What a service sends may end up on a terminal.
    const details = printable(error.details).slice(0, 1_000) || "no reason given";
    // An answer without a body carries the content type in what grpc-js hands out as trailers (gRPC over HTTP/2, "Trailers-Only").
    const answered = sawHeaders || error.metadata?.get("content-type").length > 0;
    const lost = !answered && isLost(error.code, client);
    if (answered || !lost) {
      const meaning = statusOf(error.code);
      // The service has its own limits, towards a BMC, and says so in its own words; its gRPC library keeps ours as well.
      const ours = meaning === "deadline" && (!answered || details === deadlineByLibrary);
      const hint = ours ? `no answer within ${this.#callLimitMs / 1000} s` : details;
      return new ServiceError(meaning, `${who}: ${hint}`, { cause: error, answered });
    }

    // The next call dials anew, at the caller's pace.
    if (this.#client === client) this.#client = undefined;
    client.close();
    if (this.#credentials === undefined) {
      return new ServiceError("unavailable", `${who}: ${plaintextProblem(details)}`, { cause: error });
    }
    const verdict = await probe(
      this.address,
      this.#credentials,
      Math.min(probeLimitMs, this.#callLimitMs),
      signal,
    ).catch((reason) => {
      if (signal.aborted) return undefined;
      throw reason;
    });
    if (verdict === undefined) return signal.reason;
    switch (verdict.kind) {
      case "accepted":
        return new ServiceError("unavailable", `${who}: the connection was lost (${details})`, { cause: error });
      case "unreachable":
        return new ServiceError("unavailable", `${who}: ${verdict.problem}`, { cause: error });
      case "refused":
        return new ServiceError("refused", `${who}: ${verdict.problem}`, {
          cause: error,
          clockFault: verdict.clockFault,
        });
      case "no service":
        return new ServiceError("protocol", `${who}: ${verdict.problem}: check host and port`, { cause: error });
      default:
        return verdict satisfies never;
    }
  }
}

/** grpc-js tells in its own words why nothing came of a connection without TLS; there is no second look as with TLS. */
function plaintextProblem(details: string): string {
  if (details.includes("ECONNREFUSED")) return "nobody listens there (connection refused)";
  if (/No connection established|ECONNRESET|Connection dropped|socket hang up/.test(details)) {
    return "it ended the connection at once; does it speak TLS? Then leave out --insecure-plaintext (rivet.insecure_plaintext=)";
  }
  return `the connection was lost (${details})`;
}

function requireLoopback({ host, text }: ServiceAddress): undefined {
  if (/^127\.\d+\.\d+\.\d+$|^::1$/.test(host)) return;
  throw new ServiceError("configuration", `service address ${text}: without TLS only 127.0.0.1 and [::1] are allowed`);
}

// Whether the connection is to blame rather than the call.
function isLost(code: status, client: Client): boolean {
  switch (code) {
    case status.UNAVAILABLE:
    case status.CANCELLED:
    case status.INTERNAL:
    case status.UNKNOWN:
      return true;
    case status.DEADLINE_EXCEEDED:
      return client.getChannel().getConnectivityState(false) !== connectivityState.READY;
    default:
      return false;
  }
}

function statusOf(code: status): ServiceStatus {
  switch (code) {
    case status.UNAVAILABLE:
    case status.CANCELLED:
      return "unavailable";
    case status.PERMISSION_DENIED:
      return "refused";
    case status.UNAUTHENTICATED:
      return "unauthenticated";
    case status.INVALID_ARGUMENT:
    case status.OUT_OF_RANGE:
      return "invalid";
    case status.NOT_FOUND:
      return "not found";
    case status.FAILED_PRECONDITION:
      return "precondition";
    case status.ABORTED:
    case status.ALREADY_EXISTS:
      return "conflict";
    case status.RESOURCE_EXHAUSTED:
      return "exhausted";
    case status.DEADLINE_EXCEEDED:
      return "deadline";
    case status.UNIMPLEMENTED:
      return "unimplemented";
    case status.DATA_LOSS:
      return "damaged";
    case status.INTERNAL:
    case status.UNKNOWN:
      return "internal";
    case status.OK:
      return "protocol";
    default:
      code satisfies never;
      return "protocol";
  }
}

function isStatusError(error: unknown): error is StatusError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

function isName(host: string): boolean {
  return !/^[0-9.]+$|:/.test(host);
}
