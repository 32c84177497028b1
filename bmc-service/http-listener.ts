import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError, systemReason } from "./config-error.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";

/**
 * @param option the one that said where
 * @returns the port; another one than asked for only if 0 was
 * @throws ConfigError
 */
export async function listenHttp(server: Server, option: string, endpoint: Endpoint): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(endpoint.port, endpoint.host, resolve);
  try {
    await promise;
  } catch (error) {
    throw new ConfigError(option, `${formatEndpoint(endpoint)}: ${systemReason(error)}`, { cause: error });
  } finally {
    server.removeListener("error", reject);
  }
  return (server.address() as AddressInfo).port;
}

/** Ends it with all its connections; nothing if it does not listen. */
export async function closeHttp(server: Server): Promise<void> {
  if (!server.listening) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}
