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
import { decodeRequest, encodeResponse, type LanRequest } from "../../outband-client/lan/lan-message.ts";
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
import { type Delivery, deliver } from "./delivery.ts";

/** Somebody who may log in to the simulated BMC. */
export interface LanUser {
  readonly name: string;
  /** Text is Latin-1. */
  readonly password: string | Uint8Array;
  /** The user's limit on this channel, 1-5; 4 (administrator) by default. */
  readonly limit?: number;
  readonly enabled?: boolean;
}

export interface LanServerOptions {
  /** A function is asked at every login for whoever has that name. */
  readonly users: readonly LanUser[] | ((name: string) => LanUser | undefined);
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
  /** A session that was silent for longer is closed. Default 60,000: IPMI 2.0 §6.12.15 says 60 s, plus or minus 3. */
  readonly sessionTimeoutMs?: number;
  /** Milliseconds, of any start. Default: real time. */
  readonly now?: () => number;
  /** False while the BMC resets or hangs: nothing is answered, and the sessions are forgotten. */
  readonly isAlive?: () => boolean;
  /** How often the BMC has reset: the sessions of before are forgotten, also if nobody asked while it was away. */
  readonly resets?: () => number;
  /** Answers requests outside sessions instead of this server. */
  readonly sessionless?: (message: Message) => readonly Delivery[];
  /** Refuses a level above the user's limit only when the session is raised, not in RAKP 2. */
  readonly lateLimit?: boolean;
  /** The commands behind the session, at its present privilege: one answer at once, or all that goes out. */
  readonly handle: (message: Message, privilege: number) => Reply | readonly Delivery[];
}

/** A datagram to the client. */
export interface OutgoingDatagram {
  readonly datagram: Uint8Array;
  /** Milliseconds until it leaves. */
  readonly delayMs: number;
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
  /** The level at which commands run. §6.8 */
  level: number;
  lastUsedMs: number;
  readonly inbound: SequenceWindow;
  readonly outbound: OutboundSequence;
}

const USER_LEVEL = 2;
const bare = (completionCode: number): Reply => ({ completionCode, data: new Uint8Array(0) });

/**
 * The LAN face of a simulated BMC: presence ping, requests outside sessions, RMCP+ sessions. IPMI 2.0 §13.
 * Strict where the client must be right: codes, sequence numbers and addresses are checked, what is wrong is not answered.
 */
export class LanServer {
  readonly #options: LanServerOptions;
  readonly #suites: readonly CipherSuite[];
  readonly #guid: Uint8Array;
  readonly #now: () => number;
  readonly #sessions = new Map<number, Session>();
  #resets = 0;
  /** Every session command that was executed, in order. */
  readonly executed: Message[] = [];

  constructor(options: LanServerOptions) {
    this.#options = options;
    this.#suites = options.suites ?? cipherSuites;
    this.#guid = options.guid ?? Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    this.#now = options.now ?? (() => performance.now());
  }

  /** Sessions that are open, half-open ones included. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** What goes out for one datagram; nothing where a BMC keeps silent. */
  answers(datagram: Uint8Array): readonly OutgoingDatagram[] {
    const resets = this.#options.resets?.() ?? 0;
    if (resets !== this.#resets) this.#sessions.clear();
    this.#resets = resets;
    if (this.#options.isAlive?.() === false) {
      this.#sessions.clear();
      return [];
    }
    this.#closeIdle();
    try {
      if (datagram[3] === 0x06) return single(encodePong({ tag: decodePing(datagram), ipmi: true, asf: true }));
      return this.#packet(datagram);
    } catch (error) {
      if (error instanceof DecodeError) return [];
      throw error;
    }
  }

  #closeIdle(): void {
    const since = this.#now() - (this.#options.sessionTimeoutMs ?? 60_000);
    for (const [id, { lastUsedMs }] of this.#sessions) if (lastUsedMs < since) this.#sessions.delete(id);
  }

  #packet(datagram: Uint8Array): readonly OutgoingDatagram[] {
    const packet = decodePacket(datagram);
    if (packet.format === "1.5") return this.#sessionless(packet.payload);
    switch (packet.payloadType) {
      case "openSessionRequest":
        return single(this.#openSession(packet.payload));
      case "rakp1":
        return single(this.#rakp1(packet.payload));
      case "rakp3":
        return single(this.#rakp3(packet.payload));
      case "ipmi":
        return this.#inSession(packet.sessionId, datagram);
      case "sol":
      case "openSessionResponse":
      case "rakp2":
      case "rakp4":
        return [];
      default:
        throw packet.payloadType satisfies never;
    }
  }

  #sessionless(payload: Uint8Array): readonly OutgoingDatagram[] {
    const request = decodeRequest(payload);
    const deliveries = this.#options.sessionless?.(request) ?? atOnce(request, this.#sessionlessReply(request));
    return responsesTo(deliveries).map(({ payload, delayMs }) => ({ datagram: encodePacket15(payload), delayMs }));
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
    const fresh = { role: 0, level: 0, lastUsedMs: this.#now(), ...numbers };
    this.#sessions.set(bmcSessionId, { suite, consoleSessionId, bmcSessionId, openedFor, ...fresh });
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
    const { users } = this.#options;
    const known = typeof users === "function" ? [users(text)].filter((each) => each !== undefined) : users;
    const user = known.find(
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
    session.level = Math.min(USER_LEVEL, user.limit ?? 4);
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

  #inSession(sessionId: number, datagram: Uint8Array): readonly OutgoingDatagram[] {
    const session = this.#sessions.get(sessionId);
    const { seal } = session ?? {};
    if (session === undefined || seal === undefined) return [];
    const packet = seal.open(datagram);
    if (!session.inbound.take(packet.sequence)) return [];
    session.lastUsedMs = this.#now();
    const request = decodeRequest(packet.payload);
    return responsesTo(this.#deliveries(request, session)).map(({ payload, delayMs }) => {
      const numbers = { sessionId: session.consoleSessionId, sequence: session.outbound.next() };
      return { datagram: seal.close({ payloadType: "ipmi", ...numbers, payload }), delayMs };
    });
  }

  #deliveries(request: LanRequest, session: Session): readonly Delivery[] {
    const { netFn, lun, cmd, data } = request;
    this.executed.push({ netFn, lun, cmd, data });
    const own = this.#sessionCommand(request, session);
    if (own !== undefined) return atOnce(request, own);
    const answer = this.#options.handle(request, session.level);
    return "completionCode" in answer ? atOnce(request, answer) : answer;
  }

  /** Commands about the session itself; undefined for all others. */
  #sessionCommand({ netFn, cmd, data }: Message, session: Session): Reply | undefined {
    if (netFn === 0x06 && cmd === setSessionPrivilegeLevel.cmd) {
      const { privilegeLevel } = setSessionPrivilegeLevel.decodeRequest(data);
      const asked = typeof privilegeLevel === "number" ? privilegeLevel : privilegeLevels[privilegeLevel];
      if (asked === 0) return ok(Uint8Array.of(session.level));
      const level = this.#options.raisesTo ?? asked;
      if (level > (session.user?.limit ?? 4)) return bare(0x81);
      session.level = level;
      return ok(Uint8Array.of(level));
    }
    if (netFn === 0x06 && cmd === closeSession.cmd) {
      return this.#sessions.delete(closeSession.decodeRequest(data).sessionId) ? ok(new Uint8Array(0)) : bare(0x87);
    }
    return undefined;
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

function single(datagram: Uint8Array | undefined): readonly OutgoingDatagram[] {
  return datagram === undefined ? [] : [{ datagram, delayMs: 0 }];
}

function atOnce(request: Message, reply: Reply | undefined): readonly Delivery[] {
  return reply === undefined ? [] : deliver(request, reply, {});
}

/** A late answer has the sequence number of its own request; one to a request from elsewhere is nothing to this client. */
function responsesTo(deliveries: readonly Delivery[]): { readonly payload: Uint8Array; readonly delayMs: number }[] {
  return deliveries.flatMap(({ answers, netFn, cmd, body, afterMs }) => {
    const [completionCode, ...data] = body;
    // Without a completion code it is no response; nobody would take it.
    if (!isLanRequest(answers) || completionCode === undefined) return [];
    const response = { sequence: answers.sequence, netFn, cmd, completionCode, data: Uint8Array.from(data) };
    return [{ payload: encodeResponse(response), delayMs: afterMs }];
  });
}

const isLanRequest = (message: Message): message is LanRequest => "sequence" in message;

function key(secret: string | Uint8Array): KeyObject {
  return createSecretKey(typeof secret === "string" ? Buffer.from(secret, "latin1") : secret);
}

/** Puts a simulated BMC on a UDP port of 127.0.0.1 (or ::1), a free one by default, for foreign clients. */
export async function listenOnLoopback(
  server: Pick<LanServer, "answers">,
  family: 4 | 6 = 4,
  port = 0,
): Promise<AsyncDisposable & { readonly port: number }> {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  const timers = new Set<NodeJS.Timeout>();
  socket.on("message", (request, from) => {
    for (const { datagram, delayMs } of server.answers(request)) {
      if (delayMs <= 0) {
        socket.send(datagram, from.port, from.address);
        continue;
      }
      const timer = setTimeout(() => {
        timers.delete(timer);
        socket.send(datagram, from.port, from.address);
      }, delayMs);
      timers.add(timer);
    }
  });
  socket.bind(port, family === 4 ? "127.0.0.1" : "::1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}
