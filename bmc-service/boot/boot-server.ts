import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { basename, dirname } from "node:path";
import type { Logger } from "pino";
import send from "send";
import { systemReason } from "../config-error.ts";
import type { Endpoint } from "../endpoint.ts";
import { closeHttp, listenHttp } from "../http-listener.ts";
import type { SampledLog } from "../sampled-log.ts";
import { type BootAnswer, type BootAnswers, BootRefusal } from "./boot-answers.ts";
import { bootDocument, type DocumentKeys } from "./boot-document.ts";
import type { BootFiles } from "./boot-files.ts";
import type { BootMetrics, BootRoad } from "./boot-metrics.ts";
import { firstIpxeScript } from "./ipxe-script.ts";
import { UkiError } from "./uki-command-line.ts";
import type { UkiFile } from "./uki-file.ts";

export interface BootServerOptions {
  /** Under which machines reach this server; without a slash at its end. */
  readonly url: string;
  readonly answers: BootAnswers;
  readonly files: BootFiles;
  /** Undefined: there is none to serve. */
  readonly uki: UkiFile | undefined;
  /** The site's CA, PEM. */
  readonly ca: string;
  /** What every machine gets, with service and CA. */
  readonly document: DocumentKeys;
  readonly metrics: BootMetrics;
  readonly log: Logger;
  /** For what strangers can cause. */
  readonly sampled: SampledLog;
}

/** A download that stands still is ended, ms. */
const idleMs = 60_000;
const headersMs = 10_000;
/** Downloads that run when it is told to end may take so long, ms: machines that boot would have to begin again. */
const graceMs = 10_000;
const mostConnections = 5_000;

const overview = `bmc-service boot-api:
  /v1/boot/MAC      what pixiecore asks for (pixiecore api URL)
  /v1/dhcp/UUID     what metal-stack's pixie asks before it offers to boot
  /boot.ipxe        script for iPXE
  /metal-rivet.efi  program for UEFI HTTP boot
  /images/          kernel and ramdisks
  /config.yaml      what machines are told of the site; /ca.pem
  /enrol.yaml       that, with a token
`;

/** Plain HTTP for machines that boot. Whoever asks is a stranger: what goes out is public, or a token for one enrolment. */
export class BootServer implements AsyncDisposable {
  readonly #options: BootServerOptions;
  readonly #server: Server;

  constructor(options: BootServerOptions) {
    this.#options = options;
    this.#server = createServer({ requestTimeout: headersMs, headersTimeout: headersMs }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        options.log.error({ err: error, from: addressOf(request) }, "boot request failed: a bug");
        if (response.headersSent) response.destroy();
        else text(request, response, 500, "a bug in bmc-service boot-api; its log says more");
      });
    });
    this.#server.maxConnections = mostConnections;
    this.#server.timeout = idleMs;
  }

  /**
   * @returns the port; another one than asked for only if 0 was
   * @throws ConfigError
   */
  async listen(endpoint: Endpoint): Promise<number> {
    return await listenHttp(this.#server, "--listen", endpoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeHttp(this.#server, graceMs);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url, answers, uki, files, ca, document } = this.#options;
    const from = addressOf(request);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return text(request, response.setHeader("allow", "GET, HEAD"), 405, "only GET and HEAD");
    }
    const asked = URL.parse(request.url ?? "", "http://boot.invalid");
    const path = asked?.pathname ?? "";
    const file = files.get(path);
    if (file !== undefined) return this.#file(request, response, path, file);
    const mac = /^\/v1\/boot\/([^/]*)$/.exec(path)?.[1];
    if (mac !== undefined) {
      const here = askedAt(request) ?? url;
      return this.#boot(request, response, "pixiecore", () => answers.pixiecore(decoded(mac), from, here));
    }
    const uuid = /^\/v1\/dhcp\/([^/]*)$/.exec(path)?.[1];
    if (uuid !== undefined) {
      return this.#boot(request, response, "pixie_offer", () => answers.pixieOffer(decoded(uuid), from));
    }
    switch (path) {
      case "/":
        return text(request, response, 200, overview);
      case "/boot.ipxe": {
        const query = asked?.searchParams;
        if (!query?.has("mac")) return text(request, response, 200, firstIpxeScript(`${url}/boot.ipxe`));
        const [who, uuid] = [query.get("mac") ?? "", query.get("uuid") ?? ""];
        return this.#boot(request, response, "ipxe", () => answers.ipxe(who, uuid, from));
      }
      case "/metal-rivet.efi":
        if (uki === undefined) break;
        return this.#uki(request, response, path, uki);
      case "/config.yaml":
        return answer(request, response, 200, "application/yaml", bootDocument(document));
      case "/enrol.yaml":
        return this.#boot(request, response, "document", () => answers.enrolDocument(from));
      case "/ca.pem":
        return answer(request, response, 200, "application/x-pem-file", ca);
      default:
    }
    return text(request, response, 404, `there is no ${JSON.stringify(path.slice(0, 100))} here`);
  }

  async #boot(
    request: IncomingMessage,
    response: ServerResponse,
    road: BootRoad,
    work: () => Promise<BootAnswer>,
  ): Promise<void> {
    const { metrics, sampled } = this.#options;
    if (request.method !== "GET") return text(request, response.setHeader("allow", "GET"), 405, "only GET");
    try {
      const { type, body } = await work();
      metrics.boot(road, "answered");
      return answer(request, response, 200, type, body);
    } catch (error) {
      if (!(error instanceof BootRefusal)) throw error;
      const { status, result, message: problem } = error;
      metrics.boot(road, result);
      if (result !== "no_token") {
        sampled.warn(`boot ${result}`, { road, from: addressOf(request), result, problem }, "boot refused");
      }
      if (status === 429 || status === 503) response.setHeader("retry-after", "10");
      return text(request, response, status, problem);
    }
  }

  async #uki(request: IncomingMessage, response: ServerResponse, name: string, uki: UkiFile): Promise<void> {
    let path: string;
    try {
      path = await uki.path();
    } catch (error) {
      // It is being copied, or was taken away.
      const problem = error instanceof UkiError ? error.message : systemReason(error);
      this.#options.log.error({ file: name, problem }, "file cannot be served");
      response.setHeader("retry-after", "10");
      return text(request, response, 503, `${name}: it cannot be served now`);
    }
    // Some firmware knows by this what it is.
    response.setHeader("content-type", "application/efi");
    return this.#file(request, response, name, path);
  }

  /** With ranges, HEAD and conditional requests. */
  #file(request: IncomingMessage, response: ServerResponse, name: string, path: string): void {
    const { metrics, log } = this.#options;
    metrics.file(name);
    if (request.method === "GET")
      log.info({ file: name, from: addressOf(request), range: request.headers.range }, "file");
    // Its name alone: `send` reads what it is given as a part of a URL.
    send(request, basename(path), { root: dirname(path), cacheControl: false })
      .on("error", (error: NodeJS.ErrnoException & { status?: number }) => {
        const status = error.status ?? 500;
        if (status >= 500 || status === 404) {
          log.error({ file: name, problem: systemReason(error) }, "file cannot be served");
        }
        text(request, response, status, `${name}: ${status === 416 ? "no such range" : "it cannot be served now"}`);
      })
      .on("directory", () => text(request, response, 404, `${name} is no file any more`))
      .pipe(response);
  }
}

/** URL of this server as who asks has it, without a slash at its end; undefined if it does not tell. */
function askedAt({ headers: { host = "" } }: IncomingMessage): string | undefined {
  return /^[A-Za-z0-9.-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/.test(host) ? `http://${host}` : undefined;
}

/** "%3a" as ":"; what cannot be read so stays. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function addressOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}

function text(request: IncomingMessage, response: ServerResponse, status: number, body: string): void {
  answer(request, response, status, "text/plain; charset=utf-8", body.endsWith("\n") ? body : `${body}\n`);
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, type: string, body: string): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { "content-type": type, "content-length": length, "cache-control": "no-store" });
  response.end(request.method === "HEAD" ? undefined : body);
}
