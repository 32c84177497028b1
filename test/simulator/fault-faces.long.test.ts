import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { KcsTransport } from "../../inband/kcs/kcs-transport.ts";
import { getUserName } from "../../ipmi/commands/index.ts";
import { DecodeError, TransportError } from "../../ipmi/errors.ts";
import type { Message, Transport } from "../../ipmi/transport.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { connectAsMachine } from "../lab/machine-side.ts";
import { codecFace, kcsFace, listenOnLan } from "./bmc-faces.ts";
import { parseFaultRules } from "./fault-rule-json.ts";
import { spec } from "./profiles.ts";
import { createBmc, type SimulatedBmc } from "./simulated-bmc.ts";
import { virtualClock } from "./virtual-clock.ts";

/*
 * Every effect of a fault rule, as a file for `npm run sim -- --faults` writes it, seen by a client of each face: the BMC's KCS
 * registers, the VM codec, the network.
 */

const readName = (userId: number): Message => ({
  netFn: 6,
  lun: 0,
  cmd: getUserName.cmd,
  data: getUserName.encodeRequest({ userId }),
});

/** How long a client waits for an answer that comes, and for one that does not; real time. */
const patienceMs = 5_000;
const silenceMs = 60;

interface Client {
  readonly transport: Transport;
  /** How long it waits for an answer that does not come: at the registers it is the time of the test that runs out. */
  readonly silenceMs: number;
  /** Milliseconds, of the face's own time. */
  now(): number;
}

type Connect = (bmc: SimulatedBmc, stack: AsyncDisposableStack) => Promise<Client>;

const faces: Readonly<Record<"kcs" | "codec" | "lan", Connect>> = {
  async kcs(bmc, stack) {
    const clock = virtualClock(async () => {
      for (let turn = 0; turn < 4; turn += 1) await setImmediate();
    });
    const registers = kcsFace(bmc, { now: () => clock.now() });
    const transport = stack.use(new KcsTransport(registers, { port: 0xca2, spacing: 1 }, clock));
    return { transport, silenceMs: patienceMs, now: () => clock.now() };
  },
  async codec(bmc, stack) {
    const { port } = stack.use(await codecFace(bmc));
    return { transport: stack.use(await connectAsMachine(port)), silenceMs, now: () => performance.now() };
  },
  async lan(bmc, stack) {
    const { port } = stack.use(await listenOnLan(bmc));
    const login = { host: "127.0.0.1", port, user: "ADMIN", password: Buffer.from("ADMIN-pw-1") };
    const timeouts = { requestMs: [patienceMs], keepAliveMs: 0, closeMs: 20 };
    const transport = stack.use(await connectLan({ ...login, timeouts, signal: AbortSignal.timeout(5_000) }));
    return { transport, silenceMs, now: () => performance.now() };
  },
};

const admin = `00${Buffer.from("ADMIN").toString("hex")}${"00".repeat(11)}`;
const nobody = "00".repeat(17);

/** What a client got: code and data in hexadecimal, or "nothing" that it could take for its answer. */
async function ask({ transport }: Client, message: Message, limitMs: number): Promise<string> {
  const signal = AbortSignal.timeout(limitMs);
  try {
    const { completionCode, data } = await transport.exchange(message, signal);
    return Buffer.from([completionCode, ...data]).toString("hex");
  } catch (error) {
    if (signal.aborted || error instanceof TransportError || error instanceof DecodeError) return "nothing";
    throw error;
  }
}

type Answers = readonly [first: string, next: string];

const same = (...answers: Answers) => ({ kcs: answers, codec: answers, lan: answers });

describe.each(["kcs", "codec", "lan"] as const)("an effect of a fault rule at the face %s", (face) => {
  async function play(effect: object, expected: Answers) {
    await using stack = new AsyncDisposableStack();
    const rule = { command: "Get User Name", user: 2, effects: [effect] };
    const bmc = createBmc(spec, { faults: parseFaultRules(JSON.stringify([rule])) });
    const client = await faces[face](bmc, stack);
    const before = client.now();
    const limitMs = (answer: string) => (answer === "nothing" ? client.silenceMs : patienceMs);
    const first = await ask(client, readName(2), limitMs(expected[0]));
    const tookMs = client.now() - before;
    expect([first, await ask(client, readName(3), limitMs(expected[1]))]).toEqual(expected);
    return tookMs;
  }

  test.each([
    ["completionCode", { completionCode: "0xC0" }, same("c0", nobody)],
    ["execute", { completionCode: "0xFF", execute: "yes" }, same("ff", nobody)],
    ["drop: request", { drop: "request" }, same("nothing", nobody)],
    ["drop: reply", { drop: "reply" }, same("nothing", nobody)],
    ["truncate", { truncate: 3 }, same(admin.slice(0, 6), nobody)],
    ["tooLong", { tooLong: 2 }, same(`${admin}5a5a`, nobody)],
    ["duplicate", { duplicate: true }, same(admin, nobody)],
    // QEMU too goes by the sequence number alone.
    ["otherCommand", { otherCommand: "0x44" }, { ...same("nothing", nobody), codec: [admin, nobody] }],
    ["late", { late: true }, same("nothing", nobody)],
  ] as const)("%s", async (_name, effect, expected) => {
    await play(effect, expected[face]);
  });

  test("delayMs", async () => {
    expect(await play({ delayMs: 30 }, [admin, nobody])).toBeGreaterThanOrEqual(29);
  });

  test("resetMs", async () => {
    await play({ resetMs: 3_600_000 }, ["nothing", "nothing"]);
  });
});
