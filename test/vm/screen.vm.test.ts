import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chassisIdentify } from "../../ipmi/commands/chassis-identify.ts";
import { ensureBuilt } from "../lab/artifacts.ts";
import { until } from "../lab/deadline.ts";
import { pressKey, waitForQr } from "../screen/local-screen.ts";
import { makeScenes, openScenes, playScene, type Scene } from "../screen/scenes.ts";
import { spec } from "../simulator/profiles.ts";
import type { Boot, Site } from "./site.ts";

const stack = new AsyncDisposableStack();
let scenes: ReadonlyMap<string, Scene>;
let site: Site<string>;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-screen-"));
  chmodSync(directory, 0o700);
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  await ensureBuilt(join(directory, "build.log"));
  const all = await makeScenes(directory);
  // A BMC of ours, whose light can be seen.
  const chosen: readonly Scene[] = [
    { name: "linked", state: "LINKED", spec: { profile: spec } },
    ...all.filter(({ name }) => name === "bad-file"),
    ...all.filter(({ name }) => name === "no-link").map((scene) => ({ ...scene, boot: withoutLight })),
  ];
  scenes = new Map(chosen.map((scene) => [scene.name, scene]));
  site = stack.use(await openScenes(chosen));
});
afterAll(() => stack.disposeAsync());

/** Waits for a network long enough for a light to blink. */
const withoutLight = () => ({ args: "rivet.network_limit=8 rivet.led=0" });

const identifies = ({ commands }: Boot) =>
  commands.filter(({ netFn, cmd }) => netFn === chassisIdentify.netFn && cmd === chassisIdentify.cmd);

function find(name: string) {
  const [scene, machine] = [scenes.get(name), site.machines[name]];
  if (scene === undefined || machine === undefined) throw new Error(`there is no scene ${name}`);
  return { scene, machine };
}

test("a machine that is linked says so on its screen, obeys its keyboard, and lights its chassis", async () => {
  const { scene, machine } = find("linked");
  const booted = await playScene(site, scene);
  expect(booted, booted.text).toMatchObject({ outcome: "linked", exitCode: 0 });
  const read = await waitForQr(machine, /^LINKED/);
  const { uuid } = machine.truth;
  const facts = `MAC ${machine.truth.bmcMac}\nIP ${machine.truth.bmcIp}`;
  expect(read).toBe(`LINKED\nUUID ${uuid}\n${facts}`);

  const light = () => machine.bmc?.simulated?.chassis.identifyUntilMs;
  await until("a steady light", 10_000, () => light() === "always");
  // One at least: it blinks every two seconds, and a run may be over by then.
  expect(identifies(booted).length).toBeGreaterThan(0);

  await pressKey(machine, "i");
  await machine.console.waitFor(
    "inspect's words on the serial line",
    60_000,
    (line) => /SPACE next page/.test(line) || undefined,
  );
  await pressKey(machine, "q");
  await waitForQr(machine, /^LINKED/);

  await pressKey(machine, "r");
  await machine.console.waitFor("another run", 120_000, (line) => line.includes('"outcome":"recognised"') || undefined);
  await waitForQr(machine, /^LINKED/);

  await pressKey(machine, "p");
  await machine.console.waitFor("the question", 10_000, (line) => line.includes("Power off? Y yes, N no") || undefined);
  await pressKey(machine, "y");
  await until("the machine to go off", 30_000, () => !machine.isOn);
  expect(light()).not.toBe("always");
});

test.each(["no-link", "bad-file"])("%s is on the screen", async (name) => {
  const { scene, machine } = find(name);
  const booted = await playScene(site, scene);
  expect(booted.outcome).toBe("error");
  // A light that is not wanted is left alone.
  if (name === "no-link") expect(identifies(booted)).toEqual([]);
  expect(await waitForQr(machine, new RegExp(`^${scene.state}`))).toContain(machine.truth.uuid);
  await machine.powerOff();
});
