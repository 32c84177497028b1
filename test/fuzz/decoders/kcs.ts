import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../../inband/clock.ts";
import { parseKcsAddress } from "../../../inband/kcs/kcs-address.ts";
import { KcsTransport } from "../../../inband/kcs/kcs-transport.ts";
import type { PortIo } from "../../../inband/kcs/port-io.ts";
import { TransportError } from "../../../ipmi/errors.ts";
import { KcsRegisters } from "../../simulator/kcs-registers.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";

const address = { port: 0xca2, spacing: 1 } as const;
const getDeviceId = { netFn: 6, lun: 0, cmd: 1, data: new Uint8Array(0) } as const;

/** Far more reads than the longest exchange with all its error exits needs. */
const mostReads = 200_000;

/** A pause takes no time, but the clock says that it did: limits come soon. */
function hurriedClock(): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    async sleep(ms) {
      nowMs += 100 * ms;
      await setImmediate();
    },
  };
}

/** Both registers give the input byte by byte, and its last byte for ever: what the BMC of a hostile board may do. */
function registersOf(input: Uint8Array): PortIo {
  let reads = 0;
  return {
    path: "input",
    read() {
      if (reads > mostReads) throw new RangeError(`not at its end after ${mostReads} reads`);
      const value = input[Math.min(reads, input.length - 1)] ?? 0xff;
      reads += 1;
      return value;
    },
    write: () => undefined,
    close: () => undefined,
  };
}

async function exchange(io: PortIo): Promise<unknown> {
  await using transport = new KcsTransport(io, address, hurriedClock());
  return await transport.exchange(getDeviceId, AbortSignal.any([]));
}

/** What a simulated BMC's registers gave in an exchange. */
async function recorded(reply: readonly number[]): Promise<Uint8Array> {
  const registers = new KcsRegisters({
    answer: () => ({ bytes: Uint8Array.from(reply), delayMs: 0 }),
    now: () => 0,
  });
  const read: number[] = [];
  await exchange({
    path: "simulated",
    read(port) {
      const value = registers.read(port);
      read.push(value);
      return value;
    },
    write: (port, value) => registers.write(port, value),
    close: () => undefined,
  });
  return Uint8Array.from(read);
}

const exchanges = await Promise.all(
  [
    [0x1c, 0x01, 0xc1],
    [0x1c, 0x01, 0x00, 0x20, 0x81, 0x09, 0x08, 0x02, 0x9f, 0x91, 0x12, 0x00, 0x02, 0x0f],
  ].map(recorded),
);

/** The registers of raw KCS, and how they are written in the configuration. */
export const kcsDecoders: readonly FuzzedDecoder[] = [
  {
    name: "KCS registers",
    decode: (input) => exchange(registersOf(input)),
    refusals: [TransportError],
    corpus: () => exchanges,
    maxBytes: 256,
    share: 0.5,
  },
  {
    name: "KCS address text",
    decode: (input) => parseKcsAddress(Buffer.from(input).toString("latin1")),
    refusals: [],
    corpus: () => ["io:0xca2", "io:0xCA8,spacing=4"].map((text) => Uint8Array.from(Buffer.from(text))),
  },
];
