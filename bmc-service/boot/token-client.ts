import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  BmcServiceClient,
  type CreateTokenRequest,
  type CreateTokenResponse,
} from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import type { ClientPki } from "../pki/load-pki.ts";

/** The service made no token. */
export class NoTokenError extends Error {
  override readonly name = "NoTokenError";
  readonly code = "no-token";
}

/** pixiecore waits 5 s for an answer. */
const callLimitMs = 4_000;

/** Who makes tokens: the service, by gRPC. */
export interface TokenMaker {
  /** Rejects with NoTokenError. */
  create(request: CreateTokenRequest): Promise<CreateTokenResponse>;
}

/** A connection to the service, made at the first call. */
export class TokenClient implements TokenMaker, Disposable {
  readonly #service: string;
  readonly #client: BmcServiceClient;

  constructor(service: Endpoint, { ca, key, certificate }: ClientPki) {
    this.#service = formatEndpoint(service);
    const security = credentials.createSsl(ca, key, certificate, {
      checkServerIdentity: (_name, shown) => checkServerIdentity(service.host, shown),
    });
    this.#client = new BmcServiceClient(this.#service, security, {
      // Node refuses an address as the name that TLS asks for (RFC 6066 §3); what is verified is the host, above.
      ...(isIP(service.host) === 0
        ? {}
        : { "grpc.ssl_target_name_override": "bmc-service", "grpc.default_authority": this.#service }),
      "grpc.enable_http_proxy": 0,
      // A machine asks again within seconds: the service is looked for as often.
      "grpc.max_reconnect_backoff_ms": 5_000,
    });
  }

  async create(request: CreateTokenRequest): Promise<CreateTokenResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<CreateTokenResponse>();
    const options = { deadline: Date.now() + callLimitMs };
    this.#client.createToken(request, new Metadata(), options, (error: ServiceError | null, response) => {
      if (error === null) resolve(response);
      else reject(new NoTokenError(`BMC service ${this.#service}: ${error.details}`, { cause: error }));
    });
    return promise;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
