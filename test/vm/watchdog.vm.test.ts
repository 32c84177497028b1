import { afterAll, beforeAll, expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { followBoot } from "../lab/agent-log.ts";
import { until } from "../lab/deadline.ts";
import { spec } from "../simulator/profiles.ts";
import { openSite, rowOf, type Site } from "./site.ts";

/** `rivet.limit`, seconds. The BMC waits a minute longer. */
const limitSeconds = 300;
const countdownMs = (limitSeconds + 60) * 1_000;

const stack = new AsyncDisposableStack();
let site: Site<"one">;
beforeAll(async () => {
  site = stack.use(await openSite({ one: { profile: spec } }));
});
afterAll(() => stack.disposeAsync());

test("a run that hangs is ended by the BMC's watchdog, and the next one stops it", async () => {
  const machine = site.machines.one;
  const bmc = machine.bmc?.simulated;
  if (bmc === undefined) throw new Error("the machine has no simulated BMC");
  const { watchdog } = bmc;
  site.documents.put("one.yaml", { service: site.service.addressSeenByVm, log: "json", ...site.certificates });
  const config = `rivet.config=${site.documents.urlOf("one.yaml")}`;
  await machine.powerOn(`rivet.log=json ${config} rivet.watchdog=1 rivet.limit=${limitSeconds}`);

  await until("the watchdog to run", 60_000, () => watchdog.startedAtMs !== undefined, { everyMs: 5 });
  expect(watchdog.settings).toMatchObject({ timeoutAction: "hardReset", initialCountdown: countdownMs / 100 });
  // From now on the BMC is silent to its machine; and it is six minutes later.
  bmc.replaceFaults([{ via: "in-band", count: "always", effects: [{ drop: "request" }] }]);
  expect(machine.powerEvents.filter(({ what }) => what === "reset")).toEqual([]);
  watchdog.startedAtMs = (watchdog.startedAtMs ?? 0) - countdownMs;
  await until("the BMC to reset its machine", 10_000, () => machine.powerEvents.some(({ what }) => what === "reset"));

  bmc.replaceFaults([]);
  machine.console.skip();
  const { exitCode, text } = await followBoot(machine, { limitMs: 60_000 });
  expect(exitCode, text).toBe(0);
  expect(await rowOf(site, machine.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
  await until("the watchdog to stand", 10_000, () => watchdog.startedAtMs === undefined);
  expect(watchdog.settings).toMatchObject({ timeoutAction: "none" });
  expect(machine.powerEvents.filter(({ what }) => what === "reset")).toHaveLength(1);
});
