import { describe, expect, test } from "vitest";
import { send } from "../../ipmi/command.ts";
import { getLanConfigurationParameters, readFruData } from "../../ipmi/commands/index.ts";
import { macAddress } from "../../ipmi/lan-parameters.ts";
import { profiles, spec } from "../simulator/profiles.ts";
import { connectAsMachine } from "./machine-side.ts";
import { machineOfProfile, startProfileBmc } from "./profile-bmc.ts";
import { fruImage, makeUpTruth } from "./truth.ts";

const soon = () => AbortSignal.timeout(5_000);
const open = [...profiles.values()].filter(
  ({ access, timing }) => access.inBand === "open" && timing.boot === undefined,
);

describe.each(open)("a machine with a BMC like $name", (profile) => {
  test("has a MAC of its own, and its BMC tells what the truth says", async () => {
    const madeUp = makeUpTruth();
    const machine = machineOfProfile({ ...profile, faults: [] }, madeUp);
    const { truth } = machine;
    expect(truth.bmcMac).toBe(madeUp.bmcMac);
    await using bmc = await startProfileBmc(machine, () => undefined);
    await using inBand = await connectAsMachine(bmc.vmPort);
    const channel = { revisionOnly: false, number: truth.bmcChannel ?? 1 };
    const mac = { channel, parameterSelector: 5, setSelector: 0, blockSelector: 0 };
    const { parameterData } = await send(inBand, getLanConfigurationParameters, mac, soon());
    expect(macAddress.decode(parameterData)).toBe(truth.bmcMac);
    if (truth.fru === "unknown") return;
    const { data } = await send(inBand, readFruData, { fruDeviceId: 0, offset: 0, count: 8 }, soon());
    expect([...data]).toEqual([...fruImage(truth.fru).subarray(0, data.length)]);
  });
});

test("no two machines share a MAC, on no channel", () => {
  const macs = [...profiles.values()].flatMap((profile) =>
    [1, 2].flatMap(() => machineOfProfile(profile, makeUpTruth()).lans.map(({ mac }) => mac)),
  );
  const real = macs.filter((mac) => mac !== "00:00:00:00:00:00");
  expect(new Set(real).size).toBe(real.length);
});

test.each(["hardReset", "none"])("a watchdog that is over does its action, %s, once", async (timeoutAction) => {
  const done: string[] = [];
  await using sim = await startProfileBmc(machineOfProfile(spec, makeUpTruth()), (operation) => done.push(operation));
  const { watchdog } = sim.bmc;
  const tenth = { initialCountdown: 1, preTimeoutSeconds: 0, preTimeoutInterrupt: "none", dontLog: true };
  watchdog.settings = { ...tenth, use: "osLoad", timeoutAction };
  watchdog.startedAtMs = performance.now();
  await expect.poll(() => watchdog.startedAtMs).toBeUndefined();
  expect(done).toEqual(timeoutAction === "none" ? [] : [timeoutAction]);
});
