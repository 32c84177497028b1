import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ConfigError, systemReason } from "../config-error.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import type { ServerPki } from "../pki/load-pki.ts";

/** The largest message that is read at all; what fits is then held against the limit of each field. */
const largestMessage = 4 * 1024 * 1024;

/** A gRPC server that speaks nothing but mutual TLS 1.3. */
export function newGrpcServer(): Server {
  return new Server({
    "grpc.max_receive_message_length": largestMessage,
    // One client is one machine or one operator.
    "grpc.max_concurrent_streams": 64,
    // A machine that was switched off leaves a dead connection behind.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
  });
}

/**
 * Binds the server.
 * @returns the port; another one than asked for only if 0 was
 * @throws ConfigError
 */
export async function listen(server: Server, endpoint: Endpoint, pki: ServerPki): Promise<number> {
  const address = formatEndpoint(endpoint);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(address, credentialsOf(pki), (error, port) => {
    if (error === null) resolve(port);
    else reject(new ConfigError("--listen", `${address}: ${systemReason(withCode(error))}`, { cause: error }));
  });
  return promise;
}

/** grpc-js has the code of the system's error in its text only. */
function withCode(error: Error): Error {
  const [code] = /\bE[A-Z]{4,}\b/.exec(error.message) ?? [];
  return code === undefined ? error : Object.assign(new Error(error.message), { code });
}

function credentialsOf({ ca, certificate, key }: ServerPki): ServerCredentials {
  const credentials = ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
  const options = credentials._getConstructorOptions();
  if (options === null) throw new Error("grpc-js made TLS credentials without TLS options");
  // grpc-js has no option for it. Every client of this service is ours and speaks 1.3.
  options.minVersion = "TLSv1.3";
  return credentials;
}
