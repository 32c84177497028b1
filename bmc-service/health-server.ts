import { createServer, type Server } from "node:http";
import type { Logger } from "pino";
import type { Endpoint } from "./endpoint.ts";
import { closeHttp, listenHttp } from "./http-listener.ts";
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
    return await listenHttp(this.#server, "--health", endpoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeHttp(this.#server);
  }
}
