// imported up here, because import() of node:http evaluates all that it exports, WebSocket with it: 33 ms
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import { ConfigError } from "./config-error.ts";
import { maxDocumentBytes } from "./document.ts";
import { withoutCredentials } from "./document-location.ts";

/** The document's server could not be reached within the limit, or kept failing. Exit code 69: run again. */
export class DocumentUnavailableError extends Error {
  override readonly name = "DocumentUnavailableError";
  readonly code = "unavailable";
}

/** What time it was when the document came, as its server says. */
export interface DocumentDate {
  readonly date: Date;
  /** When it came, as performance.now() told it. */
  readonly readAtMs: number;
  /** "10.0.0.1:8080" */
  readonly server: string;
}

export interface FetchDocumentOptions {
  /** Time for all attempts together. */
  readonly limitMs: number;
  /** Time for one attempt, connection and answer. */
  readonly attemptMs?: number;
  /** Said before each wait. */
  readonly onRetry?: (attempt: number, waitMs: number, reason: string) => void;
  /** Told when the document came, if its server tells the time. RFC 9110 §6.6.1. */
  readonly onDate?: (date: DocumentDate) => void;
  /** http://HOST:PORT, with user and password if it wants them. */
  readonly proxy?: string | undefined;
  readonly signal?: AbortSignal;
}

/**
 * GETs a document by http:// or https:// (public authorities). No answer, 408, 429 and 5xx are tried again with growing waits and
 * jitter (0.5 s to 10 s); everything else is a mistake: ConfigError at once, CertificateError for a certificate that does not hold.
 * Reads at most `maxDocumentBytes` and follows at most 5 redirections.
 */
export async function fetchDocument(url: string, options: FetchDocumentOptions): Promise<Uint8Array> {
  const { default: pRetry, AbortError } = await import("p-retry");
  const limit = AbortSignal.timeout(options.limitMs);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  const shown = withoutCredentials(url);
  const none = "no attempt ended";
  let last = none;
  try {
    return await pRetry(
      async () => {
        try {
          const attempt = AbortSignal.any([signal, AbortSignal.timeout(options.attemptMs ?? 15_000)]);
          return await fetchOnce(url, attempt, options);
        } catch (error) {
          if (error instanceof ConfigError) throw new AbortError(error);
          // the limit cuts off an attempt: the one before says more
          if (!signal.aborted || last === none) last = reasonOf(error);
          throw new Error(last, { cause: error });
        }
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 500,
        maxTimeout: 10_000,
        factor: 2,
        randomize: true,
        signal,
        onFailedAttempt: ({ attemptNumber, retryDelay }) => options.onRetry?.(attemptNumber, retryDelay, last),
      },
    );
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    options.signal?.throwIfAborted();
    throw new DocumentUnavailableError(
      `document ${shown}: not read within ${options.limitMs / 1000} s: ${last}; check the URL and that its server runs`,
      { cause: error },
    );
  }
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly date: string | undefined;
  readonly via: string | undefined;
  readonly body: Uint8Array;
}

async function fetchOnce(
  url: string,
  signal: AbortSignal,
  { onDate, proxy }: Pick<FetchDocumentOptions, "onDate" | "proxy">,
): Promise<Uint8Array> {
  let target = new URL(url);
  for (let redirections = 0; ; redirections++) {
    const shown = withoutCredentials(target.href);
    const get = target.protocol === "https:" ? getSecure : getPlain;
    const hop = proxy === undefined ? undefined : (await import("./proxy-hop.ts")).proxyHop(proxy, target);
    const { status, location, date, via, body } = await new Promise<Answer>((resolve, reject) => {
      const request = get(
        target,
        { signal, ...(hop && { agent: hop.agent }), headers: { accept: "application/yaml, application/json, */*" } },
        (answer) => {
          const chunks: Buffer[] = [];
          let length = 0;
          answer.on("data", (chunk: Buffer) => {
            length += chunk.length;
            if (length > maxDocumentBytes) {
              reject(new ConfigError(`document ${shown}`, "document", `is larger than ${maxDocumentBytes} bytes`));
              answer.destroy();
            } else chunks.push(chunk);
          });
          answer.on("error", reject);
          answer.on("end", () => {
            const { location, date, via } = answer.headers;
            const body = Buffer.concat(chunks);
            // It may hold a private key and a token.
            for (const chunk of chunks) chunk.fill(0);
            resolve({ status: answer.statusCode ?? 0, body, location, date, via });
          });
        },
      );
      request.on("error", (error) => {
        if (isOfCertificate(error)) reject(error);
        else reject(hop && !signal.aborted ? hop.explain(error) : error);
      });
    }).catch(async (error: Error) => {
      if (!isOfCertificate(error)) throw error;
      const { certificateError } = await import("./server-certificate.ts");
      throw await certificateError(target, error, hop === undefined, signal);
    });
    if (status === 200) {
      const time = Date.parse(date ?? "");
      if (!Number.isNaN(time)) onDate?.({ date: new Date(time), readAtMs: performance.now(), server: target.host });
      return body;
    }
    if ([301, 302, 303, 307, 308].includes(status) && location && redirections < 5) {
      const next = URL.parse(location, target);
      if (!next || !/^https?:$/.test(next.protocol) || (target.protocol === "https:" && next.protocol === "http:")) {
        throw new ConfigError(`document ${shown}`, "document", "redirects to something that is not allowed");
      }
      target = next;
      continue;
    }
    const refusal = hop?.refusal(status, via);
    if (refusal !== undefined) throw refusal;
    const reason = `${hop?.whoAnswers(via) ?? "the server"} answers ${status}`;
    if (status === 408 || status === 429 || status >= 500) throw new Error(reason);
    throw new ConfigError(`document ${shown}`, "document", `${reason}; check the URL`);
  }
}

/** Whether verification refused the certificate of the server: OpenSSL's names, and Node's for another host name. */
const isOfCertificate = ({ code = "" }: NodeJS.ErrnoException): boolean =>
  /^(CERT|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|ERR_TLS_CERT)_/.test(`${code}_`);

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  if (!(inner instanceof Error)) return String(inner);
  // Node adds its own end of a connection that was never made: " - Local (0.0.0.0:0)"
  return inner.message.replace(/ - Local \(.*\)$/, "") || String((inner as NodeJS.ErrnoException).code);
}
