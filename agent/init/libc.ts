import { dlopen, getInt32, getRawPointer } from "node:ffi";
import { constants } from "node:os";

/** A call of libc failed. `errno` is the number, `errorName` its name ("ENOENT"). */
export class LibcError extends Error {
  override readonly name = "LibcError";
  readonly code: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    const code = errorName(errno);
    super(`${call}: ${code}`);
    this.code = code;
    this.errno = errno;
  }
}

const errorNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);
const errorName = (errno: number): string => errorNames.get(errno) ?? `errno ${errno}`;

/** The functions of libc that an init needs, as thin as they are in C. Numbers are those of x86-64 Linux. */
function open() {
  const { lib, functions } = dlopen("libc.so.6", {
    __errno_location: { arguments: [], return: "pointer" },
    mount: { arguments: ["string", "string", "string", "uint64", "string"], return: "int32" },
    umount2: { arguments: ["string", "int32"], return: "int32" },
    sethostname: { arguments: ["string", "uint64"], return: "int32" },
    sync: { arguments: [], return: "void" },
    reboot: { arguments: ["int32"], return: "int32" },
    waitpid: { arguments: ["int32", "buffer", "int32"], return: "int32" },
    tcdrain: { arguments: ["int32"], return: "int32" },
    signal: { arguments: ["int32", "pointer"], return: "pointer" },
    fcntl: { arguments: ["int32", "int32", "int32"], return: "int32" },
    execve: { arguments: ["string", "buffer", "buffer"], return: "int32" },
    socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
    bind: { arguments: ["int32", "buffer", "uint32"], return: "int32" },
    sendto: { arguments: ["int32", "buffer", "uint64", "int32", "buffer", "uint32"], return: "int64" },
    recvfrom: { arguments: ["int32", "buffer", "uint64", "int32", "buffer", "buffer"], return: "int64" },
    close: { arguments: ["int32"], return: "int32" },
    ioctl: { arguments: ["int32", "uint64", "buffer"], return: "int32" },
    prctl: { arguments: ["int32", "uint64", "uint64", "uint64", "uint64"], return: "int32" },
    clock_settime: { arguments: ["int32", "buffer"], return: "int32" },
  });
  // finit_module has no wrapper in older libcs; syscall() takes longs
  const { functions: raw } = dlopen("libc.so.6", {
    syscall: { arguments: ["int64", "int64", "string", "int64"], return: "int64" },
  });
  const { functions: named } = dlopen("libc.so.6", {
    syscall: { arguments: ["int64", "string", "int64"], return: "int64" },
  });
  return { lib, ...functions, ...raw, syscallByName: named.syscall, errnoAt: functions.__errno_location() };
}

let opened: ReturnType<typeof open> | undefined;
const libc = () => (opened ??= open());

/** Throws LibcError when `result` is negative; `call` names what failed, with its arguments. */
function checked(result: number | bigint, call: string): number {
  if (result < 0) throw new LibcError(call, getInt32(libc().errnoAt));
  return Number(result);
}

export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  synchronous: 16,
  synchronousFolders: 128,
} as const;

/** mount(2). */
export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  checked(libc().mount(source, target, type, BigInt(flags), data), `mount ${type} on ${target}`);
}

/** umount2(2), MNT_DETACH where the device is gone, so that the place is free again. Throws LibcError of the first try. */
export function unmount(target: string): void {
  const detach = 2; // MNT_DETACH
  if (libc().umount2(target, 0) === 0) return;
  const errno = getInt32(libc().errnoAt);
  libc().umount2(target, detach);
  throw new LibcError(`umount ${target}`, errno);
}

/** sethostname(2). */
export function setHostName(name: string): void {
  checked(libc().sethostname(name, BigInt(Buffer.byteLength(name))), `sethostname ${name}`);
}

// __NR_finit_module and __NR_delete_module: x86-64 has numbers of its own, arm64 the generic ones
const finitModuleCall = process.arch === "arm64" ? 273n : 313n;
const moduleInitCompressedFile = 4n; // MODULE_INIT_COMPRESSED_FILE, linux/module.h

/** finit_module(2) of an open file. Blocks until the driver's init is done. */
export function loadModule(fd: number, parameters: string, compressed: boolean): void {
  const flags = compressed ? moduleInitCompressedFile : 0n;
  checked(libc().syscall(finitModuleCall, BigInt(fd), parameters, flags), "finit_module");
}

const deleteModuleCall = process.arch === "arm64" ? 106n : 176n;

/** delete_module(2) without waiting for users of the module. */
export function unloadModule(name: string): void {
  const nonBlocking = 0o4000n; // O_NONBLOCK
  checked(libc().syscallByName(deleteModuleCall, name, nonBlocking), `delete_module ${name}`);
}

/** RB_ constants of reboot(2), linux/reboot.h, as signed 32-bit numbers. */
const rebootCommands = { poweroff: 0x4321fedc, reboot: 0x01234567, halt: 0xcdef0123 | 0 } as const;

/** Lets the console finish, sync(2), then reboot(2). Returns only by throwing. */
export function endMachine(action: keyof typeof rebootCommands): void {
  drainConsole();
  libc().sync();
  checked(libc().reboot(rebootCommands[action]), `reboot (${action})`);
}

/** waitpid(2) with WNOHANG on one child. True when it was a zombie and is gone now. */
export function reap(pid: number): boolean {
  const noHang = 1;
  return libc().waitpid(pid, Buffer.alloc(4), noHang) === pid;
}

/** Waits until the console has sent all that was written: a slow serial line would lose the last words. */
export function drainConsole(): void {
  libc().tcdrain(1);
}

/** A null-terminated array of strings as execve(2) wants it, with the strings, which must live as long. */
function stringArray(texts: readonly string[]): { pointers: Buffer; strings: Buffer[] } {
  const strings = texts.map((text) => Buffer.from(`${text}\0`));
  const pointers = Buffer.alloc(8 * (strings.length + 1));
  for (const [index, string] of strings.entries()) pointers.writeBigUInt64LE(addressOf(string), 8 * index);
  return { pointers, strings };
}

/**
 * execve(2): another program takes the place of this one, with the same process number. Returns only by throwing, where
 * process.execve() would end the process, which no init may do.
 */
export function execute(path: string, environment: Readonly<Record<string, string>>): void {
  const brokenPipe = constants.signals.SIGPIPE;
  const defaultAction = 0n;
  const ignore = 1n;
  const programArguments = stringArray([path]);
  const variables = stringArray(Object.entries(environment).map(([name, value]) => `${name}=${value}`));
  // Node ignores SIGPIPE, and what is ignored stays so: shells would not notice that their reader is gone
  libc().signal(brokenPipe, defaultAction);
  // Node closes these for programs that take its place
  const setFlags = 2; // F_SETFD
  for (const standard of [0, 1, 2]) libc().fcntl(standard, setFlags, 0);
  const result = libc().execve(path, programArguments.pointers, variables.pointers);
  const errno = getInt32(libc().errnoAt);
  libc().signal(brokenPipe, ignore);
  if (result < 0) throw new LibcError(`execve ${path}`, errno);
}

const dontWait = 0x40; // MSG_DONTWAIT
const again = constants.errno.EAGAIN;

/** socket(2) with SOCK_CLOEXEC. */
export function openSocket(family: number, type: number, protocol: number): number {
  const closeOnExec = 0o2000000;
  return checked(libc().socket(family, type | closeOnExec, protocol), `socket family ${family}`);
}

/** bind(2). */
export function bindSocket(fd: number, address: Buffer): void {
  checked(libc().bind(fd, address, address.length), "bind");
}

/** sendto(2) without waiting; a full queue is an error (EAGAIN). */
export function sendTo(fd: number, data: Buffer, address: Buffer): void {
  checked(libc().sendto(fd, data, BigInt(data.length), dontWait, address, address.length), "sendto");
}

/** recvfrom(2) of a packet socket without waiting: a packet, cut to `buffer`, and its type (packet(7), sll_pkttype). */
export function receiveFromLink(fd: number, buffer: Buffer): { data: Buffer; type: number } | undefined {
  const address = Buffer.alloc(20); // struct sockaddr_ll
  const size = Buffer.alloc(4);
  size.writeUInt32LE(address.length);
  const length = libc().recvfrom(fd, buffer, BigInt(buffer.length), dontWait, address, size);
  if (length >= 0n) return { data: Buffer.from(buffer.subarray(0, Number(length))), type: address.readUInt8(10) };
  const errno = getInt32(libc().errnoAt);
  if (errno === again) return undefined;
  throw new LibcError("recvfrom", errno);
}

export function closeFile(fd: number): void {
  libc().close(fd);
}

/** ioctl(2) with a buffer that the kernel reads and writes. */
export function ioctl(fd: number, request: number, argument: Buffer, call: string): void {
  checked(libc().ioctl(fd, BigInt(request), argument), call);
}

/**
 * prctl(2), PR_SET_DUMPABLE: nobody but root sees the memory of this process, and the kernel writes no core of it, whatever limits
 * and core_pattern say. A program that takes our place has cores again.
 */
export function keepMemoryPrivate(): void {
  const setDumpable = 4; // PR_SET_DUMPABLE
  checked(libc().prctl(setDumpable, 0n, 0n, 0n, 0n), "prctl PR_SET_DUMPABLE");
}

/** clock_settime(2) of the clock that tells the date. Needs root (CAP_SYS_TIME). */
export function setSystemTime(time: Date): void {
  const realTime = 0; // CLOCK_REALTIME
  const milliseconds = time.getTime();
  const timespec = Buffer.alloc(16);
  timespec.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0);
  timespec.writeBigInt64LE(BigInt(Math.floor(milliseconds % 1000) * 1_000_000), 8);
  checked(libc().clock_settime(realTime, timespec), "clock_settime");
}

/** The address of a buffer's first byte, for pointers within structs. The buffer must outlive the call. */
export const addressOf = (buffer: Buffer): bigint => getRawPointer(buffer);
