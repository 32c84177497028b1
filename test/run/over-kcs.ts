import { setImmediate } from "node:timers/promises";
import type { Outcome } from "../../agent/outcome.ts";
import { KcsTransport } from "../../inband/kcs/kcs-transport.ts";
import type { PortIo } from "../../inband/kcs/port-io.ts";
import { kcsFace } from "../simulator/bmc-faces.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import type { Machine } from "./machine.ts";

const address = { port: 0xca2, spacing: 1 };

/** How a boot over the registers ended, with the time that passed for the machine. */
export interface KcsBoot {
  readonly ended: Outcome | Error;
  /** Whether the agent let go of the ports. */
  readonly closed: boolean;
  readonly durationMs: number;
}

/**
 * Boots over the BMC's registers: our side of KCS against its side, nothing else in between. Time passes by itself.
 * @param byteMs for how long the BMC is busy with every byte that it is given, milliseconds
 */
export async function bootOverKcs(machine: Machine, byteMs = 0): Promise<KcsBoot> {
  let accesses = 0;
  // A transfer takes turns of the event loop without a timer: time must not pass as long as it goes on.
  const clock = virtualClock(async () => {
    for (let before = -1; before !== accesses; ) {
      before = accesses;
      await setImmediate();
      await setImmediate();
    }
  });
  const registers = kcsFace(machine.bmc, { now: () => clock.now(), byteMs });
  const io: PortIo = {
    path: registers.path,
    read(port) {
      accesses += 1;
      return registers.read(port);
    },
    write(port, value) {
      accesses += 1;
      registers.write(port, value);
    },
    close: () => registers.close(),
  };
  const openBmc = async () => new KcsTransport(io, address, clock);
  const ended = await machine.boot({ clock, world: { openBmc } }).catch((error: Error) => error);
  return { ended, closed: registers.closed, durationMs: clock.now() };
}
