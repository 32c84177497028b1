import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endedAs } from "../lab/expected-outcome.ts";
import { ipmitool } from "../lab/foreign-login.ts";
import type { SimulatedMachine } from "../lab/machine.ts";
import { durationText } from "../lab/screen.ts";
import { differences } from "../lab/truth.ts";
import type { Profile } from "../simulator/profile.ts";
import { profiles } from "../simulator/profiles.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { nameText, type SimulatedUser } from "../simulator/users.ts";
import { accountsOf, type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/** As many virtual machines at a time as a small machine has cores. */
const lanes = 2;
/** For a BMC that is never ready, seconds; the others take what they need. */
const notReadyLimit = 15;

interface Ended {
  readonly profile: Profile;
  readonly boot: Boot;
}

const stack = new AsyncDisposableStack();
const ended: Ended[] = [];
let site: Site<string>;
let free = lanes;
const waiting: (() => void)[] = [];

beforeAll(async () => {
  site = stack.use(await openSite(Object.fromEntries([...profiles].map(([name, profile]) => [name, { profile }]))));
});
afterAll(() => stack.disposeAsync());
afterAll(() => console.log(table(ended)));

async function inLane<T>(work: () => Promise<T>): Promise<T> {
  if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
  else free -= 1;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }
}

function table(all: readonly Ended[]): string {
  const names = [...profiles.keys()];
  const rows = all
    .toSorted((a, b) => names.indexOf(a.profile.name) - names.indexOf(b.profile.name))
    .map(({ profile, boot: { outcome, exitCode, commands, durationMs, runMs } }) => [
      profile.name,
      outcome === "error" ? `error, exit code ${exitCode}` : outcome,
      commands.length.toString(),
      durationText(runMs),
      durationText(durationMs),
    ]);
  const head = ["profile", "outcome", "commands", "run", "from power on"];
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const simulated = (machine: SimulatedMachine): SimulatedBmc => {
  const bmc = machine.bmc?.simulated;
  if (bmc === undefined) throw new Error(`${machine.name} has no simulated BMC`);
  return bmc;
};

const asBytes = (users: readonly SimulatedUser[]) => users.map((user) => JSON.stringify(user));

// The slow ones are the last of the list: begun first, they end with the others.
describe.concurrent("the real kernel and program on a BMC of every profile", () => {
  test.each([...profiles.values()].reverse().map((profile) => [profile.name, profile.expected, profile] as const))(
    "%s: %s",
    async (name, expected, profile) => {
      const machine = site.machines[name];
      if (machine === undefined) throw new Error(`no machine has a BMC like ${name}`);
      const bmc = simulated(machine);
      const before = asBytes(bmc.users);
      const config = expected === "not ready" ? { bmc_limit: notReadyLimit } : {};
      const result = await inLane(() => boot(site, name, { config }));
      ended.push({ profile, boot: result });
      expect(endedAs(expected, result), `${result.outcome}, exit code ${result.exitCode}: ${result.text}`).toBe(true);

      const accounts = await ours(machine);
      const slots = new Set(accounts.map(({ slot }) => slot));
      const others = (all: readonly string[]) => all.filter((_, i) => !slots.has(i + 1));
      expect(others(asBytes(bmc.users)), "accounts of others").toEqual(others(before));
      if (expected === "linked") await provesLinked(machine, profile);
      else expect(bmc.users.filter((user) => user.enabled && slots.has(user.id)).length).toBeLessThanOrEqual(1);
    },
    280_000,
  );
});

/** The service's accounts of a BMC of which it knows. */
async function ours(machine: SimulatedMachine) {
  return await accountsOf(site, machine.truth.bmcMac).catch(() => []);
}

/** Row and BMC tell the same, and the account opens the BMC to a foreign client too. */
async function provesLinked(machine: SimulatedMachine, profile: Profile): Promise<void> {
  const { truth, directory, bmc } = machine;
  expect(differences(truth, await rowOf(site, truth.bmcMac))).toEqual([]);
  const [account, ...more] = await ours(machine);
  expect(more).toEqual([]);
  const { userName = "", password = "", slot = 0 } = account ?? {};
  const { users } = simulated(machine);
  expect(users.filter((user) => nameText(user) === userName).map(({ id }) => id)).toEqual([slot]);
  const cipherSuite = profile.lan.cipherSuites.includes(3) ? 3 : 17;
  const login = { lanPort: bmc?.sim.lanPort ?? 0, userName, password, directory, cipherSuite } as const;
  expect(await ipmitool(login, ["mc", "info"])).toMatchObject({ exitCode: 0 });
}
