import { endianness } from "node:os";

/**
 * The calls of the C library that Node has no function for. Loaded when first needed (node:ffi and libc cost
 * milliseconds that other commands save). Each answers the call's result and the error number if that was negative.
 */
export interface Libc {
  open(path: string, flags: number): CallResult;
  close(fd: number): CallResult;
  /** @param argument a structure in memory; the call may change it */
  ioctl(fd: number, request: number, argument: Uint8Array): CallResult;
  /** Blocks the thread for up to `limitMs`. @param pollfd `struct pollfd`, 8 bytes */
  poll(pollfd: Uint8Array, limitMs: number): CallResult;
  /** Where the bytes are in memory: valid as long as the caller holds them. */
  addressOf(data: Uint8Array): bigint;
}

export interface CallResult {
  readonly result: number;
  /** errno; 0 if the call succeeded. */
  readonly errno: number;
}

let loaded: Libc | undefined;

/** @throws Error if this machine is not a 64-bit little-endian Linux with glibc */
export function loadLibc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  if (process.platform !== "linux" || endianness() !== "LE" || (process.arch !== "x64" && process.arch !== "arm64")) {
    throw new Error(
      `the kernel's structures are known for 64-bit Linux only, this is ${process.platform} ${process.arch}`,
    );
  }
  const ffi = process.getBuiltinModule("node:ffi");
  const { functions } = ffi.dlopen("libc.so.6", {
    open: { arguments: ["string", "int32"], return: "int32" },
    close: { arguments: ["int32"], return: "int32" },
    ioctl: { arguments: ["int32", "uint64", "buffer"], return: "int32" },
    poll: { arguments: ["buffer", "uint64", "int32"], return: "int32" },
    __errno_location: { arguments: [], return: "pointer" },
  });
  // One address for each thread; this module lives in one.
  const errnoAddress = functions.__errno_location();
  const answer = (result: number): CallResult => ({
    result,
    errno: result < 0 ? ffi.getInt32(errnoAddress) : 0,
  });
  return {
    open: (path, flags) => answer(functions.open(path, flags)),
    close: (fd) => answer(functions.close(fd)),
    ioctl: (fd, request, argument) => answer(functions.ioctl(fd, BigInt(request), argument)),
    poll: (pollfd, limitMs) => answer(functions.poll(pollfd, 1n, limitMs)),
    addressOf: (data) => ffi.getRawPointer(data),
  };
}
