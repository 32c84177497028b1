import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "pino";
import { ConfigError, systemReason } from "./config-error.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import type { Metrics } from "./metrics.ts";

export interface HealthOptions {
  readonly metrics: Pick<Metrics, "registry">;
  readonly log: Logger;
  /** Resolves if the service can do its work. */
  readonly probe: () => Promise<void>;
  /** Whether the service is going down. */
  readonly stopping: () => boolean;
}

/** Plain HTTP for those who watch the service: GET /healthz and GET /metrics. No secret passes here. */
export class HealthServer implements AsyncDisposable {
  readonly #server: Server;

  constructor({ metrics, log, probe, stopping }: HealthOptions) {
    this.#server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      const answer = (status: number, type: string, body: string) => {
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
        response.end(request.method === "HEAD" ? undefined : body);
      };
      const text = (status: number, body: string) => answer(status, "text/plain; charset=utf-8", `${body}\n`);
      const serve = async () => {
        if (request.method !== "GET" && request.method !== "HEAD") return text(405, "only GET and HEAD");
        switch (request.url?.split("?")[0]) {
          case "/healthz":
            if (stopping()) return text(503, "stopping");
            await probe();
            return text(200, "ok");
          case "/metrics":
            return answer(200, metrics.registry.contentType, await metrics.registry.metrics());
          default:
            return text(404, "there are /healthz and /metrics");
        }
      };
      serve().catch((error: unknown) => {
        log.error({ err: error, url: request.url }, "health check failed");
        text(503, error instanceof Error ? error.message : String(error));
      });
    });
  }

  /**
   * @returns the port; another one than asked for only if 0 was
   * @throws ConfigError
   */
  async listen(endpoint: Endpoint): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(endpoint.port, endpoint.host, resolve);
    try {
      await promise;
    } catch (error) {
      throw new ConfigError("--health", `${formatEndpoint(endpoint)}: ${systemReason(error)}`, { cause: error });
    } finally {
      this.#server.removeListener("error", reject);
    }
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#server.listening) return;
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}
