import type { Socket } from "node:net";
import type { Attack } from "../attack.ts";
import { addressOf } from "../audit/audit-trail.ts";
import { networkOf } from "./network-of.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** How many connections there may be, and for how long. Times in ms. */
export interface ConnectionLimits {
  /** At once, besides those of people. */
  readonly connections: number;
  /** Of those, from one address (IPv4) or network (IPv6 /64): many machines may stand behind one. */
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

/**
 * Where all places are taken, so many may still show that they are people, each for so long, ms, and so often within a minute from
 * one address: a handshake takes a millisecond of the processor.
 */
const trials = { atOnce: 64, ms: 5_000, perMinute: 600 };
/** Who is on trial for so long, ms, leaves the place to somebody else. */
const shortestTrialMs = 500;

interface Connection {
  readonly socket: Socket;
  /** Address or network by which it is counted. */
  readonly network: string;
  readonly at: number;
  /** Where it has its place. */
  place: "others" | "trial" | "people";
  /** Undefined: the handshake is not finished. */
  visitor: Visitor | undefined;
  hasCalled: boolean;
  /** Since the minute began. */
  calls: number;
  bytesBefore: number;
}

/**
 * The open connections. There are not more than may be, and each has to do something. Whoever comes when all places are taken gets
 * as far as the handshake, and stays only with the certificate of a person: operators reach the service during a flood.
 */
export class Connections implements Disposable {
  readonly #limits: ConnectionLimits;
  readonly #suspect: Suspect;
  /** By peer as grpc-js writes it: "10.0.0.7:50022". The oldest first. */
  readonly #open = new Map<string, Connection>();
  readonly #taken = { others: 0, people: 0 };
  /** The oldest first. */
  readonly #onTrial = new Set<Connection>();
  /** Places among others. */
  readonly #perNetwork = new Map<string, number>();
  readonly #trials = new TokenBuckets(trials.perMinute, minuteMs);
  readonly #looking: NodeJS.Timeout;
  #minuteBegan = performance.now();

  constructor(limits: ConnectionLimits, suspect: Suspect) {
    this.#limits = limits;
    this.#suspect = suspect;
    this.#looking = setInterval(() => this.#look(), lookMs).unref();
  }

  /** Gives a new connection a place, and ends it if there is none. */
  add(socket: Socket): void {
    const peer = peerOf(socket);
    const network = networkOf(socket.remoteAddress ?? "");
    const hasPlace = this.#hasPlace(network);
    if (!hasPlace && !this.#mayTry(network)) {
      this.#refuse(socket, network);
      return;
    }
    const connection: Connection = {
      socket,
      network,
      at: performance.now(),
      place: hasPlace ? "others" : "trial",
      visitor: undefined,
      hasCalled: false,
      calls: 0,
      bytesBefore: 0,
    };
    this.#open.set(peer, connection);
    this.#take(connection, 1);
    socket.once("close", () => {
      this.#open.delete(peer);
      this.#take(connection, -1);
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
    if (!isOneOfPeople && connection.place === "others") return true;
    if (!isOneOfPeople && !this.#hasPlace(connection.network)) {
      this.#refuse(connection.socket, connection.network);
      return false;
    }
    this.#take(connection, -1);
    connection.place = isOneOfPeople ? "people" : "others";
    this.#take(connection, 1);
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

  #hasPlace(network: string): boolean {
    const { connections, connectionsPerAddress } = this.#limits;
    return this.#taken.others < connections && (this.#perNetwork.get(network) ?? 0) < connectionsPerAddress;
  }

  #take(connection: Connection, number: 1 | -1): void {
    const { place, network } = connection;
    if (place === "trial") {
      if (number === 1) this.#onTrial.add(connection);
      else this.#onTrial.delete(connection);
      return;
    }
    this.#taken[place] += number;
    if (place === "people") return;
    const taken = (this.#perNetwork.get(network) ?? 0) + number;
    if (taken === 0) this.#perNetwork.delete(network);
    else this.#perNetwork.set(network, taken);
  }

  /** Whether there is a place on trial. Where all are taken, the network that has most of them leaves its oldest one. */
  #mayTry(network: string): boolean {
    if (this.#trials.take(network) > 0) return false;
    if (this.#onTrial.size < trials.atOnce) return true;
    const perNetwork = Map.groupBy(this.#onTrial, (each) => each.network);
    const [most = []] = [...perNetwork.values()].toSorted((one, other) => other.length - one.length);
    const [oldest] = most;
    if (oldest === undefined || performance.now() - oldest.at < shortestTrialMs) return false;
    this.#refuse(oldest.socket, oldest.network);
    return true;
  }

  #refuse(socket: Socket, network: string): void {
    const fields = {
      from: socket.remoteAddress,
      fromThere: this.#perNetwork.get(network) ?? 0,
      all: this.#taken.others,
    };
    this.#suspect("flood", fields, "connection refused: there are too many");
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

function peerOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}
