/**
 * The framing between QEMU's `ipmi-bmc-extern` and a BMC outside (QEMU hw/ipmi/ipmi_bmc_extern.c): a byte stream in which A0
 * ends a message, A1 ends a control command, and AA escapes these three.
 */

const MESSAGE_END = 0xa0;
const CONTROL_END = 0xa1;
const ESCAPE = 0xaa;

/** Control commands. The same numbers mean different things in the two directions. */
export const Control = {
  /** BMC to machine: nothing waits. */
  noAttention: 0x00,
  /** Machine to BMC: the machine was reset. */
  machineReset: 0x04,
  /** Either direction, with the version as argument: first word on a connection. */
  version: 0xff,
  /** Machine to BMC, with a bit mask: what the machine can do for the BMC. */
  capabilities: 0x08,
} as const;

export type Frame =
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  | { readonly kind: "control"; readonly bytes: Uint8Array };

/** Takes a byte stream apart. Keeps what is not complete for the next chunk. */
export class FrameReader {
  #bytes: number[] = [];
  #escaped = false;

  /** @returns the frames that this chunk completes, in order */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (const byte of chunk) {
      if (byte === MESSAGE_END || byte === CONTROL_END) {
        frames.push({ kind: byte === MESSAGE_END ? "message" : "control", bytes: Uint8Array.from(this.#bytes) });
        this.#bytes = [];
        this.#escaped = false;
      } else if (byte === ESCAPE) {
        this.#escaped = true;
      } else {
        this.#bytes.push(this.#escaped ? byte & ~0x10 : byte);
        this.#escaped = false;
      }
    }
    return frames;
  }
}

/** A frame as it goes onto the wire. */
export function encodeFrame(frame: Frame): Uint8Array {
  const out: number[] = [];
  for (const byte of frame.bytes) {
    if (byte === MESSAGE_END || byte === CONTROL_END || byte === ESCAPE) out.push(ESCAPE, byte | 0x10);
    else out.push(byte);
  }
  out.push(frame.kind === "message" ? MESSAGE_END : CONTROL_END);
  return Uint8Array.from(out);
}

/** An IPMI message inside a frame: a request of the machine, or the BMC's answer. */
export interface CodecMessage {
  /** 0-255, the same in the answer. */
  readonly sequence: number;
  /** Even in a request, odd in an answer. */
  readonly netFn: number;
  readonly lun: number;
  readonly cmd: number;
  /** After the command byte; in an answer the first byte is the completion code. */
  readonly data: Uint8Array;
}

/** @returns undefined if it is too short or its checksum is wrong */
export function parseMessage(bytes: Uint8Array): CodecMessage | undefined {
  const [sequence, netFnLun, cmd] = bytes;
  if (bytes.length < 4 || sequence === undefined || netFnLun === undefined || cmd === undefined) return undefined;
  if (bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0) !== 0) return undefined;
  return { sequence, netFn: netFnLun >> 2, lun: netFnLun & 3, cmd, data: bytes.subarray(3, -1) };
}

/** The bytes of a message, checksum included: all of them sum to 0 modulo 256. */
export function encodeMessage(message: CodecMessage): Uint8Array {
  const bytes = [message.sequence, (message.netFn << 2) | message.lun, message.cmd, ...message.data];
  const sum = bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
  return Uint8Array.from([...bytes, -sum & 0xff]);
}
