import { expect, test } from "vitest";
import { defaultLimits } from "../../agent/world.ts";
import { getWatchdogTimer } from "../../ipmi/commands/get-watchdog-timer.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { type Fault, SimulatedTransport } from "../simulator/simulated-transport.ts";
import type { WatchdogSettings } from "../simulator/watchdog.ts";
import { Machine } from "./machine.ts";

const settings = { agentVersion: "metal-rivet test", rotate: false, limits: defaultLimits, watchdogMs: 960_000 };
const watchdogCommands = (machine: Machine) => machine.bmc.log.filter((name) => name.includes("Watchdog"));

/** Boots with the key `watchdog`, and tells how the BMC's watchdog stood when the service was asked to log in. */
async function boot(machine: Machine) {
  let during: { settings: WatchdogSettings | undefined; running: boolean } | undefined;
  machine.service.hook = (when, call) => {
    const { watchdog } = machine.bmc;
    if (when === "before" && call === "watchHandOff") {
      during = { settings: watchdog.settings, running: watchdog.running(0) };
    }
  };
  return { outcome: await machine.boot({ world: { settings } }), during };
}

test("without the key no watchdog is touched, nor looked at", async () => {
  const machine = new Machine();
  await machine.boot();
  expect(watchdogCommands(machine)).toEqual([]);
});

test("the BMC watches the run, and is told when it has ended", async () => {
  const machine = new Machine();
  const { outcome, during } = await boot(machine);
  expect(outcome.kind).toBe("linked");
  expect(during).toEqual({
    running: true,
    settings: {
      dontLog: true,
      use: "osLoad",
      preTimeoutInterrupt: "none",
      timeoutAction: "hardReset",
      preTimeoutSeconds: 0,
      initialCountdown: 9_600,
    },
  });
  expect(watchdogCommands(machine)).toEqual([
    "Get Watchdog Timer",
    "Set Watchdog Timer",
    "Reset Watchdog Timer",
    "Set Watchdog Timer",
  ]);
  expect(machine.bmc.watchdog.running(0)).toBe(false);
  expect(machine.bmc.watchdog.settings).toMatchObject({ timeoutAction: "none" });
});

test("it is stopped after a run that failed, too", async () => {
  const machine = new Machine();
  machine.service.hook = (when, call) => {
    if (when === "before" && call === "escrowAccount") throw new Error("the service is gone");
  };
  await expect(machine.boot({ world: { settings } })).rejects.toThrow("the service is gone");
  expect(watchdogCommands(machine)).toHaveLength(4);
  expect(machine.bmc.watchdog.running(0)).toBe(false);
});

test.each([
  ["biosPost", true],
  ["biosFrb2", true],
  ["smsOs", false],
  ["oem", false],
])("one that runs for %s is taken over: %s", async (use, taken) => {
  const machine = new Machine();
  const before = {
    ...{ dontLog: false, use, preTimeoutInterrupt: "none", timeoutAction: "powerCycle" },
    ...{ preTimeoutSeconds: 0, initialCountdown: 60_000 },
  };
  machine.bmc.watchdog.settings = before;
  machine.bmc.watchdog.startedAtMs = 0;
  expect((await boot(machine)).outcome.kind).toBe("linked");
  if (taken) expect(machine.bmc.watchdog.running(0)).toBe(false);
  else {
    expect(machine.bmc.watchdog).toMatchObject({ settings: before, startedAtMs: 0 });
    expect(machine.notes).toContain(`The BMC's watchdog runs for somebody else (timer use ${use}): it is left alone.`);
  }
});

test("a BMC without watchdog is noted, and linked", async () => {
  const machine = new Machine();
  const onGet: Fault = {
    on: ({ netFn, cmd }) => netFn === getWatchdogTimer.netFn && cmd === getWatchdogTimer.cmd,
    effect: { answer: CompletionCode.invalidCommand },
  };
  const openBmc = async () => new SimulatedTransport(machine.bmc, [onGet]);
  expect((await machine.boot({ world: { settings, openBmc } })).kind).toBe("linked");
  expect(machine.notes.join()).toContain("The BMC's watchdog was not started: Get Watchdog Timer");
});
