import { dlopen, dlsym, getInt32, getRawPointer } from "node:ffi";
import { LibcError } from "./libc.ts";

function open() {
  const { lib, functions } = dlopen("libc.so.6", {
    __errno_location: { arguments: [], return: "pointer" },
    timer_create: { arguments: ["int32", "buffer", "buffer"], return: "int32" },
    timer_settime: { arguments: ["uint64", "int32", "buffer", "uint64"], return: "int32" },
    // named here so that they can be found
    reboot: { arguments: ["int32"], return: "int32" },
    puts: { arguments: ["pointer"], return: "int32" },
    _exit: { arguments: ["int32"], return: "void" },
  });
  return { lib, ...functions };
}

let opened: ReturnType<typeof open> | undefined;

/** What a timer may call, each with one argument: a number, or a text with its terminating zero, which must not be collected. */
export type TimerCall =
  | { readonly name: "reboot" | "_exit"; readonly argument: number }
  | { readonly name: "puts"; readonly text: Buffer };

/**
 * A timer of libc that calls a function of libc in a thread of its own when it is over: also while this thread is held by the
 * kernel and no JavaScript runs. It costs no memory to speak of. timer_create(2), SIGEV_THREAD; x86-64 Linux with glibc 2.34.
 */
export class LibcTimer {
  readonly #libc: ReturnType<typeof open>;
  readonly #timer: bigint;
  /** What the call is given lives as long as the timer. */
  readonly call: TimerCall;

  /** @throws Error where libc has no such timers */
  constructor(call: TimerCall) {
    this.call = call;
    opened ??= open();
    const libc = opened;
    const monotonic = 1; // CLOCK_MONOTONIC
    const event = Buffer.alloc(64); // struct sigevent
    event.writeBigUInt64LE(call.name === "puts" ? getRawPointer(call.text) : BigInt(call.argument), 0);
    event.writeInt32LE(2, 12); // SIGEV_THREAD
    event.writeBigUInt64LE(dlsym(libc.lib, call.name), 16);
    const timer = Buffer.alloc(8);
    if (libc.timer_create(monotonic, event, timer) < 0) {
      throw new LibcError("timer_create", getInt32(libc.__errno_location()));
    }
    this.#libc = libc;
    this.#timer = timer.readBigUInt64LE(0);
  }

  /** Lets it be over in `ms`, once, whatever was set before. */
  set(ms: number): void {
    const when = Buffer.alloc(32); // struct itimerspec: no interval
    when.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 16);
    when.writeBigInt64LE(BigInt(Math.round((ms % 1000) * 1_000_000)), 24);
    this.#libc.timer_settime(this.#timer, 0, when, 0n);
  }
}
