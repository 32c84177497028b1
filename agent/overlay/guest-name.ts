import { basename } from "node:path";

/**
 * Whether the program was started as a guest in somebody else's ramdisk: u-root's init starts `/inito` and waits for its end
 * before it goes on to its own program. There it is process 1 of a PID namespace without being the machine's init, so only
 * the name tells.
 * @param argv0 the name by which the program was started (process.argv0)
 */
export const isGuest = (argv0: string): boolean => basename(argv0) === "inito";

/** Whether this process is the init of the machine. */
export const isInit = (): boolean => process.pid === 1 && !isGuest(process.argv0);
