import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message } from "../../ipmi/transport.ts";
import type { Clock } from "../clock.ts";
import { DeviceError, type DeviceReply, Errno, type IpmiDevice } from "./ipmi-device.ts";
import { IPMICTL_RECEIVE_MSG_TRUNC, IPMICTL_SEND_COMMAND, openKernelDevice } from "./kernel-device.ts";
import type { Libc } from "./libc.ts";
import { loadLibc } from "./libc.ts";
import { NoBmcError, openBmc } from "./open-bmc.ts";
import { OpenIpmiTransport } from "./openipmi-transport.ts";

const getDeviceId: Message = { netFn: 6, lun: 0, cmd: 1, data: new Uint8Array() };
const never = new AbortController().signal;

function fakeClock(): Clock & { slept: number[] } {
  let nowMs = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => nowMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      slept.push(ms);
      nowMs += ms;
      await setImmediate();
      signal?.throwIfAborted();
    },
  };
}

/** Answers by a script: what `receive` gives, call by call. */
class FakeDevice implements IpmiDevice {
  readonly path = "/dev/fake";
  readonly sent: { id: number; message: Message }[] = [];
  closed = 0;
  waits: number[] = [];
  script: (DeviceReply | undefined | Error)[] = [];
  onSend: (id: number) => void = () => undefined;
  onWait: () => void = () => undefined;

  send(id: number, message: Message): void {
    this.sent.push({ id, message });
    this.onSend(id);
  }
  receive(): DeviceReply | undefined {
    const next = this.script.shift();
    if (next instanceof Error) throw next;
    return next;
  }
  wait(limitMs: number): void {
    this.waits.push(limitMs);
    this.onWait();
  }
  close(): void {
    this.closed += 1;
  }
}

const reply = (id: number, data: number[], cmd = 1, netFn = 7): DeviceReply => ({
  id,
  netFn,
  cmd,
  data: Uint8Array.from(data),
});

describe("OpenIpmiTransport", () => {
  test("matches the reply by id and drops late, foreign and doubled ones", async () => {
    const device = new FakeDevice();
    const transport = new OpenIpmiTransport(device, fakeClock());
    device.script = [reply(1, [0, 0xaa])];
    expect(await transport.exchange(getDeviceId, never)).toEqual({ completionCode: 0, data: Uint8Array.of(0xaa) });
    device.script = [reply(1, [0, 0xbb]), reply(2, [0, 0xcc], 9), reply(2, [0, 0xdd], 1, 0xd), undefined];
    device.script.push(reply(2, [0xc1]));
    expect(await transport.exchange(getDeviceId, never)).toEqual({ completionCode: 0xc1, data: new Uint8Array() });
  });

  test("waits in the kernel at first, in slices, then sleeps longer and longer, at most 5 ms", async () => {
    const device = new FakeDevice();
    const clock = fakeClock();
    device.script = [...new Array<undefined>(81).fill(undefined), reply(1, [0])];
    let turns = 0;
    let over = false;
    const others = (async () => {
      for (; !over; turns += 1) await setImmediate();
    })();
    const turnsAtWait = new Set<number>();
    device.onWait = () => turnsAtWait.add(turns);
    await new OpenIpmiTransport(device, clock).exchange(getDeviceId, never);
    over = true;
    await others;
    expect(turnsAtWait.size, "everything else gets its turn between two waits").toBe(25);
    expect(device.waits).toEqual(new Array(25).fill(2));
    expect(clock.slept).toHaveLength(56);
    expect(clock.slept[0]).toBe(1);
    expect(Math.max(...clock.slept)).toBe(5);
  });

  test("the signal ends the wait; the late reply is dropped", async () => {
    const device = new FakeDevice();
    const clock = fakeClock();
    const transport = new OpenIpmiTransport(device, clock);
    const end = new AbortController();
    setTimeout(() => end.abort(new Error("enough")), 5);
    const error = await transport.exchange(getDeviceId, end.signal).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(TransportError);
    expect(error).toMatchObject({ sent: "unknown", cause: new Error("enough") });
    expect((error as Error).message).toMatch(/^openipmi:\/dev\/fake: netfn 06h command 01h: no answer after \d+ ms$/);
    device.script = [reply(1, [0, 1]), reply(2, [0, 2])];
    expect((await transport.exchange(getDeviceId, never)).data).toEqual(Uint8Array.of(2));
  });

  test("an aborted signal sends nothing", async () => {
    const device = new FakeDevice();
    const exchange = new OpenIpmiTransport(device, fakeClock()).exchange(getDeviceId, AbortSignal.abort());
    await expect(exchange).rejects.toMatchObject({ name: "TransportError", sent: "no" });
    expect(device.sent).toEqual([]);
  });

  test("one at a time", async () => {
    const device = new FakeDevice();
    device.script = [undefined, undefined, reply(1, [0])];
    const transport = new OpenIpmiTransport(device, fakeClock());
    const first = transport.exchange(getDeviceId, never);
    await expect(transport.exchange(getDeviceId, never)).rejects.toThrow("another exchange is under way");
    expect((await first).completionCode).toBe(0);
  });

  test("errors of the kernel say whether the request went out", async () => {
    const device = new FakeDevice();
    const transport = new OpenIpmiTransport(device, fakeClock());
    device.script = [new DeviceError("receive from /dev/fake", Errno.EMSGSIZE)];
    await expect(transport.exchange(getDeviceId, never)).rejects.toMatchObject({ sent: "unknown" });
    device.onSend = () => {
      throw new DeviceError("send to /dev/fake", Errno.ENODEV);
    };
    const failed = transport.exchange(getDeviceId, never);
    await expect(failed).rejects.toMatchObject({
      sent: "no",
      message: "openipmi:/dev/fake: send to /dev/fake: no such device; the driver has no BMC behind it (ENODEV 19)",
    });
  });

  test("a reply without completion code is an error", async () => {
    const device = new FakeDevice();
    device.script = [reply(1, [])];
    await expect(new OpenIpmiTransport(device, fakeClock()).exchange(getDeviceId, never)).rejects.toThrow(
      "without completion code",
    );
  });

  test("is closed once and refuses afterwards", async () => {
    const device = new FakeDevice();
    const transport = new OpenIpmiTransport(device, fakeClock());
    await transport[Symbol.asyncDispose]();
    await transport[Symbol.asyncDispose]();
    expect(device.closed).toBe(1);
    await expect(transport.exchange(getDeviceId, never)).rejects.toMatchObject({ sent: "no" });
  });
});

/** Plays the kernel's side of the ioctls on the structures of linux/ipmi.h. */
function fakeKernel(answer: (netFn: number, cmd: number, data: number[]) => number[]): Libc & { log: string[] } {
  const memory = new Map<bigint, Uint8Array>();
  const waiting: { id: bigint; netFn: number; cmd: number; data: number[] }[] = [];
  const log: string[] = [];
  const at = (address: bigint): Uint8Array => {
    const data = memory.get(address);
    if (data === undefined) throw new Error(`no memory at ${address}`);
    return data;
  };
  const fail = (errno: number) => ({ result: -1, errno });
  const done = { result: 0, errno: 0 };
  return {
    log,
    open: (path) => (path === "/dev/ipmi0" ? { result: 7, errno: 0 } : fail(Errno.ENOENT)),
    close: () => done,
    poll: () => done,
    addressOf(data) {
      for (const [address, known] of memory) if (known === data) return address;
      const address = 0x7f00_0000_1000n + BigInt(memory.size) * 0x1_0000n;
      memory.set(address, data);
      return address;
    },
    ioctl(fd, number, argument) {
      if (fd !== 7) return fail(Errno.EBADF);
      const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
      if (number === 0x8028690d) {
        const address = at(view.getBigUint64(0, true)).slice(0, view.getUint32(8, true));
        const data = [...at(view.getBigUint64(32, true)).slice(0, view.getUint16(26, true))];
        log.push(`${argument.length} bytes, address ${[...address]}, data ${data}`);
        const [netFn, cmd] = [view.getUint8(24), view.getUint8(25)];
        waiting.push({ id: view.getBigInt64(16, true), netFn: netFn | 1, cmd, data: answer(netFn, cmd, data) });
        return done;
      }
      if (number !== 0xc030690b) return fail(Errno.ENOTTY);
      const next = waiting.shift();
      if (next === undefined) return fail(Errno.EAGAIN);
      const room = view.getUint16(34, true);
      view.setInt32(0, 1, true);
      view.setBigInt64(24, next.id, true);
      view.setUint8(32, next.netFn);
      view.setUint8(33, next.cmd);
      view.setUint16(34, Math.min(room, next.data.length), true);
      at(view.getBigUint64(40, true)).set(next.data.slice(0, room));
      return next.data.length > room ? fail(Errno.EMSGSIZE) : done;
    },
  };
}

describe("the kernel's device", () => {
  test("the ioctl numbers hold the sizes of the structures", () => {
    expect([IPMICTL_SEND_COMMAND, IPMICTL_RECEIVE_MSG_TRUNC]).toEqual([0x8028690d, 0xc030690b]);
  });

  test("fills the structures of linux/ipmi.h and reads them back", async () => {
    const kernel = fakeKernel((netFn, cmd, data) => [0, netFn, cmd, ...data]);
    const transport = await openBmc({ open: (path) => openKernelDevice(path, kernel) });
    const answer = await transport.exchange({ netFn: 0x0c, lun: 2, cmd: 2, data: Uint8Array.of(1, 5, 0, 0) }, never);
    expect(answer).toEqual({ completionCode: 0, data: Uint8Array.of(0x0c, 2, 1, 5, 0, 0) });
    expect(kernel.log).toEqual(["40 bytes, address 12,0,0,0,15,0,2,0, data 1,5,0,0"]);
    expect(transport.name).toBe("openipmi:/dev/ipmi0");
  });

  test("a reply longer than the buffer is an error, not a shorter reply", async () => {
    const kernel = fakeKernel(() => new Array<number>(1025).fill(0));
    const transport = await openBmc({ open: (path) => openKernelDevice(path, kernel) });
    await expect(transport.exchange(getDeviceId, never)).rejects.toThrow("EMSGSIZE 90");
  });

  test.runIf(process.platform === "linux")("the real C library gives results and error numbers", () => {
    const libc = loadLibc();
    expect(libc.open("/nowhere/ipmi0", 2)).toEqual({ result: -1, errno: Errno.ENOENT });
    const { result: fd } = libc.open("/dev/null", 2);
    expect(fd).toBeGreaterThan(2);
    expect(libc.ioctl(fd, IPMICTL_SEND_COMMAND, new Uint8Array(40))).toEqual({ result: -1, errno: Errno.ENOTTY });
    // /dev/null can be read at once: POLLIN (1) in revents.
    const pollfd = Uint8Array.of(fd, 0, 0, 0, 1, 0, 0, 0);
    expect(libc.poll(pollfd, 1_000)).toEqual({ result: 1, errno: 0 });
    expect(pollfd[6]).toBe(1);
    expect(libc.close(fd)).toEqual({ result: 0, errno: 0 });
    expect(libc.close(fd)).toEqual({ result: -1, errno: Errno.EBADF });
  });
});

describe("openBmc", () => {
  test("names every way that was tried", async () => {
    const failed = openBmc({ devices: ["/nowhere/ipmi0", "/nowhere/ipmi/0"] });
    await expect(failed).rejects.toThrow(NoBmcError);
    await expect(failed).rejects.toMatchObject({
      tried: [
        { way: "/nowhere/ipmi0", reason: expect.stringContaining("it does not exist; is the module ipmi_devintf") },
        { way: "/nowhere/ipmi/0", reason: expect.stringContaining("ENOENT 2") },
      ],
    });
  });

  test("takes the first that opens", async () => {
    const device = new FakeDevice();
    const open = (path: string): IpmiDevice => {
      if (path === "a") throw new DeviceError("open a", Errno.EACCES);
      return device;
    };
    expect((await openBmc({ devices: ["a", "b"], open })).name).toBe("openipmi:/dev/fake");
  });
});
