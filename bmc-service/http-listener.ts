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

/** How often is looked for connections whose answer is out, ms. */
const lookEveryMs = 50;

/**
 * Ends it with all its connections; nothing if it does not listen.
 * @param graceMs answers that are under way may take so long, in milliseconds
 */
export async function closeHttp(server: Server, graceMs = 0): Promise<void> {
  if (!server.listening) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  if (graceMs === 0) server.closeAllConnections();
  const looking = setInterval(() => server.closeIdleConnections(), lookEveryMs);
  const over = setTimeout(() => server.closeAllConnections(), graceMs);
  await promise;
  clearInterval(looking);
  clearTimeout(over);
}
