import type { Socket } from "node:net";
import type { Attack } from "../attack.ts";
import { addressOf } from "../audit/audit-trail.ts";
import { networkOf } from "./network-of.ts";

/** How many connections there may be, and for how long. Times in ms. */
export interface ConnectionLimits {
  /** At once, besides those of people. Who has shown no certificate yet, or has none, gets half of them. */
  readonly connections: number;
  /** Of those, from one address (IPv4) or network (IPv6 /64): many machines may stand behind one. Half of them again. */
  readonly connectionsPerAddress: number;
  /** At once, of people: who shows a certificate of theirs gets in however many others there are. */
  readonly peoplesConnections: number;
  /** Until the first call. */
  readonly firstCallMs: number;
  /** Of who shows no certificate: a machine with an enrolment token needs one call, and comes again with the certificate that it got. */
  readonly strangerMs: number;
  /** Without a call, after the first one. */
  readonly idleMs: number;
  /** Bytes that may come in a minute besides those of calls: frames that ask for nothing but an answer take time, too. */
  readonly bytesBesideCalls: number;
}

export const defaultConnectionLimits: ConnectionLimits = {
  connections: 20_000,
  connectionsPerAddress: 5_000,
  peoplesConnections: 256,
  firstCallMs: 60_000,
  strangerMs: 120_000,
  idleMs: 600_000,
  bytesBesideCalls: 1_048_576,
};

/** Told of what looks like an attack, with who and why. */
export type Suspect = (attack: Attack, fields: object, text: string) => void;

/** Whose connection it is, by what was shown in the handshake. */
export type Visitor = "person" | "agent" | "stranger";

/** A call with the largest request there may be, and its headers. */
const bytesOfCall = 320 * 1024;
const minuteMs = 60_000;
/** How often all connections are looked at, ms. */
const lookMs = 500;

/** Where all places are taken, so many at once may still finish the handshake, each for so long, ms. */
const trials = { atOnce: 256, ms: 5_000 };

/** What of so many places is for who has shown no certificate. */
const halfOf = (places: number) => Math.ceil(places / 2);

interface Connection {
  readonly socket: Socket;
  /** Address or network by which it is counted. */
  readonly network: string;
  readonly at: number;
  /** Where it has its place: "strangers" until a certificate is shown. */
  place: "trial" | "strangers" | "agents" | "people";
  /** Undefined: the handshake is not finished. */
  visitor: Visitor | undefined;
  hasCalled: boolean;
  /** Since the minute began. */
  calls: number;
  bytesBefore: number;
}

/** The connections of one address or network that have a place. */
interface FromThere {
  agents: number;
  /** The oldest first. */
  readonly strangers: Set<Connection>;
}

/**
 * The open connections. There are not more than may be, and each has to do something. Whoever comes when all places are taken gets
 * as far as the handshake. Then people have places of their own, and for others the oldest without a certificate goes: of
 * the same network if that has too many, else of the one that has most. So operators and machines reach the service during a flood.
 */
export class Connections implements Disposable {
  readonly #limits: ConnectionLimits;
  readonly #suspect: Suspect;
  /** By peer as grpc-js writes it: "10.0.0.7:50022". The oldest first. */
  readonly #open = new Map<string, Connection>();
  readonly #taken = { trial: 0, strangers: 0, agents: 0, people: 0 };
  /** By network; the oldest first. */
  readonly #onTrial = new Map<string, Set<Connection>>();
  readonly #perNetwork = new Map<string, FromThere>();
  readonly #looking: NodeJS.Timeout;
  #minuteBegan = performance.now();

  constructor(limits: ConnectionLimits, suspect: Suspect) {
    this.#limits = limits;
    this.#suspect = suspect;
    this.#looking = setInterval(() => this.#look(), lookMs).unref();
  }

  /** Gives a new connection a place, if only to finish the handshake. */
  add(socket: Socket): void {
    const peer = peerOf(socket);
    const network = networkOf(socket.remoteAddress ?? "");
    const hasPlace = this.#fullFor("strangers", network) === undefined;
    if (!hasPlace) this.#makeRoomForTrial();
    const connection: Connection = {
      socket,
      network,
      at: performance.now(),
      place: hasPlace ? "strangers" : "trial",
      visitor: undefined,
      hasCalled: false,
      calls: 0,
      bytesBefore: 0,
    };
    this.#open.set(peer, connection);
    this.#take(connection);
    socket.once("close", () => {
      this.#remove(peer, connection);
      if (connection.hasCalled) return;
      const fields = { from: addressOf(peer), bytes: socket.bytesRead };
      this.#suspect("connection without call", fields, "connection ended without a call");
    });
  }

  /**
   * Tells who is there when the handshake is finished.
   * @param socket the one that was added, or TLS on it
   * @returns whether they may stay; else the connection is ended
   */
  admit(socket: Socket, visitor: Visitor): boolean {
    const connection = this.#open.get(peerOf(socket));
    if (connection === undefined) return false;
    connection.visitor = visitor;
    const isOneOfPeople = visitor === "person" && this.#taken.people < this.#limits.peoplesConnections;
    const place = isOneOfPeople ? "people" : visitor === "stranger" ? "strangers" : "agents";
    if (connection.place === place) return true;
    this.#leave(connection);
    if (place !== "people" && !this.#makeRoom(place, connection.network)) {
      this.#take(connection);
      this.#refuse(connection);
      return false;
    }
    connection.place = place;
    this.#take(connection);
    return true;
  }

  called(peer: string): void {
    const connection = this.#open.get(peer);
    if (connection === undefined) return;
    connection.hasCalled = true;
    connection.calls += 1;
  }

  /** Ends one when what is to be said there is said. */
  end(peer: string): void {
    this.#open.get(peer)?.socket.destroySoon();
  }

  /** Ends all. */
  [Symbol.dispose](): void {
    clearInterval(this.#looking);
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  /** What has no place left for one more from there: the network, or all of the service. */
  #fullFor(place: "strangers" | "agents", network: string): "network" | "all" | undefined {
    const { connections, connectionsPerAddress } = this.#limits;
    const { strangers, agents } = this.#taken;
    const there = this.#perNetwork.get(network);
    const strangersThere = there?.strangers.size ?? 0;
    const isStranger = place === "strangers";
    if (isStranger && strangersThere >= halfOf(connectionsPerAddress)) return "network";
    if (strangersThere + (there?.agents ?? 0) >= connectionsPerAddress) return "network";
    if (isStranger && strangers >= halfOf(connections)) return "all";
    return strangers + agents >= connections ? "all" : undefined;
  }

  /** Ends the oldest connection without a certificate where all places are taken. @returns whether there is a place */
  #makeRoom(place: "strangers" | "agents", network: string): boolean {
    const full = this.#fullFor(place, network);
    if (full === undefined) return true;
    const all = this.#perNetwork.values().map(({ strangers }) => strangers);
    const [oldest] = (full === "network" ? this.#perNetwork.get(network)?.strangers : largest(all)) ?? [];
    if (oldest === undefined) return false;
    this.#refuse(oldest);
    return this.#fullFor(place, network) === undefined || this.#makeRoom(place, network);
  }

  /** Where all places on trial are taken, the network that has most of them leaves its oldest one. */
  #makeRoomForTrial(): void {
    if (this.#taken.trial < trials.atOnce) return;
    const [oldest] = largest(this.#onTrial.values());
    if (oldest !== undefined) this.#refuse(oldest);
  }

  #take(connection: Connection): void {
    const { place, network } = connection;
    this.#taken[place] += 1;
    if (place === "people") return;
    if (place === "trial") {
      const tried = this.#onTrial.get(network) ?? new Set();
      this.#onTrial.set(network, tried.add(connection));
      return;
    }
    const there = this.#perNetwork.get(network) ?? { agents: 0, strangers: new Set() };
    if (place === "strangers") there.strangers.add(connection);
    else there.agents += 1;
    this.#perNetwork.set(network, there);
  }

  #leave(connection: Connection): void {
    const { place, network } = connection;
    this.#taken[place] -= 1;
    if (place === "trial") {
      const tried = this.#onTrial.get(network);
      tried?.delete(connection);
      if (tried?.size === 0) this.#onTrial.delete(network);
      return;
    }
    const there = this.#perNetwork.get(network);
    if (place === "people" || there === undefined) return;
    if (place === "strangers") there.strangers.delete(connection);
    else there.agents -= 1;
    if (there.agents === 0 && there.strangers.size === 0) this.#perNetwork.delete(network);
  }

  /** Its place is free at once: the socket tells later that it is closed. */
  #remove(peer: string, connection: Connection): void {
    if (this.#open.get(peer) !== connection) return;
    this.#open.delete(peer);
    this.#leave(connection);
  }

  #refuse(connection: Connection): void {
    const { socket, network } = connection;
    const there = this.#perNetwork.get(network);
    const fields = {
      from: socket.remoteAddress,
      fromThere: (there?.agents ?? 0) + (there?.strangers.size ?? 0),
      all: this.#taken.strangers + this.#taken.agents,
    };
    this.#suspect("flood", fields, "connection refused: there are too many");
    this.#remove(peerOf(socket), connection);
    socket.destroy();
  }

  /** Ends the connections that do nothing, and those that do too much. */
  #look(): void {
    const now = performance.now();
    const isNewMinute = now - this.#minuteBegan >= minuteMs;
    if (isNewMinute) this.#minuteBegan = now;
    for (const [peer, connection] of this.#open) {
      const { socket } = connection;
      const problem = this.#problemOf(connection, now - connection.at);
      if (problem !== undefined) {
        const { attack, text } = problem;
        this.#suspect(attack, { from: addressOf(peer), bytes: socket.bytesRead }, `connection ended: ${text}`);
        socket.destroy();
      }
      if (isNewMinute) Object.assign(connection, { calls: 0, bytesBefore: socket.bytesRead });
    }
  }

  #problemOf(
    { socket, place, visitor, hasCalled, calls, bytesBefore }: Connection,
    ageMs: number,
  ): { readonly attack: Attack; readonly text: string } | undefined {
    const { firstCallMs, strangerMs, bytesBesideCalls } = this.#limits;
    if (place === "trial" && ageMs > trials.ms) return { attack: "flood", text: "there are too many others" };
    if (!hasCalled && ageMs > firstCallMs) return { attack: "connection without call", text: "no call came" };
    if (visitor === "stranger" && ageMs > strangerMs)
      return { attack: "stranger", text: "open for long, no certificate" };
    const mayHaveCome = bytesBesideCalls + calls * bytesOfCall;
    if (socket.bytesRead - bytesBefore > mayHaveCome)
      return { attack: "flood", text: "too many bytes that are no call" };
    return undefined;
  }
}

function largest(sets: Iterable<ReadonlySet<Connection>>): ReadonlySet<Connection> {
  let found: ReadonlySet<Connection> = new Set();
  for (const each of sets) if (each.size > found.size) found = each;
  return found;
}

function peerOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}
