import { dlopen, getInt32 } from "node:ffi";
import { constants } from "node:os";

/**
 * Closes the memory of this process, which holds the key of the passwords: nobody but root can look into it, and no core is written
 * of it, whatever limits and core_pattern say. By prctl(2), PR_SET_DUMPABLE, and setrlimit(2), RLIMIT_CORE. Linux only.
 * @returns what could not be done, for people; undefined if all is closed
 */
export function closeMemory(): string | undefined {
  try {
    const { functions } = dlopen("libc.so.6", {
      __errno_location: { arguments: [], return: "pointer" },
      prctl: { arguments: ["int32", "uint64", "uint64", "uint64", "uint64"], return: "int32" },
      setrlimit: { arguments: ["int32", "buffer"], return: "int32" },
    });
    const { prctl, setrlimit, __errno_location: errnoAt } = functions;
    const failed = (call: string, result: number) => (result < 0 ? [`${call}: ${errorName(getInt32(errnoAt()))}`] : []);
    const setDumpable = 4; // PR_SET_DUMPABLE
    const coreSize = 4; // RLIMIT_CORE
    const none = Buffer.alloc(16); // struct rlimit: soft and hard limit, 64 bits each
    const problems = [
      ...failed("prctl PR_SET_DUMPABLE", prctl(setDumpable, 0n, 0n, 0n, 0n)),
      ...failed("setrlimit RLIMIT_CORE", setrlimit(coreSize, none)),
    ];
    return problems.length === 0 ? undefined : problems.join(", ");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function errorName(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}
