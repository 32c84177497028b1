import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type ConnectionLimits, Connections, defaultConnectionLimits } from "./connections.ts";

/** What connections see of a socket. */
class FakeSocket extends EventEmitter {
  bytesRead = 0;
  isOpen = true;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(remoteAddress: string, remotePort: number) {
    super();
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  destroy(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.emit("close");
  }
}

let suspects: string[];
let connections: Connections;
let port = 0;

beforeEach(() => {
  vi.useFakeTimers();
  suspects = [];
});
afterEach(() => {
  connections[Symbol.dispose]();
  vi.useRealTimers();
});

function start(limits: Partial<ConnectionLimits>): void {
  connections = new Connections({ ...defaultConnectionLimits, ...limits }, (attack) => suspects.push(attack));
}

function open(from = "10.0.0.7"): FakeSocket {
  port += 1;
  const socket = new FakeSocket(from, port);
  connections.add(socket as unknown as Socket);
  return socket;
}

const admit = (socket: FakeSocket, visitor: Parameters<Connections["admit"]>[1]) =>
  connections.admit(socket as unknown as Socket, visitor);
const call = ({ remoteAddress, remotePort }: FakeSocket) => connections.called(`${remoteAddress}:${remotePort}`);

describe("places", () => {
  test("are for agents, and for people even where there are none any more", () => {
    start({ connections: 2 });
    expect([open(), open()].map((socket) => admit(socket, "agent"))).toEqual([true, true]);
    const [agent, person] = [open(), open()];
    expect(agent.isOpen && person.isOpen).toBe(true);
    expect(admit(agent, "agent")).toBe(false);
    expect(agent.isOpen).toBe(false);
    expect(admit(person, "person")).toBe(true);
    expect(suspects).toContain("flood");
  });

  test("of people are limited too, and leave those of others free", () => {
    start({ connections: 1, peoplesConnections: 2 });
    const people = [open(), open()];
    expect(people.map((socket) => admit(socket, "person"))).toEqual([true, true]);
    expect(admit(open(), "person")).toBe(true);
    expect(admit(open(), "person")).toBe(false);
    people[0]?.destroy();
    expect(admit(open(), "person")).toBe(true);
  });

  test("of an IPv6 network are counted together, and an IPv4 address in its two forms", () => {
    start({ connectionsPerAddress: 1 });
    for (const [first, second, isSame] of [
      ["2001:db8:0:1::1", "2001:db8:0:1:ffff::9", true],
      ["2001:db8:0:2::1", "2001:db8:0:3::1", false],
      ["10.0.0.7", "::ffff:10.0.0.7", true],
      ["10.0.0.8", "10.0.0.9", false],
    ] as const) {
      const sockets = [open(first), open(second)];
      expect(sockets.map((socket) => admit(socket, "agent"))).toEqual([true, !isSame]);
    }
  });

  test("without a certificate are half of all, and half of one address", () => {
    start({ connections: 8, connectionsPerAddress: 4 });
    const sockets = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].flatMap((from) => [open(from), open(from), open(from)]);
    // Four have a place, the others are on trial.
    vi.advanceTimersByTime(5_500);
    expect(sockets.map(({ isOpen }) => isOpen)).toEqual([true, true, false, true, true, false, false, false, false]);
  });

  test("of who shows no certificate go to who shows one, the oldest of the fullest network first", () => {
    start({ connections: 4, connectionsPerAddress: 4 });
    const one = open("10.6.6.1");
    const two = open("10.6.6.2");
    // A socket tells later that it is closed; its place is free at once.
    one.removeAllListeners("close");
    const agents = [open("10.0.0.1"), open("10.0.0.2")];
    expect(agents.map((socket) => admit(socket, "agent"))).toEqual([true, true]);
    const further = open("10.0.0.3");
    expect(admit(further, "agent")).toBe(true);
    expect([one.isOpen, two.isOpen]).toEqual([false, true]);
    expect(admit(open("10.0.0.4"), "agent")).toBe(true);
    expect(two.isOpen).toBe(false);
    // Nobody without a certificate is left.
    expect(admit(open("10.0.0.5"), "agent")).toBe(false);
    expect(admit(open("10.0.0.6"), "stranger")).toBe(false);
  });

  test("of who shows no certificate go to one from elsewhere that has finished the handshake", () => {
    start({ connections: 8, connectionsPerAddress: 8 });
    const idle = ["10.6.6.1", "10.6.6.1", "10.6.6.1", "10.6.6.2"].map(open);
    const machine = open("10.0.0.7");
    expect(admit(machine, "stranger")).toBe(true);
    expect(idle.map(({ isOpen }) => isOpen)).toEqual([false, true, true, true]);
    vi.advanceTimersByTime(5_500);
    expect(machine.isOpen).toBe(true);
  });

  test("of a full network go from its oldest without a certificate to one of its own that shows one", () => {
    start({ connectionsPerAddress: 2 });
    const [idle, elsewhere] = [open("10.0.0.7"), open("10.0.0.8")];
    expect(admit(open("10.0.0.7"), "agent")).toBe(true);
    expect(admit(open("10.0.0.7"), "agent")).toBe(true);
    expect([idle.isOpen, elsewhere.isOpen]).toEqual([false, true]);
    expect(admit(open("10.0.0.7"), "agent")).toBe(false);
  });

  test("on trial go from who has most of them to who comes from elsewhere", () => {
    start({ connections: 0 });
    const flood = Array.from({ length: 256 }, () => open("10.6.6.6"));
    expect(flood.every(({ isOpen }) => isOpen)).toBe(true);
    const operator = open("10.0.0.7");
    expect(operator.isOpen).toBe(true);
    expect(flood.filter(({ isOpen }) => !isOpen)).toEqual([flood[0]]);
    expect(admit(operator, "person")).toBe(true);
    vi.advanceTimersByTime(5_500);
    expect(flood.some(({ isOpen }) => isOpen)).toBe(false);
    expect(operator.isOpen).toBe(true);
  });

  test("on trial are for an operator behind the address of a flood too, however often it comes", () => {
    start({ connections: 0 });
    for (let i = 0; i < 5_000; i += 1) open("10.6.6.6");
    const operator = open("10.6.6.6");
    // The handshake takes some time, in which the flood goes on.
    for (let i = 0; i < 200; i += 1) open("10.6.6.6");
    expect(admit(operator, "person")).toBe(true);
  });
});

describe("a connection is ended", () => {
  const limits = { firstCallMs: 10_000, strangerMs: 20_000, bytesBesideCalls: 1_000 };

  test("that does not call, whoever it is", () => {
    start(limits);
    const sockets = (["person", "agent", "stranger"] as const).map((visitor) => {
      const socket = open();
      admit(socket, visitor);
      return socket;
    });
    sockets.push(open());
    vi.advanceTimersByTime(9_900);
    expect(sockets.every(({ isOpen }) => isOpen)).toBe(true);
    vi.advanceTimersByTime(1_000);
    expect(sockets.some(({ isOpen }) => isOpen)).toBe(false);
    expect(new Set(suspects)).toEqual(new Set(["connection without call"]));
  });

  test("of a stranger, after a while, also if it calls all the time", () => {
    start(limits);
    const [stranger, agent] = [open(), open()];
    admit(stranger, "stranger");
    admit(agent, "agent");
    for (let i = 0; i < 21; i += 1) {
      call(stranger);
      call(agent);
      vi.advanceTimersByTime(1_000);
    }
    expect([stranger.isOpen, agent.isOpen]).toEqual([false, true]);
  });

  test("by which more comes than its calls can have", () => {
    start(limits);
    const [flood, large, slow] = [open(), open(), open()];
    for (const socket of [flood, large, slow]) {
      admit(socket, "agent");
      call(socket);
    }
    for (let i = 0; i < 3; i += 1) call(large);
    flood.bytesRead = 400_000;
    large.bytesRead = 1_200_000;
    vi.advanceTimersByTime(500);
    expect([flood.isOpen, large.isOpen]).toEqual([false, true]);
    for (let minute = 0; minute < 1_000; minute += 1) {
      slow.bytesRead += 900;
      vi.advanceTimersByTime(60_500);
    }
    expect(slow.isOpen).toBe(true);
  });
});
