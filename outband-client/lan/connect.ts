import { createSecretKey, type KeyObject } from "node:crypto";
import { send } from "../../ipmi/command.ts";
import {
  cipherSuiteBytesPerAnswer,
  getChannelAuthenticationCapabilities,
  getChannelCipherSuites,
  parseCipherSuiteRecords,
  setSessionPrivilegeLevel,
} from "../../ipmi/commands/index.ts";
import { CompletionCodeError, DecodeError, EncodeError, TransportError } from "../../ipmi/errors.ts";
import { type PrivilegeLevel, privilegeLevels } from "../../ipmi/privilege-level.ts";
import { type CipherSuite, type CipherSuiteId, cipherSuites, suiteOf } from "./cipher-suite.ts";
import type { Datagram } from "./datagram.ts";
import { LanSession, type LoginPrivilege, type SessionTimeouts } from "./lan-session.ts";
import { login } from "./login.ts";
import { MAX_USER_BYTES } from "./rakp.ts";
import type { Link } from "./retransmission.ts";
import { RMCP_PORT } from "./rmcp.ts";
import { SessionError } from "./session-error.ts";
import { openLink, Sessionless, sessionlessWaitsMs } from "./sessionless.ts";

/** All in ms. */
export interface LanTimeouts extends SessionTimeouts {
  /** For the whole login, from the first datagram to the raised privilege. */
  readonly loginMs: number;
  /** For each message of the login: sent again after each but the last. */
  readonly handshakeMs: readonly number[];
  /** For Get Channel Cipher Suites, which not every BMC answers. */
  readonly cipherSuitesMs: number;
}

export const defaultTimeouts: LanTimeouts = {
  loginMs: 30_000,
  handshakeMs: sessionlessWaitsMs,
  cipherSuitesMs: 1000,
  // 5 s a request were measured on a slow OpenBMC. With one datagram in ten lost, one request in 770 stays unanswered.
  requestMs: [2000, 3000, 4000, 6000],
  // Half of the shortest time-out seen, 30 s.
  keepAliveMs: 15_000,
  closeMs: 1000,
};

export interface LanOptions {
  /** An IPv4 or IPv6 address, or a name. */
  readonly host: string;
  /** UDP port, default 623. */
  readonly port?: number;
  /** At most 16 characters of ISO 8859-1; "" is the null user. */
  readonly user: string;
  /** 0-20 bytes; taken as a key object, no reference is kept. A BMC keeps 16 or 20 of them: never cut here. */
  readonly password: Uint8Array;
  /** Default administrator. */
  readonly privilege?: LoginPrivilege;
  /** K_G of the BMC, 1-20 bytes, if it has one. All zeros is the same as none. IPMI 2.0 §13.33. */
  readonly kg?: Uint8Array;
  /** How the BMC finds the user: by name alone (default), or the first with that name and this privilege. */
  readonly lookup?: "name" | "name and privilege";
  /** Allowed cipher suites; the best that the BMC speaks too is taken. Default 17 and 3. */
  readonly cipherSuites?: readonly CipherSuiteId[];
  readonly timeouts?: Partial<LanTimeouts>;
  readonly signal: AbortSignal;
  /** Instead of a UDP socket; closed with the session. */
  readonly datagram?: Datagram;
}

/**
 * Logs in to a BMC over IPMI 2.0 RMCP+ and raises the session to the privilege asked for. IPMI 2.0 §13.15 to §13.23.
 * @throws SessionError with a `status` that says why there is no session
 * @throws EncodeError for a user name, password or K_G that does not fit; nothing was sent
 * @throws TransportError when the signal ended the wait; its reason is the cause
 */
export async function connectLan(options: LanOptions): Promise<LanSession> {
  const user = userBytes(options.user);
  const password = secretKey("password", options.password);
  const channelKey = options.kg === undefined || isZero(options.kg) ? undefined : secretKey("K_G", options.kg);
  const allowed = cipherSuites.filter((each) => options.cipherSuites?.includes(each.id) ?? true);
  const timeouts: LanTimeouts = { ...defaultTimeouts, ...options.timeouts };
  const privilege = options.privilege ?? "administrator";

  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new Error(`no session within ${timeouts.loginMs / 1000} s`)),
    timeouts.loginMs,
  );
  const signal = AbortSignal.any([options.signal, limit.signal]);
  let link: Link | undefined;
  let session: LanSession | undefined;
  try {
    link = await openLink(options.host, options.port ?? RMCP_PORT, options.datagram, signal);
    await checkAuthenticationCapabilities(link, privilege, timeouts, signal);
    const suites = await orderSuites(link, allowed, timeouts, signal);
    const who = {
      user,
      userName: options.user,
      password,
      channelKey,
      privilege: privilegeLevels[privilege],
      byNameOnly: options.lookup !== "name and privilege",
      suites,
      waitsMs: timeouts.handshakeMs,
    };
    session = new LanSession(link, await login(link, who, signal), privilege, timeouts);
    await raisePrivilege(session, privilege, options.user, signal);
    return session;
  } catch (error) {
    await (session === undefined ? link?.datagrams.close() : session[Symbol.asyncDispose]());
    // The caller's own signal is no fact about the BMC; everything else that was lost is.
    if (error instanceof TransportError && !options.signal.aborted) {
      const problem = error.message.startsWith(error.transport)
        ? error.message.slice(error.transport.length + 2)
        : error.message;
      const limited = limit.signal.aborted ? ` (the login's limit of ${timeouts.loginMs / 1000} s)` : "";
      const advice = "Check address and network, and whether IPMI over LAN is enabled on the BMC";
      throw new SessionError(error.transport, "no answer", `${problem}${limited}. ${advice}`, { cause: error });
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The first question that any BMC answers; tells those apart that do not speak IPMI 2.0. IPMI 2.0 §13.15, §22.13. */
async function checkAuthenticationCapabilities(
  link: Link,
  privilege: LoginPrivilege,
  timeouts: LanTimeouts,
  signal: AbortSignal,
): Promise<void> {
  const transport = new Sessionless(link, timeouts.handshakeMs);
  const request = { channel: { ipmi20: true, number: 0x0e }, privilegeLevel: privilege };
  try {
    const capabilities = await send(transport, getChannelAuthenticationCapabilities, request, signal);
    if (capabilities.authenticationTypes.ipmi20 && !capabilities.supports.ipmi20) {
      throw new SessionError(link.name, "protocol", "the BMC speaks IPMI 1.5 only: RMCP+ needs IPMI 2.0");
    }
  } catch (error) {
    // It answers: whether it speaks RMCP+, Open Session will show.
    if (error instanceof CompletionCodeError || error instanceof DecodeError) return;
    throw error;
  }
}

/**
 * Those that the BMC lists come first. The others are tried after them: lists are wrong on some BMCs (iLO 5 3.05 hides
 * suites, HP DL145 miscounts), and some BMCs do not answer.
 */
async function orderSuites(
  link: Link,
  allowed: readonly CipherSuite[],
  timeouts: LanTimeouts,
  signal: AbortSignal,
): Promise<readonly CipherSuite[]> {
  if (allowed.length < 2) return allowed;
  const transport = new Sessionless(link, [timeouts.cipherSuitesMs]);
  const data: number[] = [];
  try {
    // 64 list indices of 16 bytes are all there can be.
    for (let index = 0; index < 64; index += 1) {
      const request = { channelNumber: 0x0e, payloadType: "ipmi", list: { byCipherSuite: true, index } } as const;
      const { records } = await send(transport, getChannelCipherSuites, request, signal);
      data.push(...records);
      if (records.length < cipherSuiteBytesPerAnswer) break;
    }
    const records = parseCipherSuiteRecords(Uint8Array.from(data));
    const listed = allowed.filter((each) =>
      records.some(({ authentication, integrity, confidentiality }) =>
        integrity.some((i) => confidentiality.some((c) => suiteOf(authentication, i, c)?.id === each.id)),
      ),
    );
    return [...listed, ...allowed.filter((each) => !listed.includes(each))];
  } catch (error) {
    if (signal.aborted) throw error;
    const unanswered = error instanceof TransportError || error instanceof CompletionCodeError;
    if (unanswered || error instanceof DecodeError) return allowed;
    throw error;
  }
}

/** A session begins at User. IPMI 2.0 §22.18. */
async function raisePrivilege(
  session: LanSession,
  privilege: LoginPrivilege,
  user: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const raised = await send(session, setSessionPrivilegeLevel, { privilegeLevel: privilege }, signal);
    const level = levelNumber(raised.privilegeLevel);
    // 0 and OEM numbers say nothing; a lower level is a refusal that was answered with 00h.
    if (level > 0 && level < privilegeLevels[privilege]) {
      const problem = `user "${user}" asked to become ${privilege}, the BMC answered with level ${level}`;
      throw new SessionError(session.name, "insufficient privilege", `${problem}. ${privilegeAdvice}`);
    }
  } catch (cause) {
    if (cause instanceof DecodeError) throw new SessionError(session.name, "protocol", cause.message, { cause });
    if (!(cause instanceof CompletionCodeError)) throw cause;
    if (cause.completionCode !== 0x80 && cause.completionCode !== 0x81) {
      throw new SessionError(session.name, "protocol", cause.message, { cause });
    }
    const problem = `user "${user}" logged in, but may not become ${privilege}: ${cause.message}`;
    throw new SessionError(session.name, "insufficient privilege", `${problem}. ${privilegeAdvice}`, { cause });
  }
}

const privilegeAdvice = "Ask for a lower level, or raise the user's or the channel's limit";

function levelNumber(level: PrivilegeLevel): number {
  return typeof level === "number" ? level : privilegeLevels[level];
}

function userBytes(user: string): Uint8Array {
  const wide = [...user].some((each) => (each.codePointAt(0) ?? 0) > 0xff);
  if (wide) throw new EncodeError("user name", "a character does not fit into one byte");
  if (user.length > MAX_USER_BYTES) {
    throw new EncodeError("user name", `${user.length} characters do not fit into ${MAX_USER_BYTES} bytes`);
  }
  return Uint8Array.from(Buffer.from(user, "latin1"));
}

function secretKey(what: string, bytes: Uint8Array): KeyObject {
  if (bytes.length > 20) throw new EncodeError(what, `${bytes.length} bytes do not fit into 20`);
  return createSecretKey(bytes);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((each) => each === 0);
}
