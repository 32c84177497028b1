import { createSecretKey, type KeyObject, randomBytes, randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import {
  closeSession,
  getChannelAuthenticationCapabilities,
  getChannelCipherSuites,
  getSystemGuid,
  setSessionPrivilegeLevel,
} from "../../ipmi/commands/index.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import { privilegeLevels } from "../../ipmi/privilege-level.ts";
import type { Message, Reply } from "../../ipmi/transport.ts";
import { type CipherSuite, cipherSuites } from "../../outband-client/lan/cipher-suite.ts";
import { decodeRequest, encodeResponse } from "../../outband-client/lan/lan-message.ts";
import {
  decodeOpenSessionRequest,
  encodeOpenSessionResponse,
  encodeRefused,
} from "../../outband-client/lan/open-session.ts";
import { decodePacket, encodePacket15, encodePacket20, type PayloadType } from "../../outband-client/lan/packet.ts";
import { decodeRakp1, decodeRakp3, encodeRakp2, encodeRakp4 } from "../../outband-client/lan/rakp.ts";
import { decodePing, encodePong } from "../../outband-client/lan/rmcp.ts";
import { Seal } from "../../outband-client/lan/seal.ts";
import { OutboundSequence, SequenceWindow } from "../../outband-client/lan/sequence-window.ts";
import {
  type Negotiation,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  sameCode,
  sessionKeys,
} from "../../outband-client/lan/session-keys.ts";

/** Somebody who may log in to the simulated BMC. */
export interface LanUser {
  readonly name: string;
  readonly password: string;
  /** The user's limit on this channel, 1-5; 4 (administrator) by default. */
  readonly limit?: number;
  readonly enabled?: boolean;
}

export interface LanServerOptions {
  readonly users: readonly LanUser[];
  /** Default: both that are spoken here. */
  readonly suites?: readonly CipherSuite[];
  /** What Get Channel Cipher Suites tells, when it is not the truth; "silent" does not answer. */
  readonly listedSuites?: readonly CipherSuite[] | "silent";
  /** Does not answer Open Session with an algorithm that it does not know, instead of refusing it. */
  readonly silentOnUnknownSuite?: boolean;
  /** The status with which Open Session refuses a suite that it does not know, instead of 04h or 11h. */
  readonly unknownSuiteStatus?: number;
  /** Computes its codes with the privilege of Open Session instead of RAKP 1's, as Supermicro X8DTH does. */
  readonly codesWithOpenSessionPrivilege?: boolean;
  /** Answers Set Session Privilege Level with this level and 00h, whatever was asked. */
  readonly raisesTo?: number;
  readonly kg?: string;
  /** 16 bytes, as on the wire. */
  readonly guid?: Uint8Array;
  /** Default 4. */
  readonly maxSessions?: number;
  /** Refuses a level above the user's limit only when the session is raised, not in RAKP 2. */
  readonly lateLimit?: boolean;
  /** The commands behind the session. */
  readonly handle: (message: Message) => Reply;
}

interface Session {
  readonly suite: CipherSuite;
  readonly consoleSessionId: number;
  readonly bmcSessionId: number;
  /** The privilege that Open Session asked for; 0 is the highest. */
  readonly openedFor: number;
  user?: LanUser;
  negotiation?: Negotiation;
  seal?: Seal;
  role: number;
  readonly inbound: SequenceWindow;
  readonly outbound: OutboundSequence;
}

const invalidCommand: Reply = { completionCode: 0xc1, data: new Uint8Array(0) };

/**
 * The LAN face of a simulated BMC: presence ping, requests outside sessions, RMCP+ sessions. IPMI 2.0 §13.
 * Strict where the client must be right: codes, sequence numbers and addresses are checked, what is wrong is not answered.
 */
export class LanServer {
  readonly #options: LanServerOptions;
  readonly #suites: readonly CipherSuite[];
  readonly #guid: Uint8Array;
  readonly #sessions = new Map<number, Session>();
  /** Every session command that was executed, in order. */
  readonly executed: Message[] = [];

  constructor(options: LanServerOptions) {
    this.#options = options;
    this.#suites = options.suites ?? cipherSuites;
    this.#guid = options.guid ?? Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  }

  /** Sessions that are open, half-open ones included. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** The answer to one datagram; undefined where a BMC keeps silent. */
  receive(datagram: Uint8Array): Uint8Array | undefined {
    try {
      return datagram[3] === 0x06
        ? encodePong({ tag: decodePing(datagram), ipmi: true, asf: true })
        : this.#packet(datagram);
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  #packet(datagram: Uint8Array): Uint8Array | undefined {
    const packet = decodePacket(datagram);
    if (packet.format === "1.5") return this.#sessionless(packet.payload);
    switch (packet.payloadType) {
      case "openSessionRequest":
        return this.#openSession(packet.payload);
      case "rakp1":
        return this.#rakp1(packet.payload);
      case "rakp3":
        return this.#rakp3(packet.payload);
      case "ipmi":
        return this.#inSession(packet.sessionId, datagram);
      case "sol":
      case "openSessionResponse":
      case "rakp2":
      case "rakp4":
        return undefined;
      default:
        throw packet.payloadType satisfies never;
    }
  }

  #sessionless(payload: Uint8Array): Uint8Array | undefined {
    const request = decodeRequest(payload);
    const reply = this.#sessionlessReply(request);
    return reply === undefined ? undefined : encodePacket15(encodeResponse({ ...request, ...reply }));
  }

  #sessionlessReply({ netFn, cmd, data }: Message): Reply | undefined {
    if (netFn !== 0x06) return undefined;
    if (cmd === getChannelAuthenticationCapabilities.cmd) {
      const nobody = { nonNullUsers: true, nullUsers: false, anonymous: false };
      const methods = { password: false, md5: false, md2: false, none: false, oem: false };
      return ok(
        getChannelAuthenticationCapabilities.encodeResponse({
          channelNumber: 1,
          authenticationTypes: { ipmi20: true, ...methods },
          login: {
            kgSet: this.#options.kg !== undefined,
            perMessageAuthentication: true,
            userLevelAuthentication: true,
            ...nobody,
          },
          supports: { ipmi20: true, ipmi15: false },
          oemId: 0,
          oemAuxiliary: 0,
        }),
      );
    }
    if (cmd === getChannelCipherSuites.cmd) {
      const listed = this.#options.listedSuites ?? this.#suites;
      if (listed === "silent") return undefined;
      const all = listed.flatMap((s) => [0xc0, s.id, s.authentication, 0x40 | s.integrity, 0x80 | s.confidentiality]);
      const start = 16 * getChannelCipherSuites.decodeRequest(data).list.index;
      const records = Uint8Array.from(all.slice(start, start + 16));
      return ok(getChannelCipherSuites.encodeResponse({ channelNumber: 1, records }));
    }
    return cmd === getSystemGuid.cmd ? ok(this.#guid) : undefined;
  }

  #openSession(payload: Uint8Array): Uint8Array | undefined {
    const request = decodeOpenSessionRequest(payload);
    const { tag, consoleSessionId, authentication, integrity, confidentiality } = request;
    const refuse = (refusal: number) =>
      encodePacket20("openSessionResponse", encodeRefused({ tag, refusal }, consoleSessionId));
    if (!this.#suites.some((each) => each.authentication === authentication)) {
      return this.#options.silentOnUnknownSuite === true ? undefined : refuse(this.#options.unknownSuiteStatus ?? 0x04);
    }
    const suite = this.#suites.find(
      (s) => s.authentication === authentication && s.integrity === integrity && s.confidentiality === confidentiality,
    );
    if (suite === undefined) return refuse(this.#options.unknownSuiteStatus ?? 0x11);
    if (this.#sessions.size >= (this.#options.maxSessions ?? 4)) return refuse(0x01);
    const bmcSessionId = randomInt(1, 2 ** 32);
    const numbers = { inbound: new SequenceWindow(), outbound: new OutboundSequence() };
    const openedFor = request.maximumPrivilege;
    this.#sessions.set(bmcSessionId, { suite, consoleSessionId, bmcSessionId, openedFor, role: 0, ...numbers });
    const maximumPrivilege = openedFor === 0 ? 4 : openedFor;
    const response = { status: 0, tag, maximumPrivilege, consoleSessionId, bmcSessionId } as const;
    return encodePacket20(
      "openSessionResponse",
      encodeOpenSessionResponse({ ...response, authentication, integrity, confidentiality }),
    );
  }

  #rakp1(payload: Uint8Array): Uint8Array | undefined {
    const { tag, bmcSessionId, consoleRandom, role, user: name } = decodeRakp1(payload);
    const session = this.#sessions.get(bmcSessionId);
    if (session === undefined) return this.#refuse("rakp2", tag, 0x02, 0);
    const byNameOnly = (role & 0x10) !== 0;
    const privilege = role & 0x0f;
    const text = Buffer.from(name).toString("latin1");
    const user = this.#options.users.find(
      (each) => each.name === text && each.enabled !== false && (byNameOnly || (each.limit ?? 4) === privilege),
    );
    if (user === undefined) return this.#end("rakp2", tag, 0x0d, session);
    if (privilege > (user.limit ?? 4) && this.#options.lateLimit !== true)
      return this.#end("rakp2", tag, 0x0a, session);
    const { suite, consoleSessionId } = session;
    const sides = { consoleSessionId, bmcSessionId, consoleRandom, bmcRandom: randomBytes(16), bmcGuid: this.#guid };
    const hashed = this.#options.codesWithOpenSessionPrivilege === true ? (role & 0xf0) | session.openedFor : role;
    const negotiation: Negotiation = { suite, ...sides, role: hashed, user: name };
    session.user = user;
    session.role = privilege;
    session.negotiation = negotiation;
    const code = rakp2Code(negotiation, key(user.password));
    const { bmcRandom, bmcGuid } = negotiation;
    return encodePacket20("rakp2", encodeRakp2({ status: 0, tag, consoleSessionId, bmcRandom, bmcGuid, code }));
  }

  #rakp3(payload: Uint8Array): Uint8Array | undefined {
    const { tag, status, bmcSessionId, code } = decodeRakp3(payload);
    const session = this.#sessions.get(bmcSessionId);
    if (session?.negotiation === undefined || session.user === undefined) return this.#refuse("rakp4", tag, 0x02, 0);
    if (status !== 0) {
      this.#sessions.delete(bmcSessionId);
      return undefined;
    }
    const userKey = key(session.user.password);
    if (!sameCode(rakp3Code(session.negotiation, userKey), code)) return this.#end("rakp4", tag, 0x0f, session);
    const keys = sessionKeys(session.negotiation, this.#options.kg === undefined ? userKey : key(this.#options.kg));
    session.seal = new Seal(session.suite, keys);
    const answer = rakp4Code(session.negotiation, keys.sessionIntegrityKey);
    const { consoleSessionId } = session;
    return encodePacket20("rakp4", encodeRakp4({ status: 0, tag, consoleSessionId, code: answer }));
  }

  #inSession(sessionId: number, datagram: Uint8Array): Uint8Array | undefined {
    const session = this.#sessions.get(sessionId);
    if (session?.seal === undefined) return undefined;
    const packet = session.seal.open(datagram);
    if (!session.inbound.take(packet.sequence)) return undefined;
    const request = decodeRequest(packet.payload);
    const reply = this.#sessionReply(request, session);
    const payload = encodeResponse({ ...request, ...reply });
    const numbers = { sessionId: session.consoleSessionId, sequence: session.outbound.next() };
    return session.seal.close({ payloadType: "ipmi", ...numbers, payload });
  }

  #sessionReply(request: Message, session: Session): Reply {
    const { netFn, lun, cmd, data } = request;
    this.executed.push({ netFn, lun, cmd, data });
    if (netFn === 0x06 && cmd === setSessionPrivilegeLevel.cmd) {
      const { privilegeLevel } = setSessionPrivilegeLevel.decodeRequest(data);
      const asked = typeof privilegeLevel === "number" ? privilegeLevel : privilegeLevels[privilegeLevel];
      const level = this.#options.raisesTo ?? asked;
      const limit = session.user?.limit ?? 4;
      return level > limit ? { completionCode: 0x81, data: new Uint8Array(0) } : ok(Uint8Array.of(level));
    }
    if (netFn === 0x06 && cmd === closeSession.cmd) {
      const closed = this.#sessions.delete(closeSession.decodeRequest(data).sessionId);
      return closed ? ok(new Uint8Array(0)) : { completionCode: 0x87, data: new Uint8Array(0) };
    }
    return this.#options.handle(request) ?? invalidCommand;
  }

  /** A login that fails frees its session. */
  #end(answer: PayloadType, tag: number, status: number, session: Session): Uint8Array {
    this.#sessions.delete(session.bmcSessionId);
    return this.#refuse(answer, tag, status, session.consoleSessionId);
  }

  #refuse(answer: PayloadType, tag: number, refusal: number, consoleSessionId: number): Uint8Array {
    return encodePacket20(answer, encodeRefused({ tag, refusal }, consoleSessionId));
  }
}

function ok(data: Uint8Array): Reply {
  return { completionCode: 0, data };
}

function key(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret, "latin1"));
}

/** Puts a simulated BMC on a free UDP port of 127.0.0.1 (or ::1), for foreign clients. */
export async function listenOnLoopback(
  server: LanServer,
  family: 4 | 6 = 4,
): Promise<AsyncDisposable & { readonly port: number }> {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  socket.on("message", (datagram, from) => {
    const answer = server.receive(datagram);
    if (answer !== undefined) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, family === 4 ? "127.0.0.1" : "::1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
