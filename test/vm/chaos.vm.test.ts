import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { until } from "../lab/deadline.ts";
import { startService } from "../lab/service.ts";
import type { FaultRule } from "../simulator/fault-rule.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { nameText } from "../simulator/users.ts";
import { accountsOf, type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/* A sample of `npm run chaos` with the real program on a real kernel: what dies, dies in earnest. */

/** The BMC executes that command and keeps its answer to itself, once: the machine hangs there until its plug is pulled. */
const hangsAt = (rule: Omit<FaultRule, "effects">): Profile => ({
  ...strict,
  faults: [{ ...rule, via: "in-band", effects: [{ drop: "reply" }] }],
});

/** Where the plug is pulled: the command's name, and how often it was sent by then. */
const cuts = {
  escrow: { profile: hangsAt({ cmd: 0x46, user: 9 }), command: "Get User Name", nth: 8, step: "escrow account" },
  name: { profile: hangsAt({ cmd: 0x45 }), command: "Set User Name", nth: 1, step: "set account" },
  password: {
    profile: hangsAt({ cmd: 0x47, operation: "set" }),
    command: "Set User Password",
    nth: 1,
    step: "set account",
  },
} as const;
type Cut = keyof typeof cuts;

const resets = {
  "reset-kept": { ...strict, timing: { ...strict.timing, resetAtWrite: { number: 2, kept: true, downMs: 3_000 } } },
  "reset-lost": { ...strict, timing: { ...strict.timing, resetAtWrite: { number: 2, kept: false, downMs: 3_000 } } },
} as const;
type Reset = keyof typeof resets;

type Name = Cut | Reset | "service";

const stack = new AsyncDisposableStack();
let site: Site<Name>;
const others = new Map<string, string>();
const boots = new Map<Name, Boot>();
/** What the console had told when the plug was pulled. */
const lastSteps = new Map<Cut, string>();

const cutNames = Object.keys(cuts) as Cut[];
const resetNames = Object.keys(resets) as Reset[];
const names: readonly Name[] = [...cutNames, ...resetNames, "service"];

beforeAll(async () => {
  const profiles = {
    ...resets,
    service: strict,
    escrow: cuts.escrow.profile,
    name: cuts.name.profile,
    password: cuts.password.profile,
  };
  const specs = Object.fromEntries(names.map((name) => [name, { profile: profiles[name] }]));
  site = stack.use(await openSite(specs as Record<Name, { profile: Profile }>));
  for (const name of names) others.set(name, othersOf(name));
  // Two lanes: as many virtual machines at a time as a small machine has cores. The service dies when nobody else needs it.
  const cutLane = async () => {
    for (const name of cutNames) await cutAndBootAgain(name);
  };
  const resetLane = async () => {
    for (const name of resetNames) boots.set(name, await boot(site, name));
  };
  await Promise.all([cutLane(), resetLane()]);
  await killServiceBeforeHandOff();
}, 300_000);
afterAll(() => stack.disposeAsync());

async function cutAndBootAgain(name: Cut): Promise<void> {
  const machine = site.machines[name];
  const { command, nth } = cuts[name];
  const times = () => bmcOf(name).log.filter((each) => each === command).length;
  const cut = async () => {
    await until(`${name} to send ${command}`, 60_000, () => times() >= nth, { everyMs: 5 });
    await machine.powerOff();
  };
  const ended = boot(site, name).then(
    ({ outcome }) => outcome,
    (error: Error) => error.message,
  );
  await cut();
  lastSteps.set(name, `${await ended}\n${machine.console.tail(30)}`);
  boots.set(name, await boot(site, name));
}

/** The road to the BMC is cut, so that the hand-off waits; then the service dies, and comes back on the same database and port. */
async function killServiceBeforeHandOff(): Promise<void> {
  const road = site.roads.get("service");
  const target = road?.target;
  if (road === undefined || target === undefined) throw new Error("no road to that BMC");
  road.target = undefined;
  const { service, directory } = site;
  const ending = boot(site, "service");
  const { bmcMac } = site.machines.service.truth;
  const confirmed = async () => (await rowOf(site, bmcMac).catch(() => undefined))?.state === State.STATE_CONFIRMED;
  await until("the account to be confirmed", 60_000, confirmed, { everyMs: 20 });
  await service.child.kill();
  road.target = target;
  const { pkiDirectory, dataDirectory, address } = service;
  const bmcAddresses = new Map(
    [...site.roads].map(([name, { port }]) => [site.machines[name].truth.bmcMac, `127.0.0.1:${port}`]),
  );
  const port = Number(address.split(":").at(-1));
  stack.use(await startService({ directory, pkiDirectory, dataDirectory, bmcAddresses, port }));
  boots.set("service", await ending);
}

function bmcOf(name: Name): SimulatedBmc {
  const bmc = site.machines[name].bmc?.simulated;
  if (bmc === undefined) throw new Error(`${name} has no simulated BMC`);
  return bmc;
}

/** The users that were there from the beginning, as bytes. */
function othersOf(name: Name): string {
  return JSON.stringify(
    bmcOf(name).users.filter((user) => nameText(user) !== "" && !nameText(user).startsWith("rivet")),
  );
}

test.each(cutNames)("the plug was pulled during %s", (name) => {
  expect(lastSteps.get(name)).toContain("the machine went off");
  expect(lastSteps.get(name)).toContain(`"step":"${cuts[name].step}"`);
});

describe.each(names)("%s", (name) => {
  test("is linked at the next boot, or in the same one", () => {
    const ended = boots.get(name);
    expect([ended?.outcome, ended?.exitCode], ended?.text).toEqual(["linked", 0]);
  });

  test("has one account of ours, with which the service gets in, and the others as they were", async () => {
    const { bmcMac } = site.machines[name].truth;
    expect((await rowOf(site, bmcMac)).state).toBe(State.STATE_LINKED);
    const ours = bmcOf(name).users.filter((user) => nameText(user).startsWith("rivet"));
    expect(ours.map(({ enabled }) => enabled)).toEqual([true]);
    const verified = (await accountsOf(site, bmcMac)).filter(
      (each) => each.state === AccountState.ACCOUNT_STATE_VERIFIED,
    );
    expect(verified.map(({ userName }) => userName)).toEqual(ours.map(nameText));
    expect(othersOf(name)).toBe(others.get(name));
  });
});
