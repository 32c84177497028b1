import { expect, test } from "vitest";
import { waitForIpmiDevice } from "./ipmi-device-node.ts";
import { FakeClock } from "./network/dhcp-server.fixture.ts";

async function wait(probesNeeded: number, limitMs = 60_000) {
  const clock = new FakeClock();
  const notes: string[] = [];
  let probes = 1;
  const probeAgain = () => {
    probes++;
  };
  const world = { clock, limitMs, probeAgain, namedBy: "SMBIOS", isThere: () => probes >= probesNeeded };
  await waitForIpmiDevice(world, { note: (text) => notes.push(text) });
  return { probes, notes, waitedMs: clock.now() };
}

test("a node that is there costs nothing", async () => {
  expect(await wait(1)).toEqual({ probes: 1, notes: [], waitedMs: 0 });
});

test("a BMC that boots is looked for again, and that is said once", async () => {
  const { probes, notes, waitedMs } = await wait(4);
  expect(probes).toBe(4);
  expect(notes).toEqual([expect.stringContaining("may be booting: looking for at most 60 s")]);
  expect(waitedMs).toBeLessThan(20_000);
});

test("the wait ends", async () => {
  const { notes, waitedMs } = await wait(Number.POSITIVE_INFINITY);
  expect(notes.at(-1)).toContain("found none within 60 s");
  expect(waitedMs).toBeLessThan(70_000);
});
