import type { LocalSettings } from "../config/settings.ts";

/** The consoles of this machine, as the kernel names them: Documentation/ABI/testing/sysfs-tty. */
export interface Consoles {
  /** The screen with its keyboard: "/dev/tty1"; undefined if the kernel has none. */
  readonly local: string | undefined;
  /** Whether what is written to /dev/console goes to the screen. */
  readonly mainIsLocal: boolean;
  /** Serial lines and the like. `isMain`: what is written to /dev/console goes there. */
  readonly others: readonly { readonly path: string; readonly isMain: boolean }[];
}

const activeConsoles = "/sys/class/tty/console/active";
const activeTerminal = "/sys/class/tty/tty0/active";

/** @param read a file's text; throws if it is not there */
export function readConsoles(read: (path: string) => string): Consoles {
  const readOr = (path: string): string => {
    try {
      return read(path).trim();
    } catch {
      return "";
    }
  };
  // The last one is where /dev/console leads.
  const names = readOr(activeConsoles).split(" ").filter(Boolean);
  const isLocal = (name: string): boolean => /^tty\d+$/.test(name);
  const terminal = readOr(activeTerminal);
  return {
    local: terminal === "" ? undefined : `/dev/${terminal}`,
    mainIsLocal: isLocal(names.at(-1) ?? ""),
    others: names
      .filter((name) => !isLocal(name))
      .map((name) => ({ path: `/dev/${name}`, isMain: name === names.at(-1) })),
  };
}

export type ScreenWishes = Pick<LocalSettings, "screen" | "led" | "stick">;

/** Whether the screen is to be shown: to somebody who carries a stick, or looks at the console that the kernel was given. */
export function wantsScreen({ screen, stick }: ScreenWishes, { mainIsLocal }: Consoles): boolean {
  if (screen !== "auto") return screen === "1";
  return stick || mainIsLocal;
}

/** Whether anything of the screen is wanted: it is loaded only then. */
export const wantsTechnician = (wishes: ScreenWishes, consoles: Consoles): boolean =>
  wishes.led === "1" || wantsScreen(wishes, consoles);
