import { expect, test } from "vitest";
import { KcsTransport } from "../../inband/kcs/kcs-transport.ts";
import { kcsFace } from "../simulator/bmc-faces.ts";
import { fakeClock } from "./fake-clock.ts";
import { Machine } from "./machine.ts";

/** The run over the registers of a simulated BMC, whose time is that of the run. */
async function bootOverKcs(machine: Machine, face: Parameters<typeof kcsFace>[1] = {}) {
  const clock = fakeClock();
  const openBmc = async () => {
    const registers = kcsFace(machine.bmc, { ...face, now: () => clock.now() });
    return new KcsTransport(registers, { port: 0xca2, spacing: face.spacing ?? 1 }, clock);
  };
  return await machine.boot({ clock, world: { openBmc } });
}

test("a machine enrols over raw KCS, and knows itself the next time", async () => {
  const machine = new Machine();
  expect((await bootOverKcs(machine)).kind).toBe("linked");
  const again = await bootOverKcs(machine);
  expect(again.kind).toBe("recognised");
  expect(again.ipmi.commands).toBeLessThanOrEqual(4);
});

test("registers four bytes apart, and a BMC that is slow with every byte", async () => {
  const outcome = await bootOverKcs(new Machine(), { spacing: 4, byteMs: 1 });
  expect(outcome.kind).toBe("linked");
  expect(outcome.ipmi.commands).toBeLessThanOrEqual(45);
});
