import type { Message } from "../../ipmi/transport.ts";

/**
 * The seam below the OpenIPMI transport: what the kernel's device node does. Only here do tests swap.
 * None of its calls blocks, but `wait`.
 */
export interface IpmiDevice {
  /** For example "/dev/ipmi0". */
  readonly path: string;
  /**
   * Hands a request to the kernel.
   * @param id comes back with the reply
   * @throws DeviceError; nothing was sent then
   */
  send(id: number, message: Message): void;
  /**
   * The next reply that waits, if any.
   * @throws DeviceError
   */
  receive(): DeviceReply | undefined;
  /** Blocks the thread until a reply waits, or for `limitMs`: a few milliseconds at most, nothing else runs meanwhile. */
  wait(limitMs: number): void;
  close(): void;
}

export interface DeviceReply {
  readonly id: number;
  /** Odd: that of the request plus 1. */
  readonly netFn: number;
  readonly cmd: number;
  /** Completion code and data; empty if the kernel gave none. */
  readonly data: Uint8Array;
}

/** A call to the kernel failed. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  readonly code = "device";
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoText(errno)}`);
    this.errno = errno;
  }
}

/** Error numbers that the OpenIPMI driver gives. Linux asm-generic/errno-base.h and errno.h. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  ENOTTY: 25,
  EMSGSIZE: 90,
  ESHUTDOWN: 108,
} as const;

const meanings: Readonly<Record<number, string>> = {
  [Errno.EPERM]: "not permitted; run as root",
  [Errno.ENOENT]: "it does not exist; is the module ipmi_devintf loaded?",
  [Errno.ENXIO]: "no such device; the driver has no BMC behind it",
  [Errno.EBADF]: "it is closed",
  [Errno.ENOMEM]: "the kernel has no memory",
  [Errno.EACCES]: "permission denied; run as root",
  [Errno.EFAULT]: "bad address; a bug of ours",
  [Errno.EBUSY]: "the driver is busy",
  [Errno.ENODEV]: "no such device; the driver has no BMC behind it",
  [Errno.EINVAL]: "the driver refuses the request",
  [Errno.ENOTTY]: "it is no OpenIPMI device",
  [Errno.EMSGSIZE]: "the message is longer than the driver or the buffer takes",
  [Errno.ESHUTDOWN]: "the driver is shutting down",
};

function errnoText(errno: number): string {
  const name = Object.entries(Errno).find(([, number]) => number === errno)?.[0];
  return `${meanings[errno] ?? "failed"} (${name ?? "error"} ${errno})`;
}
