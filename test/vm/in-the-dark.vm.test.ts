import { afterAll, beforeAll, expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { newToken } from "../lab/service.ts";
import { spec } from "../simulator/profiles.ts";
import { boot, openSite, rowOf, type Site } from "./site.ts";

const stack = new AsyncDisposableStack();
let site: Site<"one" | "held">;
beforeAll(async () => {
  // It never says a word: the kernel's driver waits for it, and the agent for the driver.
  const silent = { ...spec, name: "silent", timing: { boot: { ms: 3_600_000, codes: ["silence"] as const } } };
  site = stack.use(await openSite({ one: {}, held: { profile: silent, onReboot: "exit" } }));
});
afterAll(() => stack.disposeAsync());

const textsOf = ({ told }: BootResult): string[] => told.flatMap((each) => ("text" in each ? [each.text] : []));

test("a machine whose document named a service that nobody runs is linked by the next try, after it was put right", async () => {
  const machine = site.machines.one;
  const token = await newToken(site.service, machine.truth.uuid, 1);
  const wrong = { service: "10.0.2.2:1", service_limit: 1, token };
  const { exitCode, text } = await boot(site, "one", { config: wrong, withoutCertificate: true, stayOn: true });
  expect(exitCode, text).toBe(69);

  const { ca } = site.certificates;
  site.documents.put("one.yaml", { service: site.service.addressSeenByVm, log: "json", ca, token });
  const second = await followBoot(machine, { limitMs: 60_000 });
  await machine.powerOff();
  expect(textsOf(second)[0]).toMatch(/^next try in \d\.\d s \(2 of 10\)$/);
  expect(second.exitCode, textsOf(second).join("\n")).toBe(0);
  expect(await rowOf(site, machine.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
});

test("a machine that its driver holds for too long says so, and restarts", async () => {
  const machine = site.machines.held;
  await machine.powerOn("rivet.log=json rivet.config=http://10.0.2.2:1/none rivet.stuck_limit=5");
  const isSaid = (line: string) => (line.includes("is held by the kernel for 5 s") ? line : undefined);
  const said = await machine.console.waitFor("the reason", 120_000, isSaid);
  expect(said).toContain("probably by a driver: rebooting in 5 s");
  for (let waitedS = 0; !machine.powerEvents.some(({ what, by }) => what === "off" && by === "machine"); waitedS += 1) {
    expect(waitedS, "seconds until the machine restarted").toBeLessThan(60);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
});
