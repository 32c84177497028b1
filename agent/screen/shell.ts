import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";

const path = "/bin/sh";

/** Whether this ramdisk has a shell; ours has none, but it may be added to it. */
export function hasShell(): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * A shell on a terminal, to its end. The outer one leads a session of its own, so that the terminal becomes its controlling one
 * when it opens it: tty_ioctl(2).
 * @param terminal "/dev/tty1"
 */
export async function runShell(terminal: string): Promise<void> {
  const script = `stty sane 2>/dev/null <"$0"; printf '\\033[?25h\\033[?7h\\r\\nLeave the shell by exit.\\r\\n' >"$0"; exec ${path} -i <"$0" >"$0" 2>&1`;
  const child = spawn(path, ["-c", script, terminal], {
    stdio: "ignore",
    detached: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", TERM: "linux" },
  });
  await once(child, "exit");
}
