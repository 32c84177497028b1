/**
 * The overlay: an archive to be appended to somebody else's ramdisk as one more initrd.
 *
 *   /opt/rivet  agent and libraries (private-prefix.ts); nothing else of the other ramdisk is touched
 *   /inito      the agent. u-root's init, metal-hammer's, starts it in a PID namespace of its own and waits for its end
 *               before it goes on; the agent knows by this name that it is a guest. Other inits do not look at it.
 *
 * It begins with zeros (packed-cpio.ts), and brings no kernel modules: they would not fit the other ramdisk's kernel.
 */

import type { CpioPart } from "./packed-cpio.ts";
import { agentPath } from "./private-prefix.ts";

export const overlayPart: CpioPart = {
  name: "inito",
  entries: [{ kind: "link", path: "inito", target: agentPath }],
};
