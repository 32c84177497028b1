import { allCommands } from "../../ipmi/commands/index.ts";
import type { Message } from "../../ipmi/transport.ts";
import type { Arrival } from "../simulator/commands/handler.ts";
import type { Delivery } from "../simulator/delivery.ts";
import { SimulatedBmc } from "../simulator/simulated-bmc.ts";

/** Who is told of each command that comes over the BMC's network. */
export interface LanWatcher {
  /** What it does there, it does at once: the BMC goes on when this returns. */
  readonly pass: (when: "before" | "after", name: string) => void;
  /** The command changes something; `undo` brings back what was before. */
  readonly write: (undo: () => void) => void;
  /** A login that came after the last write has got in: what it has written is kept. */
  readonly proved: () => void;
}

/** Get System GUID, Get Channel Authentication Capabilities and Get Channel Cipher Suites need no login. IPMI 2.0 §22.13 to §22.15. */
const withoutLogin: readonly number[] = [0x37, 0x38, 0x54];

/** A simulated BMC at whose network side somebody watches. */
export class LanWatchedBmc extends SimulatedBmc {
  watcher: LanWatcher | undefined;

  override receive(message: Message, arrival: Arrival): readonly Delivery[] {
    const { watcher } = this;
    if (watcher === undefined || arrival.from === "in-band") return super.receive(message, arrival);
    const name = commandName(message);
    watcher.pass("before", name);
    const writes = isWrite(message);
    if (!writes && !withoutLogin.includes(message.cmd)) watcher.proved();
    const undo = this.snapshot();
    const deliveries = super.receive(message, arrival);
    if (writes) watcher.write(undo);
    watcher.pass("after", name);
    // It was reset over the command: nobody hears the answer.
    return this.isAlive(arrival.nowMs) ? deliveries : [];
  }

  /** Returns what brings back users and channels as they are now. */
  snapshot(): () => void {
    const { users, channelAccess } = structuredClone({ users: this.users, channelAccess: this.channelAccess });
    return () => {
      for (const [i, user] of users.entries()) Object.assign(this.users[i] ?? {}, user);
      this.channelAccess = channelAccess;
    };
  }
}

export function commandName({ netFn, cmd }: Message): string {
  return allCommands.find((each) => each.netFn === netFn && each.cmd === cmd)?.name ?? `command ${netFn}-${cmd}`;
}

/** Whether it changes what the BMC keeps; testing a password does not. */
export function isWrite(message: Message): boolean {
  const isTest = message.cmd === 0x47 && ((message.data[1] ?? 0) & 0x03) === 3;
  return commandName(message).startsWith("Set ") && !isTest;
}
