import { type KeyObject, randomBytes, randomInt } from "node:crypto";
import { DecodeError } from "../../ipmi/errors.ts";
import { type CipherSuite, suiteOf } from "./cipher-suite.ts";
import { decodeOpenSessionResponse, decodeRefused, encodeOpenSessionRequest, encodeRefused } from "./open-session.ts";
import { decodePacket, encodePacket20, type PayloadType } from "./packet.ts";
import { decodeRakp2, decodeRakp4, encodeRakp1, encodeRakp3 } from "./rakp.ts";
import { ask, type Link, Silence } from "./retransmission.ts";
import { rmcpStatus, SessionError, type SessionStatus, verdictOn } from "./session-error.ts";
import {
  type Negotiation,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  type SessionKeys,
  sameCode,
  sessionKeys,
} from "./session-keys.ts";

/** Who logs in, and how. */
export interface Login {
  /** 0-16 bytes. */
  readonly user: Uint8Array;
  /** For messages. */
  readonly userName: string;
  readonly password: KeyObject;
  /** K_G, if the BMC has one. IPMI 2.0 calls that a two-key login. */
  readonly channelKey: KeyObject | undefined;
  /** Requested privilege level, 1-5. */
  readonly privilege: number;
  /** Role bit 4: find the user by name alone (true), or by name and privilege. IPMI 2.0 §13.20. */
  readonly byNameOnly: boolean;
  /** Best first. */
  readonly suites: readonly CipherSuite[];
  /** For each message of the login, ms. */
  readonly waitsMs: readonly number[];
}

/** A session that has begun: keys and ids. */
export interface Established {
  readonly suite: CipherSuite;
  readonly keys: SessionKeys;
  readonly consoleSessionId: number;
  readonly bmcSessionId: number;
}

/** One attempt ended without a session, and another one may succeed. */
interface Setback {
  readonly next: "next suite" | "start again" | "name the privilege";
  readonly error: SessionError;
}

/**
 * Open Session, RAKP 1 to 4, for each cipher suite in turn until one is agreed. IPMI 2.0 §13.15 to §13.23.
 * When the BMC forgot the half-open session, or RAKP 1 or 3 stayed without an answer, it begins once more: some BMCs do
 * not answer a RAKP message that comes twice. So it does with a BMC that computes its codes with the privilege of Open
 * Session instead of RAKP 1's (Supermicro X8DTH, Intel S5500WBV and S2600JF, Dell C5220): then both name the same one.
 * @throws SessionError
 * @throws TransportError when the signal ended the wait, or the network refused
 */
export async function login(link: Link, who: Login, signal: AbortSignal): Promise<Established> {
  const refusals: SessionError[] = [];
  for (const suite of who.suites) {
    let outcome = await loginOnce(link, who, suite, highestPrivilege, signal);
    if ("error" in outcome && outcome.next !== "next suite") {
      const maximumPrivilege = outcome.next === "name the privilege" ? who.privilege : highestPrivilege;
      outcome = await loginOnce(link, who, suite, maximumPrivilege, signal);
    }
    if (!("error" in outcome)) return outcome;
    if (outcome.next !== "next suite") throw outcome.error;
    refusals.push(outcome.error);
  }
  for (const status of tellingFirst) {
    const refusal = refusals.find((each) => each.status === status);
    if (refusal !== undefined) throw refusal;
  }
  throw new SessionError(link.name, "no cipher suite in common", "the caller allows none");
}

/** "As high as the suite goes", in Open Session. The role is asked for in RAKP 1. IPMI 2.0 §13.17. */
const highestPrivilege = 0;

/** When each suite was refused for a reason of its own: the reason that says most. */
const tellingFirst = [
  "insufficient privilege",
  "no free session",
  // Before the refusals: the suite whose question or answer was lost may be the one that the BMC speaks.
  "no answer",
  "no cipher suite in common",
  "protocol",
] as const satisfies readonly SessionStatus[];

async function loginOnce(
  link: Link,
  who: Login,
  suite: CipherSuite,
  maximumPrivilege: number,
  signal: AbortSignal,
): Promise<Established | Setback> {
  const attempt = new Attempt(link, who, signal);
  const opened = await attempt.openSession(suite, maximumPrivilege);
  if ("error" in opened) return opened;
  const exchanged = await attempt.rakp12(opened);
  if ("error" in exchanged) return exchanged;
  return attempt.rakp34(exchanged);
}

/** The messages of one login, in their order; each step takes what the one before it learned. */
class Attempt {
  readonly #link: Link;
  readonly #who: Login;
  readonly #signal: AbortSignal;
  readonly #consoleSessionId = randomInt(1, 2 ** 32);
  #tag = randomInt(0, 256);

  constructor(link: Link, who: Login, signal: AbortSignal) {
    this.#link = link;
    this.#who = who;
    this.#signal = signal;
  }

  /** IPMI 2.0 §13.17, §13.18. */
  async openSession(
    suite: CipherSuite,
    maximumPrivilege: number,
  ): Promise<Setback | { suite: CipherSuite; bmcSessionId: number }> {
    const { authentication, integrity, confidentiality } = suite;
    const request = {
      maximumPrivilege,
      consoleSessionId: this.#consoleSessionId,
      ...{ authentication, integrity, confidentiality },
    };
    const payload = await this.#ask("openSessionResponse", "openSessionRequest", (tag) =>
      encodeOpenSessionRequest({ tag, ...request }),
    );
    // Some BMCs do not answer an algorithm that they do not know.
    if (payload instanceof Silence) {
      const problem = `${silentAtOpenSession} for cipher suite ${suite.id}: some stay silent on one that they lack. Or packets are lost`;
      return this.#setback("next suite", "no answer", problem, payload);
    }
    const response = this.#decode(() => decodeOpenSessionResponse(payload));
    if ("refusal" in response) return this.#notOpened(response.refusal, suite);
    if (response.bmcSessionId === 0) throw this.#error("protocol", "the BMC opened session 0, which means no session");
    const agreed = suiteOf(response.authentication, response.integrity, response.confidentiality);
    // A BMC that speaks one suite only may answer with that one, whatever was asked.
    if (agreed === undefined || !this.#who.suites.includes(agreed)) {
      const algorithms = `${response.authentication}/${response.integrity}/${response.confidentiality}`;
      const problem = `asked for cipher suite ${suite.id}, the BMC chose the algorithms ${algorithms}, which are not allowed`;
      return this.#setback("next suite", "no cipher suite in common", problem);
    }
    return { suite: agreed, bmcSessionId: response.bmcSessionId };
  }

  /** IPMI 2.0 §13.20, §13.21. */
  async rakp12({ suite, bmcSessionId }: { suite: CipherSuite; bmcSessionId: number }): Promise<Setback | Negotiation> {
    const { user, byNameOnly, privilege } = this.#who;
    const role = privilege | (byNameOnly ? 0x10 : 0);
    const consoleRandom = randomBytes(16);
    const payload = await this.#ask("rakp2", "rakp1", (tag) =>
      encodeRakp1({ tag, bmcSessionId, consoleRandom, role, user }),
    );
    if (payload instanceof Silence) return this.#setback("start again", "no answer", silentAtRakp1, payload);
    const message = this.#decode(() => decodeRakp2(payload, suite.hashBytes));
    if ("refusal" in message) return this.#refused("RAKP Message 2", message.refusal, suite);
    const { bmcRandom, bmcGuid, code } = message;
    const consoleSessionId = this.#consoleSessionId;
    const negotiation = { suite, consoleSessionId, bmcSessionId, consoleRandom, bmcRandom, bmcGuid, role, user };
    if (!sameCode(rakp2Code(negotiation, this.#who.password), code)) {
      await this.#giveUp(bmcSessionId);
      const problem = this.#wrongPassword("the authentication code of RAKP Message 2 does not match");
      const asOpened = { ...negotiation, role: (role & 0xf0) | highestPrivilege };
      if (sameCode(rakp2Code(asOpened, this.#who.password), code)) {
        return this.#setback("name the privilege", "wrong password", problem);
      }
      throw this.#error("wrong password", problem);
    }
    return negotiation;
  }

  /** IPMI 2.0 §13.22, §13.23. */
  async rakp34(negotiation: Negotiation): Promise<Setback | Established> {
    const { suite, bmcSessionId, consoleSessionId } = negotiation;
    const { password, channelKey } = this.#who;
    const code = rakp3Code(negotiation, password);
    const payload = await this.#ask("rakp4", "rakp3", (tag) => encodeRakp3({ tag, status: 0, bmcSessionId, code }));
    if (payload instanceof Silence) return this.#setback("start again", "no answer", silentAtRakp3, payload);
    const message = this.#decode(() => decodeRakp4(payload, suite.integrityBytes));
    if ("refusal" in message) return this.#refused("RAKP Message 4", message.refusal, suite);
    const keys = sessionKeys(negotiation, channelKey ?? password);
    if (!sameCode(rakp4Code(negotiation, keys.sessionIntegrityKey), message.code)) {
      const given = channelKey === undefined ? "none was given" : "the one given is another";
      throw this.#error(
        "wrong K_g",
        `the password is right, but the BMC's key K_G is not: ${given}. Give the BMC's K_G`,
      );
    }
    return { suite, keys, consoleSessionId, bmcSessionId };
  }

  /** Sends one message of the login; a Silence is returned, because what it means differs. */
  async #ask(
    answer: PayloadType,
    question: PayloadType,
    encode: (tag: number) => Uint8Array,
  ): Promise<Uint8Array | Silence> {
    this.#tag = (this.#tag + 1) % 256;
    const tag = this.#tag;
    // A retransmission is the same message, tag included. IPMI 2.0 §13.17.
    const datagram = encodePacket20(question, encode(tag));
    const accept = (received: Uint8Array) => {
      const packet = decodePacket(received);
      if (packet.format !== "2.0" || packet.payloadType !== answer) return undefined;
      const refused = decodeRefused(packet.payload, answerNames[answer] ?? answer);
      // In a refusal some BMCs leave the session id 0.
      const forUs = refused !== undefined || readConsoleSessionId(packet.payload) === this.#consoleSessionId;
      return packet.payload[0] === tag && forUs ? packet.payload : undefined;
    };
    const what = answerNames[answer] ?? answer;
    try {
      return await ask(
        this.#link,
        { what, datagram: () => datagram, accept, waitsMs: this.#who.waitsMs },
        this.#signal,
      );
    } catch (error) {
      if (error instanceof Silence) return error;
      throw error;
    }
  }

  /** Tells the BMC, so that it can free the half-open session at once. Not answered, and losing it does no harm. */
  async #giveUp(bmcSessionId: number): Promise<void> {
    this.#tag = (this.#tag + 1) % 256;
    const refusal = encodeRefused({ tag: this.#tag, refusal: 0x0f }, bmcSessionId);
    await this.#link.datagrams.send(encodePacket20("rakp3", refusal)).catch(() => undefined);
  }

  /**
   * Nobody has been named yet, so that whatever the status says may be about the suite: boards were seen to answer 01h
   * (Intel M50CYP), 0Ah (Supermicro X8DTG) and 12h (MSI MS-91D2) to a suite that they do not speak or have disabled.
   */
  #notOpened(status: number, suite: CipherSuite): Setback {
    try {
      return this.#refused("Open Session", status, suite);
    } catch (error) {
      if (error instanceof SessionError) return { next: "next suite", error };
      throw error;
    }
  }

  #refused(message: string, status: number, suite: CipherSuite): Setback {
    const verdict = verdictOn(status);
    const said = `the BMC answered ${message} with status ${rmcpStatus(status)}`;
    switch (verdict) {
      case "next suite":
        return this.#setback("next suite", "no cipher suite in common", `${said} to cipher suite ${suite.id}`);
      case "start again":
        return this.#setback("start again", "protocol", `${said}, twice: it forgets half-open sessions`);
      case "insufficient privilege":
        // The limit may be the suite's, not the user's. IPMI 2.0 §13.18, "maximum privilege level".
        return this.#setback("next suite", "insufficient privilege", `${said}: ${this.#insufficient(status)}`);
      case "unknown user":
        throw this.#error(
          "unknown user",
          `${said}. User "${this.#who.userName}" does not exist there, is disabled, or may not use the LAN channel`,
        );
      case "wrong password":
        throw this.#error("wrong password", this.#wrongPassword(said));
      case "no free session":
        throw this.#error("no free session", `${said}. Close other sessions, or wait a minute until idle ones end`);
      case "no cipher suite in common":
      case "protocol":
        throw this.#error("protocol", said);
      default:
        throw verdict satisfies never;
    }
  }

  #insufficient(status: number): string {
    const user = `user "${this.#who.userName}"`;
    // OpenBMC has this one status for all of them.
    const others = status === invalidRole ? `, or is disabled, or has no access to this LAN channel` : "";
    return `${user} may not log in with privilege level ${this.#who.privilege}${others}. Ask for a lower one, or raise the user's limit`;
  }

  #wrongPassword(found: string): string {
    return `${found}. Check the password of user "${this.#who.userName}"; a BMC that keeps 16 bytes does not know one of 20`;
  }

  #setback(next: Setback["next"], status: SessionError["status"], problem: string, cause?: Error): Setback {
    return { next, error: this.#error(status, problem, cause) };
  }

  #error(status: SessionError["status"], problem: string, cause?: unknown): SessionError {
    return new SessionError(this.#link.name, status, problem, cause === undefined ? undefined : { cause });
  }

  #decode<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (error instanceof DecodeError) throw this.#error("protocol", error.message, error);
      throw error;
    }
  }
}

/** IPMI 2.0 table 13-15. */
const invalidRole = 0x09;

const answerNames: Partial<Record<PayloadType, string>> = {
  openSessionResponse: "RMCP+ Open Session Response",
  rakp2: "RAKP Message 2",
  rakp4: "RAKP Message 4",
};

const silentAtOpenSession = "the BMC answers outside sessions, but not RMCP+ Open Session Request";
const silentAtRakp1 =
  "the BMC opened a session, then did not answer RAKP Message 1: some stay silent for a user they do not know";
const silentAtRakp3 =
  "the BMC did not answer RAKP Message 3: some stay silent for a wrong password or a wrong K_G. Or packets are lost";

/** Bytes 4-7 of every answer of the login. */
function readConsoleSessionId(payload: Uint8Array): number {
  return payload.length < 8 ? 0 : new DataView(payload.buffer, payload.byteOffset).getUint32(4, true);
}
