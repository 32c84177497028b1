import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname } from "node:path";
import type { Logger } from "pino";
import send from "send";
import { parseUuid } from "../../ipmi/guid.ts";
import { formatMac, macProblem, parseMac } from "../../ipmi/mac.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { TokenBuckets } from "../rpc/token-buckets.ts";
import type { SampledLog } from "../sampled-log.ts";
import { type AllowRule, isAllowed } from "./allow.ts";
import { bootDocument, type DocumentKeys } from "./boot-document.ts";
import type { BootFiles } from "./boot-files.ts";
import type { BootMetrics, BootResult, BootRoad } from "./boot-metrics.ts";
import { bootIpxeScript, firstIpxeScript } from "./ipxe-script.ts";
import { commandLine, mostCommandLineBytes } from "./kernel-words.ts";
import { LeaseFileError } from "./lease-file.ts";
import type { HandedToken, MachineTokens, TokenFor } from "./machine-tokens.ts";
import { NoTokenError } from "./token-client.ts";
import type { UkiFile } from "./uki-file.ts";

export interface BootServerOptions {
  /** Under which machines reach this server; without a slash at its end. */
  readonly url: string;
  readonly allow: readonly AllowRule[];
  readonly tokens: MachineTokens;
  /** URLs, or paths at this server. */
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly files: BootFiles;
  /** Undefined: there is none to serve. */
  readonly uki: UkiFile | undefined;
  /** Further words for the kernel command line. */
  readonly words: string;
  /** The site's CA: PEM, and SHA-256 of the certificate in hexadecimal. */
  readonly ca: string;
  readonly caSha256: string;
  /** Of the document that every machine gets, with service and CA. */
  readonly document: DocumentKeys;
  /** Whether machines reach nothing but pixiecore, so that it has to fetch the document for them. */
  readonly throughPixiecore: boolean;
  /** Boots of one address per minute. */
  readonly mostPerMinute: number;
  readonly metrics: BootMetrics;
  readonly log: Logger;
  /** For what strangers can cause. */
  readonly sampled: SampledLog;
}

/** A download that stands still is ended, ms. */
const idleMs = 60_000;
const headersMs = 10_000;
const mostConnections = 5_000;

/** A question that gets no boot. */
class Refusal extends Error {
  readonly status: number;
  readonly result: BootResult;

  constructor(status: number, result: BootResult, message: string) {
    super(message);
    this.status = status;
    this.result = result;
  }
}

const overview = `bmc-service boot-api:
  /v1/boot/MAC      what pixiecore asks for (pixiecore api URL)
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
  readonly #buckets: TokenBuckets;

  constructor(options: BootServerOptions) {
    this.#options = options;
    this.#buckets = new TokenBuckets(options.mostPerMinute);
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
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(endpoint.port, endpoint.host, resolve);
    try {
      await promise;
    } catch (error) {
      throw new ConfigError("--listen", `${formatEndpoint(endpoint)}: ${systemReason(error)}`, { cause: error });
    } finally {
      this.#server.removeListener("error", reject);
    }
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url, uki, files, ca, document } = this.#options;
    if (request.method !== "GET" && request.method !== "HEAD") {
      return text(request, response.setHeader("allow", "GET, HEAD"), 405, "only GET and HEAD");
    }
    const asked = URL.parse(request.url ?? "", "http://boot.invalid");
    const path = asked?.pathname ?? "";
    const file = files.get(path);
    if (file !== undefined) return this.#file(request, response, path, file);
    const mac = /^\/v1\/boot\/([^/]*)$/.exec(path)?.[1];
    if (mac !== undefined) return this.#boot(request, response, "pixiecore", () => this.#pixiecore(request, mac));
    switch (path) {
      case "/":
        return text(request, response, 200, overview);
      case "/boot.ipxe": {
        const query = asked?.searchParams;
        if (!query?.has("mac")) return text(request, response, 200, firstIpxeScript(`${url}/boot.ipxe`));
        const [who, uuid] = [query.get("mac") ?? "", query.get("uuid") ?? ""];
        return this.#boot(request, response, "ipxe", () => this.#ipxe(request, who, uuid));
      }
      case "/metal-rivet.efi":
        if (uki === undefined) break;
        // Some firmware knows by this what it is.
        response.setHeader("content-type", "application/efi");
        return this.#file(request, response, path, await uki.path());
      case "/config.yaml":
        return answer(request, response, 200, "application/yaml", bootDocument(document));
      case "/enrol.yaml":
        return this.#boot(request, response, "document", () => this.#enrolDocument(request));
      case "/ca.pem":
        return answer(request, response, 200, "application/x-pem-file", ca);
      default:
    }
    return text(request, response, 404, `there is no ${JSON.stringify(path.slice(0, 100))} here`);
  }

  /** What pixiecore asks for; any status but 200 has it leave the machine alone. Source: pixiecore's README.api.md. */
  async #pixiecore(request: IncomingMessage, macText: string): Promise<readonly [type: string, body: string]> {
    const { kernel, initrds, throughPixiecore, url } = this.#options;
    const mac = requireMac(decoded(macText));
    const token = await this.#token("pixiecore", request, { who: mac, machineUuid: undefined }, mac);
    const here = askedAt(request) ?? url;
    // pixiecore puts an address of its own in the place of this.
    const document = throughPixiecore ? `{{ URL "${here}/config.yaml" }}` : `${url}/config.yaml`;
    const spec = {
      // It fetches them itself, from where it has found us.
      kernel: absolute(kernel, here),
      initrd: initrds.map((initrd) => absolute(initrd, here)),
      cmdline: this.#commandLine(token, document),
      message: this.#message(),
    };
    return ["application/json", `${JSON.stringify(spec)}\n`];
  }

  async #ipxe(request: IncomingMessage, macText: string, uuid: string) {
    const { kernel, initrds, url } = this.#options;
    const mac = requireMac(macText);
    const machineUuid = parseUuid(uuid) === undefined ? undefined : uuid.toLowerCase();
    const token = await this.#token("ipxe", request, { who: mac, machineUuid }, mac);
    const boot = {
      kernel: absolute(kernel, url),
      initrds: initrds.map((initrd) => absolute(initrd, url)),
      commandLine: this.#commandLine(token, `${url}/config.yaml`),
      message: this.#message(),
    };
    return ["text/plain; charset=utf-8", bootIpxeScript(boot, `${url}/boot.ipxe`)] as const;
  }

  /** For a machine that tells no MAC address; several of them may stand behind one address, and each asks once. */
  async #enrolDocument(request: IncomingMessage) {
    const who = addressOf(request);
    const token = await this.#token("document", request, { who, machineUuid: undefined }, undefined);
    return ["application/yaml", bootDocument({ ...this.#options.document, token: token.text })] as const;
  }

  #commandLine({ text: token }: HandedToken, document: string): string {
    const { words, caSha256 } = this.#options;
    const line = commandLine({ words, document, caSha256, token });
    if (Buffer.byteLength(line) > mostCommandLineBytes)
      throw new RangeError(`a kernel command line of ${line.length} bytes`);
    return line;
  }

  #message(): string {
    return `metal-rivet: this machine and its BMC are made known to ${this.#options.document.service}`;
  }

  /** Asks for limits and --allow, and then the service. @throws Refusal */
  async #token(
    road: BootRoad,
    request: IncomingMessage,
    wanted: TokenFor,
    mac: string | undefined,
  ): Promise<HandedToken> {
    const { allow, tokens, metrics, log } = this.#options;
    const from = addressOf(request);
    const seconds = this.#buckets.take(from);
    if (seconds > 0)
      throw new Refusal(429, "flood", `too many boots are asked for from ${from}; try again in ${seconds} s`);
    const who = { mac, from };
    if (!(await this.#allowed(allow, who))) {
      throw new Refusal(
        404,
        "not_allowed",
        `${wanted.who} is not to be booted: no --allow of bmc-service boot-api covers it`,
      );
    }
    try {
      const token = await (road === "document" ? tokens.another(wanted) : tokens.forMachine(wanted));
      metrics.token(token.isNew ? "new" : "again");
      const { id, isNew } = token;
      log.info({ road, mac, uuid: wanted.machineUuid, from, token: id, isNew }, "boot");
      return token;
    } catch (error) {
      if (!(error instanceof NoTokenError)) throw error;
      log.error({ road, mac, from, problem: error.message }, "no token");
      throw new Refusal(
        503,
        "no_token",
        "the BMC service makes no token now; the log of bmc-service boot-api says why",
      );
    }
  }

  async #allowed(allow: readonly AllowRule[], asker: { readonly mac: string | undefined; readonly from: string }) {
    try {
      return await isAllowed(allow, asker, new Date());
    } catch (error) {
      if (!(error instanceof LeaseFileError)) throw error;
      this.#options.sampled.warn("leases", { problem: error.message }, "leases cannot be read");
      throw new Refusal(503, "no_leases", "the leases cannot be read now; the log of bmc-service boot-api says why");
    }
  }

  async #boot(
    request: IncomingMessage,
    response: ServerResponse,
    road: BootRoad,
    work: () => Promise<readonly [type: string, body: string]>,
  ): Promise<void> {
    const { metrics, sampled } = this.#options;
    if (request.method !== "GET") return text(request, response.setHeader("allow", "GET"), 405, "only GET");
    try {
      const [type, body] = await work();
      metrics.boot(road, "answered");
      return answer(request, response, 200, type, body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, result, message: problem } = error;
      metrics.boot(road, result);
      if (result !== "no_token") {
        sampled.warn(`boot ${result}`, { road, from: addressOf(request), result, problem }, "boot refused");
      }
      if (status === 429 || status === 503) response.setHeader("retry-after", "10");
      return text(request, response, status, problem);
    }
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

function requireMac(text: string): string {
  const mac = parseMac(text);
  const problem = mac === undefined ? "six pairs of hexadecimal digits are expected" : macProblem(mac);
  if (mac !== undefined && problem === undefined) return formatMac(mac);
  throw new Refusal(
    400,
    "bad_request",
    `${JSON.stringify(text.slice(0, 40))} is no MAC address of a machine: ${problem}`,
  );
}

/** URL of this server as who asks has it, without a slash at its end; undefined if it does not tell. */
function askedAt({ headers: { host = "" } }: IncomingMessage): string | undefined {
  return /^[A-Za-z0-9.-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/.test(host) ? `http://${host}` : undefined;
}

function absolute(url: string, base: string): string {
  return url.startsWith("/") ? `${base}${url}` : url;
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
