import { describe, expect, test } from "vitest";
import { type KcsAnswer, KcsRegisters, type KcsRegistersOptions, KcsStatus } from "./kcs-registers.ts";

// The machine's side stands here byte by byte, so that a mistake in the agent's flow charts cannot hide one of the registers.

const data = 0xca2;
const command = 0xca3;
const idle = 0x00;
const read = 0x40;
const write = 0x80;
const error = 0xc0;

function world(options: Partial<KcsRegistersOptions> = {}) {
  const time = { ms: 0 };
  const requests: number[][] = [];
  const answer = (request: Uint8Array): KcsAnswer => {
    requests.push([...request]);
    return { bytes: Uint8Array.of(0x1c, 0x01, 0x00, 0xaa), delayMs: 0 };
  };
  const kcs = new KcsRegisters({ answer, now: () => time.ms, ...options });
  const status = () => kcs.read(command);
  const send = (...bytes: number[]) => {
    kcs.write(command, 0x61);
    for (const byte of bytes.slice(0, -1)) kcs.write(data, byte);
    kcs.write(command, 0x62);
    kcs.write(data, bytes.at(-1) ?? 0);
  };
  const receive = () => {
    const bytes: number[] = [];
    while ((status() & 0xc1) === (read | 1)) {
      bytes.push(kcs.read(data));
      kcs.write(data, 0x68);
    }
    return bytes;
  };
  /** IPMI 2.0 figure 9-7 (error exit). */
  const abort = () => {
    kcs.write(command, 0x60);
    kcs.read(data);
    kcs.write(data, 0);
    const code = kcs.read(data);
    kcs.write(data, 0x68);
    kcs.read(data);
    return code;
  };
  return { kcs, time, requests, status, send, receive, abort };
}

describe("a transfer", () => {
  test("the states are those of the flow charts, byte by byte", () => {
    const { kcs, status, requests } = world();
    expect(status()).toBe(idle);
    kcs.write(command, 0x61);
    expect(status()).toBe(write | 0x08);
    kcs.write(data, 0x18);
    expect(status()).toBe(write);
    kcs.write(command, 0x62);
    expect(status()).toBe(write | 0x08);
    kcs.write(data, 0x01);
    expect(requests).toEqual([[0x18, 0x01]]);
    expect(status()).toBe(read | 1);
    expect(kcs.read(data)).toBe(0x1c);
    expect(status()).toBe(read);
    kcs.write(data, 0x68);
    expect(kcs.read(data)).toBe(0x01);
    kcs.write(data, 0x68);
    expect(kcs.read(data)).toBe(0x00);
    kcs.write(data, 0x68);
    expect(kcs.read(data)).toBe(0xaa);
    kcs.write(data, 0x68);
    expect(status()).toBe(idle | 1);
    kcs.read(data);
    expect(status()).toBe(idle);
  });

  test("several in a row", () => {
    const { send, receive, kcs } = world();
    for (let round = 0; round < 3; round += 1) {
      send(0x18, 0x01);
      expect(receive()).toEqual([0x1c, 0x01, 0x00, 0xaa]);
      kcs.read(data);
    }
  });

  test("an answer that takes its time: READ state without OBF until then", () => {
    const { send, receive, status, time } = world({
      answer: () => ({ bytes: Uint8Array.of(0x1c, 1, 0), delayMs: 50 }),
    });
    send(0x18, 0x01);
    expect(status()).toBe(read);
    time.ms = 49;
    expect(status()).toBe(read);
    time.ms = 50;
    expect(receive()).toEqual([0x1c, 1, 0]);
  });

  test("IBF stays set while the BMC is slow with a byte", () => {
    const { kcs, status, time } = world({ byteMs: 3 });
    kcs.write(command, 0x61);
    expect(status()).toBe(write | 0x08 | 0x02);
    time.ms = 3;
    expect(status()).toBe(write | 0x08);
  });

  test("attention, and other registers", () => {
    const { kcs, status } = world();
    kcs.attention = true;
    expect(status()).toBe(0x04);
    expect(kcs.read(0xca4)).toBe(0xff);
    kcs.write(0xca4, 0x61);
    expect(status()).toBe(0x04);
  });

  test("spacing 4, another base", () => {
    const { kcs, requests } = world({ base: 0x200, spacing: 4 });
    for (const [port, byte] of [
      [0x204, 0x61],
      [0x200, 0x18],
      [0x204, 0x62],
      [0x200, 0x01],
    ] as const) {
      kcs.write(port, byte);
    }
    expect(requests).toEqual([[0x18, 0x01]]);
  });
});

describe("what goes wrong", () => {
  test.each([
    ["an unknown control code", KcsStatus.illegalCode, (kcs: KcsRegisters) => kcs.write(command, 0x77)],
    ["data without a start", KcsStatus.illegalCode, (kcs: KcsRegisters) => kcs.write(data, 0x18)],
    ["an end without a start", KcsStatus.illegalCode, (kcs: KcsRegisters) => kcs.write(command, 0x62)],
    [
      "a request of one byte",
      KcsStatus.length,
      (kcs: KcsRegisters) => {
        kcs.write(command, 0x61);
        kcs.write(command, 0x62);
        kcs.write(data, 0x18);
      },
    ],
  ])("%s is an error state, whose reason an abort reads", (_title, reason, wrong) => {
    const { kcs, status, abort, send, receive } = world();
    wrong(kcs);
    expect(status() & 0xc0).toBe(error);
    expect(abort()).toBe(reason);
    expect(status() & 0xc1).toBe(idle);
    send(0x18, 0x01);
    expect(receive()).toHaveLength(4);
  });

  test("a request that is too long", () => {
    const { send, status, requests } = world({ maxRequestBytes: 4 });
    send(1, 2, 3, 4, 5);
    expect(status() & 0xc0).toBe(error);
    expect(requests).toEqual([]);
  });

  test("a byte while IBF is set", () => {
    const { kcs, status, abort, time } = world({ byteMs: 3 });
    kcs.write(command, 0x61);
    kcs.write(data, 0x18);
    expect(status() & 0xc0).toBe(error);
    time.ms = 100;
    const code = () => {
      kcs.write(command, 0x60);
      time.ms += 10;
      kcs.write(data, 0);
      time.ms += 10;
      return kcs.read(data);
    };
    expect(code()).toBe(KcsStatus.unspecified);
    time.ms += 10;
    expect(abort).not.toThrow();
  });

  test("an answer that never comes can be aborted", () => {
    const { send, status, time, abort } = world({ answer: () => ({ bytes: undefined, delayMs: 0 }) });
    send(0x18, 0x01);
    time.ms = 1e9;
    expect(status()).toBe(read);
    expect(abort()).toBe(KcsStatus.aborted);
    expect(status() & 0xc1).toBe(idle);
  });

  test("an abort of nothing tells that nothing was wrong", () => {
    expect(world().abort()).toBe(KcsStatus.none);
  });

  test("a new start ends the error state", () => {
    const { kcs, send, receive } = world();
    kcs.write(command, 0x77);
    send(0x18, 0x01);
    expect(receive()).toHaveLength(4);
  });

  test("a BMC that hangs keeps IBF set", () => {
    const { kcs, status } = world();
    kcs.hung = true;
    kcs.write(command, 0x61);
    expect(status() & 0x02).toBe(0x02);
  });
});
