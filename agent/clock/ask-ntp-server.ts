import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { decodeSntpReply, encodeSntpRequest, nonceBytes } from "./sntp-message.ts";

const standardPort = 123;
const questions = 3;
const defaultWaitMs = 2_000;

/** No answer that tells the time. The message says which server and why. */
export class NtpError extends Error {
  override readonly name = "NtpError";
  readonly code = "ntp";
}

/**
 * Asks one server what time it is, three times at most. RFC 4330 §5; not authenticated.
 * @param server HOST, HOST:PORT, ADDRESS or [ADDRESS]:PORT
 * @param waitMs for each answer, in milliseconds
 * @returns the time now, later by half of the time that the answer took
 * @throws NtpError, or the signal's reason
 */
export async function askNtpServer(server: string, signal: AbortSignal, waitMs = defaultWaitMs): Promise<Date> {
  signal.throwIfAborted();
  const { host, port } = splitServer(server);
  const { address, family } = await lookup(host).catch((error: NodeJS.ErrnoException) => {
    throw new NtpError(`NTP server ${server}: its address is not found (${error.code ?? error.message})`);
  });
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  let abort = (): void => undefined;
  try {
    return await new Promise<Date>((resolve, reject) => {
      const fail = (why: string): void => reject(new NtpError(`NTP server ${server}: ${why}`));
      abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      let nonce = Buffer.alloc(0);
      let askedAt = 0;
      let asked = 0;
      const ask = (): void => {
        if (asked === questions) {
          fail(`no answer to ${questions} questions within ${(questions * waitMs) / 1000} s`);
          return;
        }
        asked += 1;
        nonce = randomBytes(nonceBytes);
        askedAt = performance.now();
        socket.send(encodeSntpRequest(nonce));
        timer = setTimeout(ask, waitMs);
      };
      let timer: NodeJS.Timeout | undefined;
      socket.once("close", () => clearTimeout(timer));
      socket.on("error", ({ message }) => fail(message));
      socket.on("message", (bytes) => {
        const tookMs = performance.now() - askedAt;
        const reply = readReply(bytes, nonce);
        if (reply?.kind === "refused") fail(reply.why);
        if (reply?.kind === "time") resolve(new Date(reply.time.getTime() + tookMs / 2));
      });
      // a connected socket hears nobody but that server, and of a port that is closed
      socket.connect(port, address, ask);
    });
  } finally {
    signal.removeEventListener("abort", abort);
    socket.close();
  }
}

/** Something shorter than an answer is no answer: the right one may still come. */
function readReply(bytes: Uint8Array, nonce: Uint8Array): ReturnType<typeof decodeSntpReply> {
  try {
    return decodeSntpReply(bytes, nonce);
  } catch {
    return undefined;
  }
}

function splitServer(server: string): { host: string; port: number } {
  const [, bracketed, name, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? [];
  return { host: bracketed ?? name ?? server, port: port === undefined ? standardPort : Number(port) };
}
