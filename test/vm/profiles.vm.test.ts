import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { repository } from "../lab/artifacts.ts";
import { endedAs } from "../lab/expected-outcome.ts";
import { ipmitool } from "../lab/foreign-login.ts";
import type { SimulatedMachine } from "../lab/machine.ts";
import { differences } from "../lab/truth.ts";
import { Machine } from "../run/machine.ts";
import { bootOverKcs } from "../run/over-kcs.ts";
import type { Profile } from "../simulator/profile.ts";
import { profiles } from "../simulator/profiles.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { nameText, type SimulatedUser } from "../simulator/users.ts";
import { variants } from "../simulator/variants.ts";
import { type ProfileRow, profileTable } from "./profile-table.ts";
import { accountsOf, type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/** One virtual machine more than a small machine has cores: on some of these BMCs it waits most of its time. */
const lanes = 3;
/**
 * For a BMC that the kernel's driver takes for none: there it is waited for until this limit, in seconds. On the kernel command
 * line, because that is before the document is read.
 */
const hiddenBmc = "rivet.bmc_limit=15";

/** The variants that are most unlike the boards. The others differ in codes, which memory shows as well. */
const unlike = [
  "full-table",
  "fru-in-words-of-eight-bytes",
  "twenty-bytes-only",
  "rights-need-enabling",
  "resets-at-the-third-write-which-is-lost",
];

const chosen: readonly Profile[] = [
  ...profiles.values(),
  ...unlike.map((name) => variants.get(name) ?? expect.unreachable(`there is no variant ${name}`)),
];

const stack = new AsyncDisposableStack();
const rows = new Map<string, ProfileRow>();
let site: Site<string>;
let free = lanes;
const waiting: (() => void)[] = [];

beforeAll(async () => {
  site = stack.use(await openSite(Object.fromEntries(chosen.map((profile) => [profile.name, { profile }]))));
});
afterAll(() => stack.disposeAsync());
afterAll(() => {
  const all = profileTable(chosen.flatMap(({ name }) => rows.get(name) ?? []));
  console.log(all);
  writeFileSync(join(repository, "dist/profiles.txt"), `${all}\n`);
});

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

const simulated = (machine: SimulatedMachine): SimulatedBmc => {
  const bmc = machine.bmc?.simulated;
  if (bmc === undefined) throw new Error(`${machine.name} has no simulated BMC`);
  return bmc;
};

const asBytes = (users: readonly SimulatedUser[]) => users.map((user) => JSON.stringify(user));

// The slow ones are the last of the list: begun first, they end with the others.
describe.concurrent("the real kernel and program on a BMC of every profile", () => {
  test.each(chosen.toReversed().map((profile) => [profile.name, profile.expected, profile] as const))(
    "%s: %s",
    async (name, expected, profile) => {
      const machine = site.machines[name];
      if (machine === undefined) throw new Error(`no machine has a BMC like ${name}`);
      const bmc = simulated(machine);
      const before = asBytes(bmc.users);
      const { inBand } = profile.access;
      const args = inBand === "none" || inBand === "disabled" ? { args: hiddenBmc } : {};
      const result = await inLane(() => boot(site, name, args));
      rows.set(name, await rowFor(profile, result));
      expect(endedAs(expected, result), `${result.outcome}, exit code ${result.exitCode}: ${result.text}`).toBe(true);

      const accounts = await ours(machine);
      const slots = new Set(accounts.map(({ slot }) => slot));
      const others = (all: readonly string[]) => all.filter((_, i) => !slots.has(i + 1));
      expect(others(asBytes(bmc.users)), "accounts of others").toEqual(others(before));
      if (inBand !== "none" && inBand !== "disabled") {
        // All that can be read is reported, whatever came of the account.
        expect(differences(machine.truth, await rowOf(site, machine.truth.bmcMac))).toEqual([]);
      }
      if (expected === "linked") await provesLinked(machine, profile);
      else expect(bmc.users.filter((user) => user.enabled && slots.has(user.id)).length).toBeLessThanOrEqual(1);
    },
    280_000,
  );
});

/** The same profile also where no time passes: our side of KCS at the BMC's registers, in memory. */
async function rowFor(profile: Profile, inVm: Boot): Promise<ProfileRow> {
  const machine = new Machine({ profile });
  const { ended } = await bootOverKcs(machine);
  const atRegisters = { outcome: ended instanceof Error ? "error" : ended.kind, commands: machine.bmc.log.length };
  return { name: profile.name, atRegisters, inVm };
}

/** The service's accounts of a BMC of which it knows. */
async function ours(machine: SimulatedMachine) {
  return await accountsOf(site, machine.truth.bmcMac).catch(() => []);
}

/**
 * There is one account, in the row and on the BMC, and it opens the BMC to a foreign client too. Passwords that the BMC did not
 * take are retired.
 */
async function provesLinked(machine: SimulatedMachine, profile: Profile): Promise<void> {
  const { directory, bmc } = machine;
  const [account, ...others] = await ours(machine);
  expect(others.filter(({ state }) => state !== AccountState.ACCOUNT_STATE_RETIRED)).toEqual([]);
  const { userName = "", password = "", slot = 0 } = account ?? {};
  const { users } = simulated(machine);
  expect(users.filter((user) => nameText(user) === userName).map(({ id }) => id)).toEqual([slot]);
  const cipherSuite = profile.lan.cipherSuites.includes(3) ? 3 : 17;
  const login = { lanPort: bmc?.sim.lanPort ?? 0, userName, password, directory, cipherSuite } as const;
  expect(await ipmitool(login, ["mc", "info"])).toMatchObject({ exitCode: 0 });
}
