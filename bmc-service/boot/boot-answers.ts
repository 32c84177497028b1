import type { Logger } from "pino";
import { parseUuid } from "../../ipmi/guid.ts";
import { formatMac, macProblem, parseMac } from "../../ipmi/mac.ts";
import { TokenBuckets } from "../rpc/token-buckets.ts";
import type { SampledLog } from "../sampled-log.ts";
import { type AllowRule, type Asker, isAllowed } from "./allow.ts";
import { bootDocument, type DocumentKeys } from "./boot-document.ts";
import type { BootMetrics, BootResult, BootRoad } from "./boot-metrics.ts";
import { bootIpxeScript } from "./ipxe-script.ts";
import { commandLine } from "./kernel-words.ts";
import { LeaseFileError } from "./lease-file.ts";
import type { HandedToken, MachineTokens, TokenFor } from "./machine-tokens.ts";
import { NoTokenError } from "./token-client.ts";

export interface BootAnswersOptions {
  /** Under which machines reach this server; without a slash at its end. */
  readonly url: string;
  readonly allow: readonly AllowRule[];
  readonly tokens: MachineTokens;
  /** URLs, or paths at this server. */
  readonly kernel: string;
  readonly initrds: readonly string[];
  /** Further words for the kernel command line. */
  readonly words: string;
  /** SHA-256 of the site's CA, hexadecimal. */
  readonly caSha256: string;
  /** What every machine gets, with service and CA. */
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

/** What somebody is told who may boot. */
export interface BootAnswer {
  readonly type: string;
  readonly body: string;
}

/** A question that gets no boot. */
export class BootRefusal extends Error {
  override readonly name = "BootRefusal";
  readonly code = "boot-refused";
  /** Of HTTP. */
  readonly status: number;
  readonly result: BootResult;

  constructor(status: number, result: BootResult, message: string) {
    super(message);
    this.status = status;
    this.result = result;
  }
}

const minuteMs = 60_000;

/** What machines are told that may boot; what they boot with has a token for one enrolment. All methods reject with BootRefusal. */
export class BootAnswers {
  readonly #options: BootAnswersOptions;
  readonly #buckets: TokenBuckets;

  constructor(options: BootAnswersOptions) {
    this.#options = options;
    this.#buckets = new TokenBuckets(options.mostPerMinute, minuteMs);
  }

  /**
   * What pixiecore asks for; any status but 200 has it leave the machine alone. Source: pixiecore's README.api.md.
   * @param here URL of this server as pixiecore has it: it fetches kernel and ramdisks itself
   */
  async pixiecore(macText: string, from: string, here: string): Promise<BootAnswer> {
    const { kernel, initrds, throughPixiecore, url } = this.#options;
    const mac = requireMac(macText);
    const token = await this.#token("pixiecore", { mac, from }, { who: mac, machineUuid: undefined });
    // pixiecore puts an address of its own in the place of this.
    const document = throughPixiecore ? `{{ URL "${here}/config.yaml" }}` : `${url}/config.yaml`;
    const spec = {
      kernel: absolute(kernel, here),
      initrd: initrds.map((initrd) => absolute(initrd, here)),
      cmdline: this.#commandLine(token, document),
      message: this.#message(),
    };
    return { type: "application/json", body: `${JSON.stringify(spec)}\n` };
  }

  /**
   * What metal-stack's pixie asks first, when DHCP tells the UUID of a machine; any status but 200 has it send no offer. There is no
   * token in it: what the machine boots it asks later, by MAC address. That is not told here, so that rules that go by it have
   * to wait until then. Source: github.com/metal-stack/pixie, pixiecore/booters.go and dhcp.go.
   */
  async pixieOffer(uuid: string, from: string): Promise<BootAnswer> {
    if (parseUuid(uuid) === undefined) {
      throw new BootRefusal(400, "bad_request", `${JSON.stringify(uuid.slice(0, 40))} is no UUID`);
    }
    const isForLater = this.#options.allow.some(({ byMac }) => byMac);
    if (!isForLater && !(await this.#allows({ mac: undefined, from }))) throw notAllowed(uuid);
    return { type: "application/json", body: "{}\n" };
  }

  /** The script for one machine. */
  async ipxe(macText: string, uuid: string, from: string): Promise<BootAnswer> {
    const { kernel, initrds, url } = this.#options;
    const mac = requireMac(macText);
    const machineUuid = parseUuid(uuid) === undefined ? undefined : uuid.toLowerCase();
    const token = await this.#token("ipxe", { mac, from }, { who: mac, machineUuid });
    const boot = {
      kernel: absolute(kernel, url),
      initrds: initrds.map((initrd) => absolute(initrd, url)),
      commandLine: this.#commandLine(token, `${url}/config.yaml`),
      message: this.#message(),
    };
    return { type: "text/plain; charset=utf-8", body: bootIpxeScript(boot, `${url}/boot.ipxe`) };
  }

  /** For a machine that tells no MAC address; several of them may stand behind one address, and each asks once. */
  async enrolDocument(from: string): Promise<BootAnswer> {
    const token = await this.#token("document", { mac: undefined, from }, { who: from, machineUuid: undefined });
    return { type: "application/yaml", body: bootDocument({ ...this.#options.document, token: token.text }) };
  }

  #commandLine({ text: token }: HandedToken, document: string): string {
    const { words, caSha256 } = this.#options;
    return commandLine({ words, document, caSha256, token });
  }

  #message(): string {
    return `metal-rivet: this machine and its BMC are made known to ${this.#options.document.service}`;
  }

  /** Holds the question against limit and --allow, and then asks the service. */
  async #token(road: BootRoad, asker: Asker, wanted: TokenFor): Promise<HandedToken> {
    const { tokens, metrics, log } = this.#options;
    const { mac, from } = asker;
    const seconds = this.#buckets.take(from);
    if (seconds > 0) {
      throw new BootRefusal(429, "flood", `too many boots are asked for from ${from}; try again in ${seconds} s`);
    }
    if (!(await this.#allows(asker))) throw notAllowed(wanted.who);
    try {
      const token = await (road === "document" ? tokens.another(wanted) : tokens.forMachine(wanted));
      metrics.token(token.isNew ? "new" : "again");
      const { id, isNew } = token;
      log.info({ road, mac, uuid: wanted.machineUuid, from, token: id, isNew }, "boot");
      return token;
    } catch (error) {
      if (!(error instanceof NoTokenError)) throw error;
      this.#options.sampled.warn("no token", { road, mac, from, problem: error.message }, "no token");
      const problem = "the BMC service makes no token now; the log of bmc-service boot-api says why";
      throw new BootRefusal(503, "no_token", problem);
    }
  }

  async #allows(asker: Asker): Promise<boolean> {
    try {
      return await isAllowed(this.#options.allow, asker, new Date());
    } catch (error) {
      if (!(error instanceof LeaseFileError)) throw error;
      this.#options.sampled.warn("leases", { problem: error.message }, "leases cannot be read");
      const problem = "the leases cannot be read now; the log of bmc-service boot-api says why";
      throw new BootRefusal(503, "no_leases", problem);
    }
  }
}

function notAllowed(who: string): BootRefusal {
  const problem = `${who} is not to be booted: no --allow of bmc-service boot-api covers it`;
  return new BootRefusal(404, "not_allowed", problem);
}

/** @param text with colons, hyphens, or (iPXE's hexraw) nothing between the pairs */
function requireMac(text: string): string {
  const mac = parseMac(/^[0-9a-f]{12}$/i.test(text) ? text.replace(/..(?=.)/g, "$&:") : text);
  const problem = mac === undefined ? "six pairs of hexadecimal digits are expected" : macProblem(mac);
  if (mac !== undefined && problem === undefined) return formatMac(mac);
  const shown = JSON.stringify(text.slice(0, 40));
  throw new BootRefusal(400, "bad_request", `${shown} is no MAC address of a machine: ${problem}`);
}

function absolute(url: string, base: string): string {
  return url.startsWith("/") ? `${base}${url}` : url;
}
